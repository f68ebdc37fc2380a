import HTTPService
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Testing

@Suite struct ClientTests {
    let server = ScriptedServer()

    @Test func asksForWhatIsMeant() async throws {
        let client = server.client
        server.answer(json(configMap("a")))
        let found = try await client.get(ConfigMap.self, name: "a", namespace: "default")
        #expect(found == configMap("a"))
        server.answer(listOf([configMap("a"), configMap("b")], version: 7))
        let list = try await client.list(
            ConfigMap.self, labelSelector: "app in (web,db)", resourceVersion: "0", limit: 2)
        #expect(list.items.map(\.metadata.name) == ["a", "b"])
        #expect(list.metadata.resourceVersion == "7")
        server.answer(json(configMap("a")), json(configMap("a")), json(configMap("a")))
        _ = try await client.create(configMap("a"))
        _ = try await client.update(configMap("a"), fieldManager: "me")
        _ = try await client.patch(
            ConfigMap.self, name: "a:b", namespace: "default", subresource: "status", type: .json,
            body: [["op": "remove", "path": "/x"]])
        server.answer(json(Status(status: "Success")), json(Node(metadata: ObjectMeta(name: "n"))))
        try await client.delete(ConfigMap.self, name: "a", namespace: "default")
        _ = try await client.updateStatus(Node(metadata: ObjectMeta(name: "n")))
        server.answer(json(Status(status: "Success")), listOf([], version: 1))
        try await client.createSubresource(
            of: Pod.self, name: "p", namespace: "x", subresource: "binding", body: configMap("b"))
        _ = try await client.list(Deployment.self, namespace: "x")

        #expect(
            server.seen.map(\.line) == [
                "GET /api/v1/namespaces/default/configmaps/a",
                "GET /api/v1/configmaps?labelSelector=app%20in%20%28web%2Cdb%29&resourceVersion=0&limit=2",
                "POST /api/v1/namespaces/default/configmaps",
                "PUT /api/v1/namespaces/default/configmaps/a?fieldManager=me",
                "PATCH /api/v1/namespaces/default/configmaps/a:b/status",
                "DELETE /api/v1/namespaces/default/configmaps/a",
                "PUT /api/v1/nodes/n/status",
                "POST /api/v1/namespaces/x/pods/p/binding",
                "GET /apis/apps/v1/namespaces/x/deployments",
            ])
        let patch = server.seen[4].request
        #expect(patch.headers.first(name: "content-type") == "application/json-patch+json")
        #expect(server.seen[4].body == #"[{"op":"remove","path":"/x"}]"#)
        #expect(server.seen[2].request.headers.first(name: "content-type") == "application/json")
        #expect(server.seen[0].request.headers.first(name: "accept") == "application/json")
        #expect(server.seen[0].request.peer == .inProcess(user: "tester", groups: ["g"]))
    }

    @Test func anErrorIsTheServersStatus() async throws {
        server.answer(failure(404, "NotFound", #"configmaps "a" not found"#))
        do {
            _ = try await server.client.get(ConfigMap.self, name: "a", namespace: "default")
            Issue.record("should throw")
        } catch let error as APIError {
            #expect(error.status.message == #"configmaps "a" not found"#)
            #expect(isNotFound(error) && !isConflict(error) && !isAlreadyExists(error))
        }
        server.answer(failure(409, "AlreadyExists"), failure(409, "Conflict"), failure(410, "Expired"))
        await #expect { _ = try await server.client.create(configMap("a")) } throws: {
            isAlreadyExists($0) && !isConflict($0)
        }
        await #expect { _ = try await server.client.update(configMap("a")) } throws: {
            isConflict($0) && !isAlreadyExists($0)
        }
        await #expect { _ = try await server.client.list(ConfigMap.self) } throws: { isExpired($0) }
    }

    @Test func anErrorWithoutStatusStillSaysWhatHappened() async throws {
        server.answer(
            HTTPResponse(status: .badGateway, text: "upstream gone"), HTTPResponse(status: .unauthorized))
        do {
            _ = try await server.client.list(Node.self)
            Issue.record("should throw")
        } catch let error as APIError {
            #expect(error.status.code == 502)
            #expect(error.status.reason == "InternalError")
            #expect(
                error.status.message
                    == "the server answered 502 Bad Gateway to GET /api/v1/nodes: upstream gone")
        }
        do {
            _ = try await server.client.list(Node.self)
            Issue.record("should throw")
        } catch let error as APIError {
            #expect(error.status.reason == "Unauthorized")
        }
    }

    @Test func aWatchBringsEventsAsTheyCome() async throws {
        let watch = ScriptedWatch()
        server.answer(watch.response)
        var events = try await server.client.watch(
            ConfigMap.self, namespace: "default", resourceVersion: "5", timeout: .seconds(300)
        ).makeAsyncIterator()
        #expect(
            server.seen.first?.line
                == "GET /api/v1/namespaces/default/configmaps?watch=true&resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=300"
        )
        try await watch.send(line("ADDED", configMap("a", version: 6)))
        #expect(try await events.next() == .added(configMap("a", version: 6)))
        // Two events and a half in one piece, the rest in another.
        let bytes =
            line("MODIFIED", configMap("a", version: 7)) + line("DELETED", configMap("a", version: 8))
            + bookmark(9)
        try await watch.send(Array(bytes.dropLast(20)), Array(bytes.suffix(20)))
        #expect(try await events.next() == .modified(configMap("a", version: 7)))
        #expect(try await events.next() == .deleted(configMap("a", version: 8)))
        #expect(try await events.next() == .bookmark(resourceVersion: "9", isInitialEventsEnd: false))
        watch.end()
        #expect(try await events.next() == nil)
    }

    @Test func droppingAWatchEndsItOnTheServer() async throws {
        let watch = ScriptedWatch()
        server.answer(watch.response)
        do {
            let events = try await server.client.watch(ConfigMap.self)
            try await watch.send(line("ADDED", configMap("a")))
            for try await _ in events { break }
        }
        await watch.waitForEnd()
    }

    @Test func aWatchCanBeRefused() async throws {
        server.answer(failure(410, "Expired"))
        await #expect { _ = try await server.client.watch(ConfigMap.self, resourceVersion: "1") } throws: {
            isExpired($0)
        }
    }
}

