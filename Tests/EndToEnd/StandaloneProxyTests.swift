import Testing

extension EndToEndTests {
    @Suite("The service proxy by itself", .serialized)
    struct StandaloneProxyTests {
        @Test("Against an API server over HTTPS: serves, tells, survives 410, follows ranges, cleans up")
        func standalone() async throws {
            let folder = try ScratchFolder("proxy")
            // A network of its own: the cluster of the other tests has its tables in this one.
            let outcome = try await expect(
                "unshare --net bash Tests/EndToEnd/standalone_proxy.sh \(folder.path)",
                environment: ["SWIFTLET": Cluster.swiftlet])
            withExtendedLifetime(folder) {}
            #expect(outcome.lines.last == "nothing is left")
        }
    }
}
