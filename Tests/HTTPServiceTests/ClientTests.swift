import HTTPService
import PKI
import Synchronization
import Testing

@Suite("The client")
struct ClientTests {
    @Test("Requests that follow each other share a connection", arguments: Wire.allCases)
    func reuse(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls) {
            HTTPResponse(text: $0.target)
        } _: { server, port in
            let client = try wire.client(port)
            for number in 0..<20 {
                let response = try await client.send(HTTPRequest(target: "/n?x=\(number)"))
                #expect(try await response.text() == "/n?x=\(number)")
            }
            #expect(server.connectionCount == 1)
        }
    }

    @Test("Many requests at once all get their own answer", arguments: Wire.allCases)
    func concurrent(_ wire: Wire) async throws {
        try await withServer(tls: wire.tls) {
            HTTPResponse(text: $0.path)
        } _: { server, port in
            let client = try wire.client(port)
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        try await client.send(HTTPRequest(path: "/\(number)")).text() == "/\(number)"
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
            if wire == .http2 { #expect(server.connectionCount == 1) }
        }
    }

    @Test("A connection that the server closed while it was idle is replaced")
    func stale() async throws {
        var configuration = loopback()
        configuration.idleTimeout = .milliseconds(20)
        try await withServer(configuration) {
            HTTPResponse(text: $0.path)
        } _: { server, port in
            let client = try plainClient(port)
            for number in 0..<5 {
                #expect(try await client.send(HTTPRequest(path: "/\(number)")).text() == "/\(number)")
                while server.connectionCount > 0 { await Task.yield() }
            }
        }
    }

    @Test("Bearer token, host and length are sent along")
    func headers() async throws {
        try await withServer { request in
            let names = ["host", "authorization", "content-length"]
            return HTTPResponse(
                text: names.map { request.headers.first(name: $0) ?? "-" }.joined(separator: " "))
        } _: { _, port in
            var configuration = ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: port))
            configuration.bearerToken = { "abc" }
            let client = try HTTPClient(configuration)
            let get = try await client.send(HTTPRequest(path: "/"))
            #expect(try await get.text() == "127.0.0.1:\(port) Bearer abc -")
            let post = try await client.send(HTTPRequest(method: .POST, path: "/"))
            #expect(try await post.text() == "127.0.0.1:\(port) Bearer abc 0")
        }
    }

    @Test("A server that does not answer is given up")
    func timeout() async throws {
        let cancelled = Event()
        try await withServer { _ in
            for await _ in AsyncStream<Never>.makeStream().stream {}
            cancelled.happen()
            return HTTPResponse()
        } _: { _, port in
            var configuration = ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: port))
            configuration.responseTimeout = .milliseconds(20)
            let client = try HTTPClient(configuration)
            let error = await #expect(throws: HTTPError.self) {
                try await client.send(HTTPRequest(path: "/"))
            }
            #expect(error?.code == .timeout)
            await cancelled.wait()
        }
    }

    @Test("Nobody there is a failure to connect")
    func refused() async throws {
        // A port that was just free.
        let port = try await withServer { _ in
            HTTPResponse()
        } _: { _, port in
            port
        }
        let client = try plainClient(port)
        let error = await #expect(throws: HTTPError.self) { try await client.send(HTTPRequest(path: "/")) }
        #expect(error?.code == .connectFailed)
    }

    @Test("A closed client takes no more requests")
    func closed() async throws {
        try await withServer { _ in
            HTTPResponse()
        } _: { server, port in
            let client = try plainClient(port)
            _ = try await client.send(HTTPRequest(path: "/")).text()
            await client.close()
            let error = await #expect(throws: HTTPError.self) {
                try await client.send(HTTPRequest(path: "/"))
            }
            #expect(error?.code == .closed)
            while server.connectionCount > 0 { await Task.yield() }
        }
    }
}

@Suite("TLS and client certificates")
struct TLSTests {
    @Test("The chain of a client certificate reaches the responder", arguments: [false, true])
    func certificate(_ http2: Bool) async throws {
        let pki = try TestPKI.shared.get()
        let identity = try pki.authority.issueClient(commonName: "alice", organizations: ["admins", "devs"])
        let verifier = ClientCertificateVerifier(trusting: pki.authority)
        try await withServer(tls: pki.server) { request in
            guard case .certificates(let chain) = request.peer else { return HTTPResponse(text: "nobody") }
            do throws(PKIError) {
                let found = try await verifier.identity(derEncoded: chain)
                return HTTPResponse(
                    text: "\(found.commonName) \(found.organizations) \(request.remoteAddress)")
            } catch {
                return HTTPResponse(status: .unauthorized, text: "\(error.code)")
            }
        } _: { _, port in
            let client = try pki.client(port, http2: http2, identity: identity)
            for _ in 0..<3 {
                let response = try await client.send(HTTPRequest(path: "/"))
                #expect(try await response.text() == "alice [\"admins\", \"devs\"] 127.0.0.1")
            }
            let nobody = try await pki.client(port, http2: http2).send(HTTPRequest(path: "/"))
            #expect(try await nobody.text() == "nobody")
        }
    }

    @Test("A certificate of somebody else is the responder's business, not a broken handshake")
    func stranger() async throws {
        let pki = try TestPKI.shared.get()
        let other = try CertificateAuthority(commonName: "other")
        let identity = try other.issueClient(commonName: "alice", organizations: ["system:masters"])
        let verifier = ClientCertificateVerifier(trusting: pki.authority)
        try await withServer(tls: pki.server) { request in
            guard case .certificates(let chain) = request.peer else { return HTTPResponse(text: "nobody") }
            let error = await #expect(throws: PKIError.self) {
                try await verifier.identity(derEncoded: chain)
            }
            return HTTPResponse(status: .unauthorized, text: error.map { "\($0.code)" } ?? "trusted")
        } _: { _, port in
            let response = try await pki.client(port, http2: true, identity: identity)
                .send(HTTPRequest(path: "/"))
            #expect(response.status == .unauthorized)
            #expect(try await response.text() == "untrusted")
        }
    }

    @Test("A client refuses a server that its authority did not sign")
    func untrustedServer() async throws {
        let pki = try TestPKI.shared.get()
        let other = try CertificateAuthority(commonName: "other")
        try await withServer(tls: pki.server) { _ in
            HTTPResponse()
        } _: { _, port in
            var configuration = ClientConfiguration(endpoint: .tcp(host: "127.0.0.1", port: port))
            configuration.tls = .init(trust: .authorities(pem: other.certificatePEM))
            let client = try HTTPClient(configuration)
            let error = await #expect(throws: HTTPError.self) {
                try await client.send(HTTPRequest(path: "/"))
            }
            #expect(error?.code == .tls)
            configuration.tls = .init(trust: .anything)
            #expect(try await HTTPClient(configuration).send(HTTPRequest(path: "/")).status == .ok)
        }
    }

    @Test("A certificate can be replaced while the server runs")
    func replaced() async throws {
        let pki = try TestPKI.shared.get()
        let other = try CertificateAuthority(commonName: "other")
        let pair = try other.issueServer(names: [], addresses: ["127.0.0.1"])
        try await withServer(tls: pki.server) { _ in
            HTTPResponse()
        } _: { server, port in
            #expect(try await pki.client(port, http2: true).send(HTTPRequest(path: "/")).status == .ok)
            try server.replaceTLS(
                .init(certificateChainPEM: pair.certificatePEM, privateKeyPEM: pair.privateKeyPEM))
            await #expect(throws: HTTPError.self) {
                _ = try await pki.client(port, http2: true).send(HTTPRequest(path: "/"))
            }
        }
    }
}