@Suite struct WatchDecodingTests {
    private func decode(_ text: String) throws -> ObjectEvent<ConfigMap>? {
        try ObjectEvent<ConfigMap>.decode(Array(text.utf8))
    }

    @Test func theTypeMayComeLast() throws {
        let event = try decode(#"{"object":{"metadata":{"name":"a"}},"more":[1],"type":"ADDED"}"#)
        #expect(event == .added(ConfigMap(metadata: ObjectMeta(name: "a"))))
    }

    @Test func theEndOfInitialEventsIsMarked() throws {
        let event = try decode(
            #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8","annotations":{"k8s.io/initial-events-end":"true"}}}}"#
        )
        #expect(event == .bookmark(resourceVersion: "8", isInitialEventsEnd: true))
    }

    @Test func errorsCarryAStatus() throws {
        let event = try decode(
            #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#)
        guard case .error(let status) = event else {
            Issue.record("not an error")
            return
        }
        #expect(status.code == 410 && status.reason == "Expired")
    }

    @Test func unknownTypesArePassedOver() throws {
        #expect(try decode(#"{"type":"NEWS","object":{"metadata":1}}"#) == nil)
        #expect(try decode(#"{}"#) == nil)
    }

    /// Thousands of damaged lines: an event or an error, never a crash.
    @Test func damagedLinesAreErrors() throws {
        let sound = line("MODIFIED", configMap("a", version: 7, data: ["k": "v\u{e9}\n"]))
        var random = Seeded(11)
        var errors = 0
        for _ in 0..<5000 {
            var bytes = sound
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
                }
            }
            do throws(JSONError) {
                _ = try ObjectEvent<ConfigMap>.decode(bytes)
            } catch {
                errors += 1
            }
        }
        #expect(errors > 1000)
    }

    @Test func linesAreTheSameHoweverTheyArrive() throws {
        let text = "one\n\ntwo two\nthree\n" + String(repeating: "x", count: 500) + "\nlast"
        var random = Seeded(3)
        for _ in 0..<200 {
            var splitter = LineSplitter()
            var lines: [[UInt8]] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let chunk = rest.prefix(Int.random(in: 1...40, using: &random))
                lines += try splitter.append(Array(chunk))
                rest = rest.dropFirst(chunk.count)
            }
            if let last = splitter.finish() { lines.append(last) }
            #expect(
                lines.map { String(decoding: $0, as: UTF8.self) }
                    == ["one", "two two", "three", String(repeating: "x", count: 500), "last"])
        }
        var splitter = LineSplitter(limit: 10)
        _ = try splitter.append(Array("12345".utf8))
        #expect(throws: LineSplitter.TooLong.self) { try splitter.append(Array("678901".utf8)) }
    }
}
