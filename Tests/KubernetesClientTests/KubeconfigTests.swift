import Glibc
import KubernetesClient
import Testing

@Suite struct KubeconfigTests {
    private let text = """
        apiVersion: v1
        kind: Config
        current-context: here
        clusters:
        - name: local
          cluster:
            server: https://127.0.0.1:6443
            certificate-authority-data: Q0E=
            tls-server-name: kubernetes
        - name: far
          cluster: {server: "https://far.example:8443/k8s/", certificate-authority: ca.pem}
        - name: careless
          cluster: {server: http://x, insecure-skip-tls-verify: true}
        users:
        - name: admin
          user:
            client-certificate-data: Q0VSVA==
            client-certificate: /ignored.pem
            client-key: keys/admin.key
        - name: robot
          user: {token: abc, tokenFile: token}
        - name: cloud
          user: {exec: {command: aws}}
        - name: nobody
          user:
        contexts:
        - name: here
          context: {cluster: local, user: admin, namespace: web}
        - name: there
          context: {cluster: far, user: robot}
        - name: cloudy
          context: {cluster: local, user: cloud}
        - name: broken
          context: {cluster: none, user: admin}
        - name: open
          context: {cluster: careless, user: nobody}
        """

    @Test func readsWhatKubectlReads() throws {
        let config = try Kubeconfig(yaml: text, directory: "/etc/kube")
        let here = try config.select()
        #expect(here.cluster.server == "https://127.0.0.1:6443")
        #expect(here.cluster.certificateAuthority == .inline(Array("CA".utf8)))
        #expect(here.cluster.tlsServerName == "kubernetes")
        #expect(here.user.clientCertificate == .inline(Array("CERT".utf8)), "data go before files")
        #expect(here.user.clientKey == .file("/etc/kube/keys/admin.key"))
        #expect(here.namespace == "web")
        let there = try config.select(context: "there")
        #expect(there.cluster.certificateAuthority == .file("/etc/kube/ca.pem"))
        #expect(there.user.token == .file("/etc/kube/token"), "the file goes before the token")
        #expect(there.namespace == "default")
        let open = try config.select(context: "open")
        #expect(open.cluster.skipsTLSVerify && open.user == Kubeconfig.User())
        #expect(try config.select(context: "cloudy").user.unsupported == "exec")
    }

    private func message(_ yaml: String, context: String? = nil) -> String {
        do throws(KubeconfigError) {
            _ = try Kubeconfig(yaml: yaml).select(context: context)
            return "fine"
        } catch {
            return error.message
        }
    }

    @Test func saysWhatIsWrong() {
        #expect(
            message(text, context: "nowhere")
                == #"the kubeconfig has no context "nowhere"; it has: broken, cloudy, here, open, there"#)
        #expect(
            message(text, context: "broken")
                == #"context "broken" names cluster "none", which is not there"#)
        #expect(message("") == "the kubeconfig has no current-context; name one of: ")
        #expect(message("{") == "kubeconfig is not YAML")
        #expect(
            message("- a") == "kubeconfig should be a mapping with clusters, users and contexts")
        #expect(message("clusters: 7") == "kubeconfig: clusters should be a list")
        #expect(message("users: [{user: {}}]") == "kubeconfig: users[0] has no name")
        #expect(
            message("clusters: [{name: a, cluster: 1}]")
                == "kubeconfig: clusters[0].cluster should be a mapping")
        #expect(message("clusters: [{name: a}]") == #"kubeconfig: cluster "a" has no server"#)
        #expect(
            message("users: [{name: a, user: {client-key-data: '?'}}]")
                == "kubeconfig: client-key-data is not base64")
    }

    /// Thousands of damaged files: read or refused, never a crash.
    @Test func damagedFilesAreErrors() {
        var random = Seeded(5)
        var errors = 0
        for _ in 0..<2000 {
            var bytes = Array(text.utf8)
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                if Bool.random(using: &random) {
                    bytes[at] = UInt8.random(in: 0...255, using: &random)
                } else {
                    bytes.removeSubrange(at..<min(bytes.count, at + 9))
                }
            }
            do throws(KubeconfigError) {
                _ = try Kubeconfig(yaml: String(decoding: bytes, as: UTF8.self)).select()
            } catch {
                errors += 1
            }
        }
        #expect(errors > 100)
    }

    @Test func transportsAreMadeOfIt() throws {
        var config = try Kubeconfig(yaml: text, directory: "/nonexistent")
        _ = try HTTPSTransport(kubeconfig: config, context: "open")
        #expect(throws: KubeconfigError.self, "exec is not supported") {
            try HTTPSTransport(kubeconfig: config, context: "cloudy")
        }
        #expect(throws: KubeconfigError.self, "its files are not there") {
            try HTTPSTransport(kubeconfig: config)
        }
        config.users["admin"]?.clientKey = nil
        do {
            _ = try HTTPSTransport(kubeconfig: config)
            Issue.record("a certificate without a key is of no use")
        } catch let error as KubeconfigError {
            #expect(error.message == "the user has a client-certificate but no client-key")
        }
    }

    @Test func filesAreReadOrMissed() throws {
        #expect(throws: KubeconfigError.self) { try Kubeconfig.load(path: "/nonexistent/config") }
        var template = Array("/tmp/swiftlet-kubeconfig-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        let path = try #require(
            template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } })
        defer { unlink(path) }
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } == bytes.count)
        close(file)
        let config = try Kubeconfig.load(path: path)
        #expect(config.users["admin"]?.clientKey == .file("/tmp/keys/admin.key"))
    }
}

@Suite struct ServerURLTests {
    private func parts(_ text: String) -> String {
        do throws(KubeconfigError) {
            let url = try ServerURL(text)
            return "\(url.isTLS) \(url.host) \(url.port) \(url.path)"
        } catch {
            return "malformed"
        }
    }

    @Test func readsServers() {
        #expect(parts("https://127.0.0.1:6443") == "true 127.0.0.1 6443 ")
        #expect(parts("https://far.example/k8s/clusters/c-1/") == "true far.example 443 /k8s/clusters/c-1")
        #expect(parts("https://[fd00::1]:6443/") == "true fd00::1 6443 ")
        #expect(parts("http://localhost:8080") == "false localhost 8080 ")
        #expect(parts("localhost") == "false localhost 80 ")
        #expect(parts("https://h?x=1") == "true h 443 ")
    }

    @Test(arguments: [
        "", "https://", "https://:6443", "https://h:", "https://h:0", "https://h:65536", "https://h:x",
        "ftp://h", "https://[::1", "https://[::1]6443", "https://a:b@h", "https://::1",
    ])
    func refusesOthers(text: String) {
        #expect(parts(text) == "malformed")
    }
}
