import APILoad
import Glibc
import HTTPService
import KubernetesAPI
import KubernetesClient
import Testing

extension EndToEndTests {
    /// The API server by itself, killed and started again.
    @Suite("SIGKILL under load", .serialized)
    struct KillTests {
        private static let namespace = "kill"
        private static let rounds = 50
        private static let writers = 8
        private static let watchers = 4

        @Test(
            "50 times: nothing acknowledged is lost or torn, revisions only grow, watches go on without a gap"
        )
        func kills() async throws {
            let folder = try ScratchFolder("kill")
            let book = Book()
            var watchers: [ReplayingWatcher] = []
            for round in 0...Self.rounds {
                let server = try APIProcess.start(in: folder.path)
                let client = KubernetesClient(transport: try server.connect())
                if round == 0 {
                    _ = try await client.create(Namespace(metadata: ObjectMeta(name: Self.namespace)))
                }
                let list = try await client.list(ConfigMap.self, namespace: Self.namespace)
                let revision = try #require(UInt64(list.metadata.resourceVersion))
                let found = Dictionary(
                    uniqueKeysWithValues: list.items.map { ($0.metadata.name, Ledger.State($0)) })
                await book.verify(found, at: revision)
                if round == 0 {
                    watchers = Array(repeating: ReplayingWatcher(after: revision), count: Self.watchers)
                }
                if round < Self.rounds {
                    await book.kill(server, afterWrites: Int.random(in: 1...200))
                    watchers = try await load(server, book, watchers)
                } else {
                    // The last one lives: everybody hears the end of the story.
                    _ = try await client.create(
                        ConfigMap(metadata: ObjectMeta(name: "farewell", namespace: Self.namespace)))
                    watchers = try await watch(server, watchers)
                    for watcher in watchers {
                        var states = watcher.states
                        states["farewell"] = nil
                        #expect(states == found, "what was heard leads to what is there")
                    }
                    server.end()
                }
                let failures = await book.ledger.failures + watchers.flatMap(\.failures)
                try #require(failures == [], "round \(round)")
            }
            #expect(await book.ledger.acknowledged > Self.rounds)
            #expect(Set(watchers.map(\.count)).count == 1, "all heard the same number of events")
        }

        /// Writers write and watchers watch until the server is gone.
        private func load(
            _ server: APIProcess, _ book: Book, _ watchers: [ReplayingWatcher]
        ) async throws -> [ReplayingWatcher] {
            async let watching = watch(server, watchers)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<Self.writers {
                    let client = KubernetesClient(transport: try server.connect())
                    group.addTask { await write(as: writer, client, book) }
                }
                try await group.waitForAll()
            }
            let watchers = try await watching
            for watcher in watchers { await book.heard(of: watcher.revision) }
            return watchers
        }

        private func write(as writer: Int, _ client: KubernetesClient, _ book: Book) async {
            do {
                while true {
                    let name = "w\(writer)-\(Int.random(in: 0..<12))"
                    let filler = String(repeating: "0123456789abcdef", count: Int.random(in: 0..<200))
                    let map = ConfigMap(
                        metadata: ObjectMeta(name: name, namespace: Self.namespace),
                        data: ["content": "\(filler) \(UInt64.random(in: .min ... .max))"])
                    if await book.ledger.states[name] == nil {
                        await book.ask(name, content: map.data["content"])
                        await book.acknowledge(try await client.create(map))
                    } else if Int.random(in: 0..<5) == 0 {
                        await book.ask(name, content: nil)
                        try await client.delete(ConfigMap.self, name: name, namespace: Self.namespace)
                        await book.acknowledgeDeletion(of: name)
                    } else {
                        await book.ask(name, content: map.data["content"])
                        await book.acknowledge(try await client.update(map))
                    }
                }
            } catch let error as APIError {
                await book.note("a write was refused: \(error.status.message)")
            } catch {
                // The server is gone, as it is meant to be.
            }
        }

        /// Every watcher goes on from where it was, to the farewell or to the server's end.
        private func watch(
            _ server: APIProcess, _ watchers: [ReplayingWatcher]
        ) async throws -> [ReplayingWatcher] {
            try await withThrowingTaskGroup(of: ReplayingWatcher.self) { group in
                for watcher in watchers {
                    let client = KubernetesClient(transport: try server.connect())
                    group.addTask {
                        var watcher = watcher
                        do {
                            let events = try await client.watch(
                                ConfigMap.self, namespace: Self.namespace,
                                resourceVersion: String(watcher.revision))
                            for try await event in events {
                                watcher.hear(event)
                                if watcher.states["farewell"] != nil { break }
                            }
                        } catch {
                            // The server is gone, as it is meant to be.
                        }
                        return watcher
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
        }
    }

    /// The ledger, shared by writers, and the end of the server once enough was acknowledged.
    private actor Book {
        private(set) var ledger = Ledger()
        private var server: APIProcess?
        private var left = 0

        func kill(_ server: APIProcess, afterWrites count: Int) {
            self.server = server
            left = count
        }

        func verify(_ found: [String: Ledger.State], at revision: UInt64) {
            ledger.verify(found, at: revision)
        }

        func ask(_ name: String, content: String?) { ledger.ask(name, content: content) }

        func acknowledge(_ object: ConfigMap) {
            ledger.acknowledge(object.metadata.name, revision: UInt64(object.metadata.resourceVersion))
            count()
        }

        func acknowledgeDeletion(of name: String) {
            ledger.acknowledge(name, revision: nil)
            count()
        }

        func heard(of revision: UInt64) { ledger.heard(of: revision) }

        func note(_ failure: String) { ledger.note(failure) }

        private func count() {
            left -= 1
            if left == 0 { server?.end(SIGKILL) }
        }
    }
}
