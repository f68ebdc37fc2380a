import KubernetesAPI
import Scheduler
import Testing

@Suite("Scheduler: where a pod goes, and why it goes nowhere")
struct PlacementTests {
    private func node(_ name: String, cpu: Quantity = "2", change: (inout Node) -> Void = { _ in })
        -> NodeState
    {
        var node = Node()
        node.metadata.name = name
        node.metadata.labels = ["kubernetes.io/hostname": name]
        node.status.allocatable = ["cpu": cpu, "memory": "4Gi", "pods": "110"]
        change(&node)
        return NodeState(node: node, pods: [])
    }

    private func pod(cpu: Quantity? = nil, change: (inout Pod) -> Void = { _ in }) -> Pod {
        var pod = Pod()
        pod.metadata.name = "web"
        var container = Container(name: "web", image: "web:1.0")
        if let cpu { container.resources.requests["cpu"] = cpu }
        pod.spec.containers = [container]
        change(&pod)
        return pod
    }

    private func reason(_ text: String, of nodes: Int = 1, failing: Int = 1) -> Placement {
        .unschedulable(
            message:
                "0/\(nodes) nodes are available: \(failing) \(text). preemption: 0/\(nodes) nodes are available: "
                + "\(nodes) Preemption is not helpful for scheduling.")
    }

    @Test("The emptier node wins")
    func leastAllocated() {
        var busy = node("busy")
        busy.pods = [pod(cpu: "1500m")]
        #expect(Placer.place(pod(cpu: "100m"), on: [busy, node("idle")]) == .node("idle"))
    }

    @Test("Requests that do not fit")
    func resources() {
        #expect(Placer.place(pod(cpu: "3"), on: [node("a")]) == reason("Insufficient cpu"))
        var full = node("a", cpu: "1")
        full.pods = [pod(cpu: "800m")]
        #expect(Placer.place(pod(cpu: "300m"), on: [full]) == reason("Insufficient cpu"))
        #expect(Placer.place(pod(cpu: "200m"), on: [full]) == .node("a"))
    }

    @Test("An init container's peak counts, a sidecar adds")
    func initContainers() {
        let peaky = pod(cpu: "100m") {
            var container = Container(name: "setup", image: "x")
            container.resources.requests["cpu"] = "3"
            $0.spec.initContainers = [container]
        }
        #expect(Placer.place(peaky, on: [node("a")]) == reason("Insufficient cpu"))
        let withSidecar = pod(cpu: "1") {
            var container = Container(name: "proxy", image: "x")
            container.restartPolicy = "Always"
            container.resources.requests["cpu"] = "1500m"
            $0.spec.initContainers = [container]
        }
        #expect(Placer.place(withSidecar, on: [node("a")]) == reason("Insufficient cpu"))
    }

    @Test("Taints keep out what does not tolerate them")
    func taints() {
        let tainted = node("a") {
            $0.spec.taints = [Taint(key: "dedicated", value: "db", effect: "NoSchedule")]
        }
        #expect(Placer.place(pod(), on: [tainted]) == reason("node(s) had untolerated taint {dedicated: db}"))
        let tolerant = pod {
            $0.spec.tolerations = [
                Toleration(key: "dedicated", operator: "Equal", value: "db", effect: "NoSchedule")
            ]
        }
        #expect(Placer.place(tolerant, on: [tainted]) == .node("a"))
        let everything = pod { $0.spec.tolerations = [Toleration(operator: "Exists")] }
        #expect(Placer.place(everything, on: [tainted]) == .node("a"))
    }

    @Test("A cordoned node takes nothing")
    func cordoned() {
        #expect(
            Placer.place(pod(), on: [node("a") { $0.spec.unschedulable = true }])
                == reason("node(s) were unschedulable"))
    }

    @Test("nodeSelector and required affinity")
    func affinity() {
        let selecting = pod { $0.spec.nodeSelector = ["disk": "ssd"] }
        #expect(
            Placer.place(selecting, on: [node("a")])
                == reason("node(s) didn't match Pod's node affinity/selector"))
        #expect(Placer.place(selecting, on: [node("a") { $0.metadata.labels["disk"] = "ssd" }]) == .node("a"))
        let picky = pod {
            let wanted = NodeSelectorRequirement(key: "cores", operator: "Gt", values: ["4"])
            $0.spec.affinity = Affinity(
                nodeAffinity: NodeAffinity(
                    requiredDuringSchedulingIgnoredDuringExecution: NodeSelector(
                        nodeSelectorTerms: [NodeSelectorTerm(matchExpressions: [wanted])])))
        }
        #expect(
            Placer.place(picky, on: [node("a") { $0.metadata.labels["cores"] = "4" }])
                == reason("node(s) didn't match Pod's node affinity/selector"))
        #expect(Placer.place(picky, on: [node("a") { $0.metadata.labels["cores"] = "8" }]) == .node("a"))
    }

    @Test("A host port is given once, except at different addresses")
    func hostPorts() {
        func holding(_ address: String) -> Pod {
            pod {
                $0.spec.containers[0].ports = [
                    ContainerPort(hostPort: 80, containerPort: 80, hostIP: address)
                ]
            }
        }
        var taken = node("a")
        taken.pods = [holding("127.0.0.1")]
        #expect(
            Placer.place(holding(""), on: [taken])
                == reason("node(s) didn't have free ports for the requested pod ports"))
        #expect(Placer.place(holding("127.0.0.2"), on: [taken]) == .node("a"))
    }

    @Test("No node at all, and reasons counted by node")
    func messages() {
        #expect(Placer.place(pod(), on: []) == .unschedulable(message: "no nodes available to schedule pods"))
        #expect(
            Placer.place(pod(cpu: "9"), on: [node("a"), node("b")])
                == reason("Insufficient cpu", of: 2, failing: 2))
    }
}
