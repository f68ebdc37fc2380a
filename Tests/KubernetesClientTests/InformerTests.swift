import HTTPService
import KubernetesAPI
import KubernetesClient
import Testing

private func told(_ event: InformerEvent<ConfigMap>) -> String {
    switch event {
    case .added(let object): "added \(object.metadata.name) \(object.metadata.resourceVersion)"
    case .updated(let old, let new):
        "updated \(new.metadata.name) \(old.metadata.resourceVersion) \(new.metadata.resourceVersion)"
    case .deleted(let object): "deleted \(object.metadata.name) \(object.metadata.resourceVersion)"
    case .synced: "synced"
    }
}

@Suite struct InformerCacheTests {
    @Test func aListIsToldAsDifferences() {
        var cache = InformerCache<ConfigMap>()
        #expect(
            cache.replace(with: [configMap("b"), configMap("a")], resourceVersion: "3").map(told)
                == ["added b 1", "added a 1", "synced"])
        #expect(
            cache.replace(
                with: [configMap("b"), configMap("c", version: 5)], resourceVersion: "6"
            ).map(told) == ["added c 5", "deleted a 1"])
        #expect(
            cache.replace(
                with: [configMap("b", version: 7), configMap("c", version: 5)], resourceVersion: "8"
            )
            .map(told) == ["updated b 1 7"])
        #expect(cache.resourceVersion == "8")
        #expect(cache.list(namespace: nil).map(\.metadata.name) == ["b", "c"])
        #expect(cache.list(namespace: "other").isEmpty)
    }

    @Test func anObjectThatWasReplacedIsAnUpdate() {
        var cache = InformerCache<ConfigMap>()
        _ = cache.replace(with: [configMap("a")], resourceVersion: "1")
        var other = configMap("a")
        other.metadata.uid = "another"
        #expect(cache.apply(.added(other)).map(told) == "updated a 1 1")
    }

    @Test func bookmarksOnlyMoveTheRevision() {
        var cache = InformerCache<ConfigMap>()
        #expect(cache.apply(.bookmark(resourceVersion: "12", isInitialEventsEnd: false)) == nil)
        #expect(cache.resourceVersion == "12")
        #expect(cache.apply(.deleted(configMap("unknown", version: 13))) == nil)
        #expect(cache.resourceVersion == "13")
    }

    /// Random events; the index must always show what looking through all objects would.
    @Test(arguments: [1, 2, 3]) func indexesAreWhatASearchWouldFind(seed: UInt64) {
        var random = Seeded(seed)
        var cache = InformerCache<ConfigMap>()
        let colours: Indexer<ConfigMap> = { $0.data["colours"]?.split(separator: ",").map(String.init) ?? [] }
        for step in 0..<600 {
            if step == 100 { cache.addIndexer("colour", colours) }
            let some = ["red", "green", "blue"].filter { _ in Bool.random(using: &random) }
            let object = configMap(
                "o\(Int.random(in: 0..<12, using: &random))", version: step + 1,
                data: ["colours": some.joined(separator: ",")])
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6: _ = cache.apply(.modified(object))
            case 6..<9: _ = cache.apply(.deleted(object))
            default: _ = cache.replace(with: [object], resourceVersion: "\(step + 1)")
            }
            guard step >= 100 else { continue }
            for colour in ["red", "green", "blue"] {
                #expect(
                    cache.list(index: "colour", value: colour)
                        == cache.list(namespace: nil).filter { colours($0).contains(colour) })
            }
        }
    }
}

@Suite struct InformerTests {
    let server = ScriptedServer()
    let clock = TestClock()

    /// Runs an informer beside a test, and stops it at the end.
    private func running<Result: Sendable>(
        _ body: (Informer<ConfigMap>, Ear<String>) async throws -> Result
    ) async throws -> Result {
        let informer = Informer<ConfigMap>(client: server.client, clock: clock, logger: quiet)
        let ear = Ear<String>()
        informer.subscribe { ear.hear(told($0)) }
        let task = Task { try await informer.run() }
        defer { task.cancel() }
        return try await body(informer, ear)
    }

