import ObjectStore
import Testing

@Suite struct CommitTests {
    @Test func nothingShowsBeforeItIsDurable() async throws {
        let engine = ManualEngine()
        let store = try await ObjectStore.open(engine: engine, logger: quiet)
        let stream = try store.watch(resource: "pods", after: 1)
        let write = Task { try await store.commit([.create(pod("a"), draft())]) }
        await engine.waitForWork()
        var checked = 0
        engine.run { events in
            checked += events.count
            #expect(store.get(pod("a")) == nil)
            #expect(store.revision == 1)
            #expect((try? store.list(resource: "pods"))?.objects.count == 0)
        }
        #expect(checked == 1)
        #expect(try await write.value.first?.revision == 2)
        #expect(store.get(pod("a")) != nil)
        var events = stream.makeAsyncIterator()
        #expect(try await events.next()?.revision == 2)
    }

    @Test func whatCouldNotBeWrittenNeverShows() async throws {
        let engine = ManualEngine()
        let store = try await ObjectStore.open(engine: engine, logger: quiet)
        func create(_ name: String, failingWith error: StoreError?) async -> String {
            let write = Task { () async -> String in
                do throws(StoreError) {
                    try await store.commit([.create(pod(name), draft())])
                    return "written"
                } catch {
                    return code(error)
                }
            }
            await engine.waitForWork()
            engine.run(failingWith: error)
            return await write.value
        }
        #expect(await create("a", failingWith: StoreError(.full, "full")) == "full")
        #expect(store.get(pod("a")) == nil)
        #expect(await create("a", failingWith: nil) == "written", "a full disk can be emptied")
        #expect(store.revision == 2)
        #expect(await create("b", failingWith: StoreError(.io, "broken")) == "io")
        #expect(store.revision == 2)
        await #expect(throws: StoreError.self, "after a broken disk nothing is written any more") {
            try await store.commit([.create(pod("c"), draft())])
        }
        #expect(store.get(pod("a")) != nil, "but what is known is served")
    }

    @Test func concurrentCommitsShareTransactions() async throws {
        let engine = ManualEngine()
        let store = try await ObjectStore.open(engine: engine, logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for i in 0..<150 {
                group.addTask { try await store.commit([.create(pod("p\(i)"), draft())]) }
            }
            while store.waitingCommits < 150 { await Task.yield() }
            engine.run()
            try await group.waitForAll()
        }
        #expect(engine.groups == [64, 64, 22])
        #expect(store.revision == 151)
    }

    @Test func ofConcurrentCreatesExactlyOneWins() async throws {
        let directory = try TemporaryDirectory()
        let store = try await ObjectStore.open(.sqlite(path: directory.path + "/state.db"), logger: quiet)
        for round in 0..<10 {
            let outcomes = await withTaskGroup(of: String.self) { group in
                for i in 0..<16 {
                    group.addTask {
                        do throws(StoreError) {
                            try await store.commit([.create(pod("r\(round)"), draft("\(i)"))])
                            return "won \(i)"
                        } catch {
                            guard case .alreadyExists(let object) = error.code else { return "\(error)" }
                            return "lost to \(text(object) ?? "")"
                        }
                    }
                }
                return await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
            }
            let winner = try #require(outcomes.keys.first { $0.hasPrefix("won ") }?.dropFirst(4))
            let revision = try #require(store.get(pod("r\(round)"))?.revision)
            #expect(outcomes == ["won \(winner)": 1, "lost to \(text(String(winner), at: revision))": 15])
        }
        await store.close()
    }

    /// Optimistic concurrency loses no increment, and revisions have no holes.
    @Test func incrementsAreNeverLost() async throws {
        let store = try await ObjectStore.open(.memory, logger: quiet)
        try await store.commit([.create(pod("counter"), draft("0"))])
        let conflicts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var conflicts = 0
                    for _ in 0..<50 {
                        while true {
                            let present = try #require(store.get(pod("counter")))
                            let value = try #require(Int(present.fields["value"] ?? "0"))
                            var next = draft("\(value + 1)")
                            next.fields["value"] = "\(value + 1)"
                            do throws(StoreError) {
                                try await store.commit([
                                    .update(pod("counter"), next, expected: present.revision)
                                ])
                                break
                            } catch {
                                guard case .conflict = error.code else { throw error }
                                conflicts += 1
                            }
                        }
                    }
                    return conflicts
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(store.get(pod("counter"))?.fields["value"] == "400", "\(conflicts) conflicts")
        #expect(store.revision == 402)
    }

    @Test func aClosedStoreRefuses() async throws {
        let store = try await ObjectStore.open(.memory, logger: quiet)
        await store.close()
        do throws(StoreError) {
            try await store.commit([.create(pod("a"), draft())])
            Issue.record("a closed store must refuse")
        } catch {
            #expect(code(error) == "closed")
        }
    }

    @Test func closingWaitsForCommitsUnderWay() async throws {
        let engine = ManualEngine()
        let store = try await ObjectStore.open(engine: engine, logger: quiet)
        let write = Task { try await store.commit([.create(pod("a"), draft())]) }
        await engine.waitForWork()
        async let closed: Void = store.close()
        while !store.isClosing { await Task.yield() }
        engine.run()
        await closed
        #expect(try await write.value.count == 1)
    }
}
