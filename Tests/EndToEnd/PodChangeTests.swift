import Testing

extension EndToEndTests {
    @Suite("A pod that changes while it runs", .serialized)
    struct PodChangeTests {
        @Test("Another image restarts the container, whatever the restart policy")
        func image() async throws {
            try await Cluster.shared.up()
            try await expect("kubectl run changing --image=web:1.0 --restart=Never")
            try await expect("kubectl wait --for=condition=Ready pod/changing --timeout=120s")
            try await expect("kubectl set image pod/changing changing=web:2.0")
            try await eventually(
                "kubectl get pod changing -o jsonpath='{.status.containerStatuses[0].restartCount} "
                    + "{.status.containerStatuses[0].ready} {.status.containerStatuses[0].image}'"
            ) { $0.output.hasPrefix("1 true ") && $0.output.hasSuffix("web:2.0") }
            #expect(
                try await expect("kubectl get pod changing -o jsonpath='{.status.phase}'").output == "Running"
            )
            try await eventually("kubectl get events --field-selector involvedObject.name=changing") {
                $0.output.contains("Container changing definition changed, will be restarted")
            }
            // Both images were loaded into the machine, so nothing was pulled.
            #expect(
                !(try await expect("kubectl get events --field-selector involvedObject.name=changing").output
                    .contains("Pulling image")))
            try await expect("kubectl delete pod changing")
        }
    }
}