    @Test func followsTheServer() async throws {
        try await running { informer, ear in
            let watch = ScriptedWatch()
            #expect(!informer.hasSynced)
            server.answer(listOf([configMap("a", version: 2)], version: 3), watch.response)
            await informer.waitForSync()
            #expect(informer.get(namespace: "default", name: "a") == configMap("a", version: 2))
            try await watch.send(
                line("ADDED", configMap("b", version: 4)), line("MODIFIED", configMap("a", version: 5)),
                line("DELETED", configMap("b", version: 6)), bookmark(9),
                line("ADDED", configMap("c", version: 10)))
            #expect(
                await ear.first(6) == [
                    "added a 2", "synced", "added b 4", "updated a 2 5", "deleted b 6", "added c 10",
                ])
            #expect(informer.list().map(\.metadata.name) == ["a", "c"])
            #expect(informer.resourceVersion == "10")
            #expect(try await server.request(1).line == "GET /api/v1/configmaps?resourceVersion=0")
            let second = try await server.request(2).request
            #expect(second.query.first("resourceVersion") == "3")
            #expect(second.query.first("allowWatchBookmarks") == "true")
            let timeout = try #require(second.query.first("timeoutSeconds").flatMap { Int($0) })
            #expect((300..<600).contains(timeout))
        }
    }

    @Test func laterSubscribersHearWhatIsThere() async throws {
        try await running { informer, ear in
            let watch = ScriptedWatch()
            server.answer(listOf([configMap("b"), configMap("a")], version: 3), watch.response)
            await informer.waitForSync()
            let late = Ear<String>()
            informer.subscribe { late.hear(told($0)) }
            try await watch.send(line("ADDED", configMap("c", version: 4)))
            #expect(await late.first(4) == ["added a 1", "added b 1", "synced", "added c 4"])
            #expect(await ear.first(4) == ["added b 1", "added a 1", "synced", "added c 4"])
        }
    }

    @Test func progressComesAfterWhatItStandsFor() async throws {
        try await running { informer, _ in
            let both = Ear<String>()
            informer.subscribeProgress { both.hear("up to \($0)") }
            informer.subscribe { both.hear(told($0)) }
            let watch = ScriptedWatch()
            server.answer(listOf([configMap("a")], version: 3), watch.response)
            try await watch.send(line("ADDED", configMap("b", version: 4)), bookmark(9))
            #expect(
                await both.first(6) == ["added a 1", "synced", "up to 3", "added b 4", "up to 4", "up to 9"])
            let late = Ear<String>()
            informer.subscribeProgress { late.hear($0) }
            #expect(late.all == ["9"])
        }
    }

    @Test func listsAnewWhenItsRevisionIsGone() async throws {
        try await running { informer, ear in
            let first = ScriptedWatch()
            let second = ScriptedWatch()
            server.answer(listOf([configMap("a"), configMap("b")], version: 3), first.response)
            let gone = Status(status: "Failure", message: "too old", reason: "Expired", code: 410)
            try await first.send(line("ERROR", gone))
            let pause = await clock.nextPause()
            #expect(pause >= .milliseconds(100) && pause <= .milliseconds(150))
            server.answer(listOf([configMap("b"), configMap("c", version: 8)], version: 9), second.response)
            clock.advance(by: pause)
            #expect(
                await ear.first(5) == ["added a 1", "added b 1", "synced", "added c 8", "deleted a 1"],
                "what did not change is not told again")
            #expect(try await server.request(3).line == "GET /api/v1/configmaps", "the latest state")
            #expect(try await server.request(4).request.query.first("resourceVersion") == "9")
            _ = informer
        }
    }

    @Test func aRefusedWatchListsAnewToo() async throws {
        try await running { _, ear in
            server.answer(listOf([], version: 3), failure(410, "Gone"))
            clock.advance(by: await clock.nextPause())
            let watch = ScriptedWatch()
            server.answer(listOf([configMap("a", version: 4)], version: 5), watch.response)
            #expect(await ear.first(2) == ["synced", "added a 4"])
        }
    }

    @Test func goesOnWhereABrokenWatchStood() async throws {
        try await running { informer, ear in
            let first = ScriptedWatch()
            let second = ScriptedWatch()
            server.answer(listOf([], version: 3), first.response)
            try await first.send(line("ADDED", configMap("a", version: 4)), bookmark(6))
            first.end(throwing: HTTPError(.connectionClosed, "gone"))
            let pause = await clock.nextPause()
            server.answer(second.response)
            clock.advance(by: pause)
            try await second.send(line("DELETED", configMap("a", version: 7)))
            #expect(await ear.first(3) == ["synced", "added a 4", "deleted a 7"])
            #expect(try await server.request(3).request.query.first("resourceVersion") == "6")
            #expect(informer.count == 0)
        }
    }

    @Test func survivesAServerThatIsNotThereYet() async throws {
        try await running { informer, _ in
            for _ in 0..<5 {
                server.answer(failure(503, "ServiceUnavailable"))
                clock.advance(by: await clock.nextPause())
            }
            #expect(!informer.hasSynced)
            server.answer(listOf([configMap("a")], version: 3), ScriptedWatch().response)
            await informer.waitForSync()
            #expect(informer.count == 1)
        }
    }

    /// Who waits may rely on what subscribers do.
    @Test func waitingForSyncEndsAfterSubscribersWereTold() async throws {
        try await running { informer, _ in
            let steps = Ear<String>()
            informer.subscribe { event in
                // Runs on this thread until it has to wait.
                Task.immediate {
                    await informer.waitForSync()
                    steps.hear("waited")
                }
                steps.hear(told(event))
            }
            server.answer(listOf([configMap("a")], version: 3), ScriptedWatch().response)
            #expect(await steps.first(4) == ["added a 1", "synced", "waited", "waited"])
        }
    }

    @Test func waitingForSyncCanBeCancelled() async {
        let informer = Informer<ConfigMap>(client: server.client, clock: clock, logger: quiet)
        let waiting = Task { await informer.waitForSync() }
        waiting.cancel()
        await waiting.value
        #expect(!informer.hasSynced)
    }

    @Test func aSetHasOneInformerATypeAndScope() async throws {
        let node = Node(metadata: ObjectMeta(name: "n"))
        let responder = ClosureResponder { request in
            if request.query.contains("watch") { return ScriptedWatch().response }
            if request.path.hasSuffix("configmaps") { return listOf([configMap("a")], version: 3) }
            return json(ObjectList(metadata: ListMeta(resourceVersion: "4"), items: [node]))
        }
        let set = InformerSet(
            client: KubernetesClient(
                transport: InProcessTransport(responder: responder, user: "tester", groups: [])),
            clock: clock, logger: quiet)
        let maps = set.informer(ConfigMap.self)
        #expect(set.informer(ConfigMap.self) === maps)
        #expect(set.informer(ConfigMap.self, scope: InformerScope(namespace: "x")) !== maps)
        let run = Task { try await set.run() }
        await set.waitForSync()
        #expect(maps.count == 1)
        let nodes = set.informer(Node.self)
        await nodes.waitForSync()
        #expect(nodes.get(name: "n") == node, "informers asked for later run too")
        run.cancel()
        try await run.value
    }
}
