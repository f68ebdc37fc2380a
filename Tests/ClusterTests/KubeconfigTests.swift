import Cluster
import Testing
import Yams

@Suite("The user's kubeconfig")
struct KubeconfigTests {
    private let ours = KubeconfigEntry(
        server: "https://127.0.0.1:6443", certificateAuthority: Array("ca".utf8),
        clientCertificate: Array("certificate".utf8), clientKey: Array("key".utf8))

    private let users = """
        apiVersion: v1
        kind: Config
        preferences: {colors: true}
        current-context: work
        clusters:
        - name: work
          cluster: {server: "https://work.example:443"}
        contexts:
        - name: work
          context: {cluster: work, user: me, namespace: team}
        users:
        - name: me
          user: {token: secret}
        """

    private func load(_ text: String) throws -> Node { try #require(try Yams.compose(yaml: text)) }

    @Test("A file of its own has everything kubectl asks for")
    func document() throws {
        let node = try load(ours.document())
        #expect(node["apiVersion"]?.string == "v1")
        #expect(node["kind"]?.string == "Config")
        #expect(node["current-context"]?.string == "swiftlet")
        #expect(node["clusters"]?[0]?["cluster"]?["server"]?.string == "https://127.0.0.1:6443")
        #expect(node["clusters"]?[0]?["cluster"]?["certificate-authority-data"]?.string == "Y2E=")
        #expect(node["contexts"]?[0]?["context"]?["user"]?.string == "swiftlet")
        #expect(node["users"]?[0]?["user"]?["client-certificate-data"]?.string == "Y2VydGlmaWNhdGU=")
        #expect(node["users"]?[0]?["user"]?["client-key-data"]?.string == "a2V5")
    }

    @Test("Merging keeps what others put there, and merging again changes nothing")
    func merge() throws {
        let merged = try ours.merged(into: users)
        let node = try load(merged)
        #expect(node["current-context"]?.string == "swiftlet")
        #expect(node["clusters"]?.sequence?.count == 2)
        #expect(node["clusters"]?[0]?["cluster"]?["server"]?.string == "https://work.example:443")
        #expect(node["contexts"]?[0]?["context"]?["namespace"]?.string == "team")
        #expect(node["users"]?[0]?["user"]?["token"]?.string == "secret")
        #expect(node["preferences"]?["colors"]?.bool == true)
        #expect(try ours.merged(into: merged) == merged)
    }

    @Test("A new certificate replaces the old entry")
    func renew() throws {
        var renewed = ours
        renewed.clientKey = Array("other".utf8)
        let node = try load(renewed.merged(into: ours.merged(into: users)))
        #expect(node["users"]?.sequence?.count == 2)
        #expect(node["users"]?[1]?["user"]?["client-key-data"]?.string == "b3RoZXI=")
    }

    @Test("Removing takes out ours alone")
    func remove() throws {
        let text = try #require(try KubeconfigEntry.removed(from: ours.merged(into: users)))
        let node = try load(text)
        #expect(node["clusters"]?.sequence?.count == 1)
        #expect(node["users"]?[0]?["name"]?.string == "me")
        #expect(node["current-context"]?.string == "")
        #expect(try KubeconfigEntry.removed(from: users) == nil, "nothing of ours in it: nothing to write")
    }

    @Test(
        "What is no kubeconfig is refused, not overwritten", arguments: ["- a\n- b\n", "a: [", "just text"])
    func refuses(text: String) {
        #expect(throws: ClusterError.self) { try ours.merged(into: text) }
    }

    @Test("Which file is the user's")
    func userFile() {
        func file(_ kubeconfig: String?, existing: Set<String> = []) -> String {
            KubeconfigEntry.userFile(
                environment: kubeconfig.map { ["KUBECONFIG": $0] } ?? [:], home: "/home/me",
                exists: { existing.contains($0) })
        }
        #expect(file(nil) == "/home/me/.kube/config")
        #expect(file("") == "/home/me/.kube/config")
        #expect(file("/a:/b") == "/b")
        #expect(file("/a:/b", existing: ["/a"]) == "/a")
    }
}
