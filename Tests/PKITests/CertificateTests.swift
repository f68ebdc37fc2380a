import FoundationEssentials
import Glibc
import PKI
import Testing
import X509

/// A folder for the duration of a test.
private func withFolder<Result>(_ test: (String) async throws -> Result) async throws -> Result {
    let folder = TemporaryFolder.make()
    defer { TemporaryFolder.remove(folder) }
    return try await test(folder)
}

private enum TemporaryFolder {
    static func make() -> String { "/tmp/swiftlet-pki-\(UInt64.random(in: 0...UInt64.max))" }

    static func remove(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }
}

private func mode(_ path: String) -> mode_t {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
}

/// Runs openssl; nil if there is none.
private func openssl(_ arguments: [String]) -> Int32? {
    guard
        let program = ["/usr/bin/openssl", "/usr/local/bin/openssl"].first(where: { (path: String) in
            access(path, X_OK) == 0
        })
    else { return nil }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    defer { for pointer in argv { free(pointer) } }
    argv.append(nil)
    var process: pid_t = 0
    guard posix_spawn(&process, program, &actions, nil, argv, environ) == 0 else { return -1 }
    var status: Int32 = 0
    guard waitpid(process, &status, 0) == process else { return -1 }
    return (status >> 8) & 0xff
}

@Suite("The certificate authority")
struct CertificateTests {
    @Test("An authority is created once, for its owner only, and loaded again")
    func loadOrCreate() async throws {
        try await withFolder { folder in
            let first = try CertificateAuthority.load(orCreateIn: folder + "/pki")
            let second = try CertificateAuthority.load(orCreateIn: folder + "/pki")
            #expect(first.certificatePEM == second.certificatePEM)
            #expect(mode(folder + "/pki/ca.key") == 0o600)
            #expect(mode(folder + "/pki/ca.crt") == 0o600)
            #expect(mode(folder + "/pki") == 0o700)
        }
    }

    @Test("Half an authority is not replaced silently", arguments: ["ca.crt", "ca.key"])
    func half(_ lost: String) async throws {
        try await withFolder { folder in
            _ = try CertificateAuthority.load(orCreateIn: folder)
            unlink(folder + "/" + lost)
            let error = #expect(throws: PKIError.self) { try CertificateAuthority.load(orCreateIn: folder) }
            #expect(error?.code == .file)
        }
    }

