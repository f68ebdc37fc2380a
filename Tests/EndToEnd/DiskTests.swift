import APILoad
import BenchmarkSupport
import Glibc
import HTTPService
import KubernetesAPI
import KubernetesClient
import Testing

extension EndToEndTests {
    /// The API server by itself, on disks that do not do what they should.
    @Suite("Full, read-only and damaged disks", .serialized)
    struct DiskTests {
        private static let path = "/api/v1/namespaces/default/configmaps"

        /// Writes until a write fails.
        ///
        /// - Returns: the names of what was acknowledged, and the failure.
        private func fill(
            _ client: KubernetesClient, from first: Int
        ) async throws -> (acknowledged: [String], failure: APIError) {
            var acknowledged: [String] = []
            let filler = String(repeating: "0123456789abcdef", count: 2048)
            for number in first..<(first + 2000) {
                let name = "full-\(number)"
                do {
                    _ = try await client.create(
                        ConfigMap(
                            metadata: ObjectMeta(name: name, namespace: "default"), data: ["content": filler])
                    )
                    acknowledged.append(name)
                } catch let error as APIError {
                    return (acknowledged, error)
                }
            }
            throw Command.Failure(description: "2000 writes did not fill the disk")
        }

        private func names(_ client: KubernetesClient) async throws -> [String] {
            try await client.list(ConfigMap.self, namespace: "default").items.map(\.metadata.name)
                .filter { $0.hasPrefix("full-") }
        }

        @Test("A full disk: a clear refusal, reads go on, and writes once there is room, without a restart")
        func full() async throws {
            let folder = try ScratchFolder("full")
            try await expect("mount -t tmpfs -o size=16m tmpfs \(folder.path)")
            try await expect("head -c 9000000 /dev/zero > \(folder.path)/ballast")
            var server = try APIProcess.start(in: folder.path)
            var client = KubernetesClient(transport: try server.connect())
            let start = try await client.list(ConfigMap.self, namespace: "default").metadata.resourceVersion

            var (acknowledged, failure) = try await fill(client, from: 0)
            #expect(acknowledged.count > 10)
            #expect(failure.status.code == 500)
            #expect(failure.status.reason == "")
            #expect(failure.status.message.contains("no room is left on the file system of \(folder.path)"))
            let seen = try await expect(
                "kubectl --kubeconfig \(folder.path)/server/admin.kubeconfig create configmap x 2>&1 || true")
            #expect(
                seen.output.hasPrefix("error: failed to create configmap: no room is left on the file system")
                    || seen.output.hasPrefix("Error from server: no room is left on the file system"),
                "\(seen)")

            // Reads go on, and show exactly what was acknowledged.
            #expect(try await names(client).sorted() == acknowledged.sorted())
            let watch = try await client.watch(
                ConfigMap.self, namespace: "default", resourceVersion: start)
            var heard: [String] = []
            for try await case .added(let object) in watch {
                heard.append(object.metadata.name)
                if heard.count == acknowledged.count { break }
            }
            #expect(heard == acknowledged)

            // Room again: writing goes on, without a restart.
            try await expect("truncate --size=6000000 \(folder.path)/ballast")
            let more = try await fill(client, from: 10_000)
            #expect(more.acknowledged.count > 5)
            acknowledged += more.acknowledged

            // A server that starts on a full disk serves what is there.
            server.end(SIGKILL)
            server = try APIProcess.start(in: folder.path)
            client = KubernetesClient(transport: try server.connect())
            #expect(try await names(client).sorted() == acknowledged.sorted())
            try await expect("rm \(folder.path)/ballast")
            #expect(try await fill(client, from: 20_000).acknowledged.count > 5)
            server.end()
        }

        @Test("A disk that is read-only, and a damaged database, refuse the start and say why")
        func refusals() async throws {
            let folder = try ScratchFolder("broken")
            try await expect("mount -t tmpfs -o size=64m tmpfs \(folder.path)")
            let server = try APIProcess.start(in: folder.path)
            let client = KubernetesClient(transport: try server.connect())
            for number in 0..<200 {
                _ = try await client.create(
                    ConfigMap(
                        metadata: ObjectMeta(name: "c\(number)", namespace: "default"),
                        data: ["content": String(repeating: "x", count: 1000)]))
            }
            #expect(server.end() == 0, "SIGTERM ends it with status 0")

            try await expect("mount -o remount,ro \(folder.path)")
            let readOnly = refusal(in: folder.path)
            #expect(readOnly.contains("cannot be written: Read-only file system"), "\(readOnly)")
            try await expect("mount -o remount,rw \(folder.path)")

            try await expect(
                "head -c 20000 /dev/urandom | dd of=\(folder.path)/server/state.db bs=1 seek=40000 conv=notrunc"
            )
            let damaged = refusal(in: folder.path)
            #expect(damaged.contains("is damaged"), "\(damaged)")
            #expect(damaged.contains("restore it from a backup"), "\(damaged)")
        }

        private func refusal(in folder: String) -> String {
            do {
                try APIProcess.start(in: folder).end()
                return "it started"
            } catch {
                return "\(error)"
            }
        }

        @Test("Watchers that do not read hold no memory, and are told to list again")
        func stalledWatchers() async throws {
            let folder = try ScratchFolder("stalled")
            let server = try APIProcess.start(in: folder.path)
            let writer = try server.connect()
            let target = Self.path + "?watch=true&timeoutSeconds=3600"
            var bodies: [ByteStream] = []
            for number in 0..<20 {
                let transport = try server.connect(offersHTTP2: number.isMultiple(of: 2))
                bodies.append(try await transport.send(HTTPRequest(method: .GET, target: target)).body)
            }
            let filler = String(repeating: "0123456789abcdef", count: 6400)
            func write(_ numbers: Range<Int>) async throws {
                for number in numbers {
                    let body = Payloads.configMap("large", namespace: "default", value: "\(filler)\(number)")
                    if number == 0 {
                        try await writer.exchange(.POST, Self.path, body, expecting: 201)
                    } else {
                        try await writer.exchange(.PUT, Self.path + "/large", body)
                    }
                }
            }
            try await write(0..<150)
            let before = server.residentMemory()
            try await write(150..<300)
            let after = server.residentMemory()
            #expect(after < before + 32, "\(before) MiB became \(after) MiB")

            for body in bodies { #expect(await isEnded(body)) }
            server.end()
        }

        /// Whether a watch ends by saying that its revision is gone, or by being cut off: its client lists again.
        private func isEnded(_ body: ByteStream) async -> Bool {
            var lines = LineSplitter()
            do {
                for try await chunk in body {
                    for line in try lines.append(chunk) where WatchedEvent(line: line).type == "ERROR" {
                        return String(decoding: line, as: UTF8.self).contains("too old resource version")
                    }
                }
                return false
            } catch {
                return error is HTTPError
            }
        }

        @Test("Many watchers and writers: every event once and in order")
        func soak() async throws {
            let folder = try ScratchFolder("soak")
            let server = try APIProcess.start(in: folder.path)
            var soak = Soak(duration: .seconds(5))
            soak.watchers = 60
            soak.writers = 8
            let outcome = try await soak.run(on: server, namespace: "default")
            #expect(outcome.failures == [])
            #expect(outcome.events > 50)
            #expect(
                outcome.memoryAfter < outcome.memoryHalfway + 64,
                "\(outcome.memoryHalfway) MiB became \(outcome.memoryAfter) MiB")
            server.end()
        }
    }
}
