import Testing

extension EndToEndTests {
    /// `scripts/python-client` installs it.
    @Suite("The Kubernetes client for Python", .serialized)
    struct PythonClientTests {
        @Test("Create, read, update, delete, patches, watches, logs, exec, port-forward")
        func everything() async throws {
            try await Cluster.shared.up()
            let outcome = try await expect(
                "timeout 300 .build/python-client/bin/python Tests/EndToEnd/python_client.py pods")
            #expect(outcome.output == "all is well\n", "\(outcome)")
            try await eventually("kubectl get namespace python --ignore-not-found") { $0.output.isEmpty }
        }
    }
}