    @Test("Certificate and key have to belong together")
    func mismatch() throws {
        let one = try CertificateAuthority().issueClient(commonName: "a", organizations: [])
        let other = try CertificateAuthority().issueClient(commonName: "b", organizations: [])
        let error = #expect(throws: PKIError.self) {
            try CertificateAuthority(
                KeyPair(certificatePEM: one.certificatePEM, privateKeyPEM: other.privateKeyPEM))
        }
        #expect(error?.code == .mismatch)
    }

    @Test("An authority whose time is over says so")
    func over() async throws {
        try await withFolder { folder in
            let now = Date()
            _ = try CertificateAuthority.load(orCreateIn: folder, at: now)
            let later = now + 11 * 365 * 86400
            let error = #expect(throws: PKIError.self) {
                try CertificateAuthority.load(orCreateIn: folder, at: later)
            }
            #expect(error?.code == .expired)
        }
    }

    @Test("A client's name and groups come back in order, from its certificate")
    func identity() async throws {
        let authority = try CertificateAuthority()
        let pair = try authority.issueClient(
            commonName: "system:node:würfel", organizations: ["system:nodes", "b", "a"])
        let found = try await PKI.identity(derEncoded: pair.derEncodedChain(), trustedBy: authority)
        #expect(
            found
                == ClientIdentity(
                    commonName: "system:node:würfel", organizations: ["system:nodes", "b", "a"]))
    }

    @Test("Strangers, servers, and yesterday's or tomorrow's clients are refused")
    func refused() async throws {
        let authority = try CertificateAuthority()
        let verifier = ClientCertificateVerifier(trusting: authority)
        let now = Date()
        func code(_ pair: KeyPair, at time: Date = now) async -> PKIError.Code? {
            do throws(PKIError) {
                _ = try await verifier.identity(derEncoded: pair.derEncodedChain(), at: time)
                return nil
            } catch {
                return error.code
            }
        }
        let good = try authority.issueClient(commonName: "a", organizations: [])
        #expect(await code(good) == nil)
        // The second look is answered from memory, and keeps to the certificate's time all the same.
        #expect(await code(good) == nil)
        #expect(await code(good, at: now + 366 * 86400) == .expired)
        #expect(await code(good, at: now - 86400) == .expired)
        let impostor = try CertificateAuthority(commonName: "swiftlet-ca")
        #expect(await code(try impostor.issueClient(commonName: "a", organizations: [])) == .untrusted)
        #expect(await code(try authority.issueServer(names: ["a"], addresses: [])) == .untrusted)
        #expect(await code(try authority.issueClient(commonName: "", organizations: ["x"])) == .malformed)
        await #expect(throws: PKIError.self) { try await verifier.identity(derEncoded: []) }
        await #expect(throws: PKIError.self) { try await verifier.identity(derEncoded: [[1, 2, 3]]) }
    }

    @Test("A changed byte anywhere in a certificate is noticed")
    func tampered() async throws {
        let authority = try CertificateAuthority()
        let der = try authority.issueClient(commonName: "alice", organizations: ["users"]).derEncodedChain()
        let verifier = ClientCertificateVerifier(trusting: authority)
        for index in Swift.stride(from: 0, to: der[0].count, by: 3) {
            var changed = der
            changed[0][index] ^= 0x41
            await #expect(throws: PKIError.self, "byte \(index)") {
                try await verifier.identity(derEncoded: changed)
            }
        }
    }

    @Test("A server certificate is kept while it fits, and issued anew when it does not")
    func kept() async throws {
        try await withFolder { folder in
            let authority = try CertificateAuthority.load(orCreateIn: folder)
            let now = Date()
            func server(
                _ names: [String], _ addresses: [String], by authority: CertificateAuthority, at time: Date
            ) throws -> String {
                try authority.server(
                    in: folder, file: "apiserver", names: names, addresses: addresses, at: time
                ).certificatePEM
            }
            let first = try server(["kubernetes"], ["10.96.0.1", "::1"], by: authority, at: now)
            #expect(try server(["kubernetes"], ["::1", "10.96.0.1"], by: authority, at: now) == first)
            #expect(
                try server(["kubernetes"], ["::1", "10.96.0.1"], by: authority, at: now + 86400) == first)
            let more = try server(["kubernetes", "node"], ["10.96.0.1"], by: authority, at: now)
            #expect(more != first)
            let renewed = try server(
                ["kubernetes", "node"], ["10.96.0.1"], by: authority, at: now + 300 * 86400)
            #expect(renewed != more)
            let other = try CertificateAuthority()
            let foreign = try server(["kubernetes", "node"], ["10.96.0.1"], by: other, at: now + 300 * 86400)
            #expect(foreign != renewed)
            #expect(mode(folder + "/apiserver.key") == 0o600)
            // A file that somebody spoiled is replaced as well.
            let path = folder + "/apiserver.crt"
            let file = open(path, O_WRONLY | O_TRUNC)
            close(file)
            #expect(
                try server(["kubernetes", "node"], ["10.96.0.1"], by: other, at: now + 300 * 86400) != foreign
            )
        }
    }

    @Test("A client certificate is kept while it says the same")
    func keptClient() async throws {
        try await withFolder { folder in
            let authority = try CertificateAuthority.load(orCreateIn: folder)
            func client(_ organizations: [String]) throws -> KeyPair {
                try authority.client(
                    in: folder, file: "admin", commonName: "kubernetes-admin", organizations: organizations)
            }
            let first = try client(["system:masters"])
            #expect(try client(["system:masters"]) == first)
            #expect(try client(["users"]) != first)
        }
    }

    @Test(
        "What is not an address is not put into a certificate",
        arguments: ["", "localhost", "1.2.3", "1.2.3.4/5"])
    func badAddress(_ address: String) throws {
        let authority = try CertificateAuthority()
        let error = #expect(throws: PKIError.self) {
            try authority.issueServer(names: [], addresses: [address])
        }
        #expect(error?.code == .malformed)
    }

    @Test("OpenSSL agrees", .enabled(if: openssl(["version"]) != nil))
    func otherImplementation() async throws {
        try await withFolder { folder in
            let authority = try CertificateAuthority.load(orCreateIn: folder)
            _ = try authority.server(in: folder, file: "server", names: ["example"], addresses: ["192.0.2.1"])
            _ = try authority.client(in: folder, file: "client", commonName: "c", organizations: ["o"])
            let ca = ["-CAfile", folder + "/ca.crt", "-x509_strict"]
            func verify(_ arguments: [String], _ file: String) -> Int32? {
                openssl(["verify"] + ca + arguments + [folder + "/" + file])
            }
            #expect(verify(["-purpose", "sslserver", "-verify_hostname", "example"], "server.crt") == 0)
            #expect(verify(["-purpose", "sslserver", "-verify_ip", "192.0.2.1"], "server.crt") == 0)
            #expect(verify(["-purpose", "sslclient"], "client.crt") == 0)
            #expect(verify(["-purpose", "sslclient"], "server.crt") != 0)
            #expect(verify(["-purpose", "sslserver", "-verify_ip", "192.0.2.2"], "server.crt") != 0)
            #expect(openssl(["pkey", "-in", folder + "/client.key", "-noout"]) == 0)
        }
    }
}
