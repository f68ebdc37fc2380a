import APIServer
import HTTPService
import HostileInput
import KubernetesJSON
import Logging
import Synchronization
import Testing

/// The API server behind a real socket, and clients that do not keep to the rules.
@Suite struct HostileTests {
    /// An API server on loopback that takes everybody for an administrator.
    private func withAPI(
        timeout: Duration = .seconds(60), _ test: (HTTPServer, Int) async throws -> Void
    ) async throws {
        let api = try await Harness { $0.requestTimeout = timeout }
        let server = try HTTPServer(
            ServerConfiguration(addresses: [.tcp(host: "127.0.0.1", port: 0)]),
            responder: ClosureResponder { request in
                var request = request
                request.peer = .inProcess(user: "admin", groups: ["system:masters"])
                return await api.server.respond(to: request)
            }, logger: Logger(label: "swiftlet.test") { _ in SwiftLogNoOpLogHandler() })
        guard case .tcp(_, let port)? = try await server.bind().first else { return }
        do {
            try await test(server, port)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    private func isServed(_ port: Int) async throws -> Bool {
        let client = try HTTPClient(ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: port)))
        return try await client.send(HTTPRequest(path: Harness.maps)).status == .ok
    }

    /// Sends bytes as they are and returns what comes until the server ends the connection.
    private func answer(_ port: Int, _ pieces: [UInt8]...) async throws -> String {
        let socket = try RawSocket(port: port)
        defer { socket.close() }
        return await socket.exchange(pieces)
    }

    private func post(_ length: Int, type: String = "application/json") -> [UInt8] {
        Array(
            ("POST \(Harness.maps) HTTP/1.1\r\nHost: x\r\nContent-Type: \(type)\r\nConnection: close\r\n"
                + "Content-Length: \(length)\r\n\r\n").utf8)
    }

    @Test func bodiesThatAreTooLarge() async throws {
        try await withAPI { _, port in
            let body = [UInt8](repeating: UInt8(ascii: " "), count: 4 << 20)
            let text = try await answer(port, post(body.count), body)
            #expect(text.hasPrefix("HTTP/1.1 413 "))
            #expect(text.contains(#""message":"Request entity too large: limit is 3145728""#))
            // Nobody waits for what is announced to be too large.
            let announced = try await answer(port, post(1 << 40))
            #expect(announced.hasPrefix("HTTP/1.1 413 "), "\(announced)")
            #expect(try await isServed(port))
        }
    }

    @Test func bodiesThatNeverEnd() async throws {
        // Long enough for what the server does at its start on a busy machine.
        try await withAPI(timeout: .seconds(5)) { _, port in
            let text = try await answer(port, post(100), Array(#"{"metadata":"#.utf8))
            #expect(text.hasPrefix("HTTP/1.1 504 "), "\(text)")
            #expect(text.contains("request did not complete within the allotted timeout"))
            #expect(try await isServed(port))
        }
    }

    @Test func textThatIsNoUTF8() async throws {
        try await withAPI { _, port in
            let body =
                Array(#"{"metadata":{"name":"a"},"data":{"a":""#.utf8) + [0xFF, 0xFE] + Array(#""}}"#.utf8)
            for type in ["application/json", "application/yaml"] {
                let text = try await answer(port, post(body.count, type: type), body)
                #expect(text.hasPrefix("HTTP/1.1 400 "), "\(type): \(text)")
            }
            for target in ["/api/v1/namespaces/%FF/pods", "/api/v1/pods?labelSelector=%FF%FE", "/%c0%80"] {
                let line = "GET \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                let text = try await answer(port, Array(line.utf8))
                #expect(text.hasPrefix("HTTP/1.1 4"), "\(target): \(text)")
            }
            let header =
                Array("GET \(Harness.maps) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: ".utf8)
                + [0xFF, 0x80] + Array("\r\n\r\n".utf8)
            let text = try await answer(port, header)
            #expect(text.hasPrefix("HTTP/1.1 4"), "\(text)")
            #expect(try await isServed(port))
        }
    }

    @Test func deepNestingOverTheWire() async throws {
        try await withAPI { _, port in
            for opening in ["[", #"{"a":"#, "- ", "? "] {
                for type in ["application/json", "application/yaml"] {
                    let body = Array(String(repeating: opening, count: 100_000).utf8)
                    let text = try await answer(port, post(body.count, type: type), body)
                    #expect(text.hasPrefix("HTTP/1.1 400 "), "\(opening) \(type): \(text.prefix(300))")
                }
            }
            #expect(try await isServed(port))
        }
    }
}
