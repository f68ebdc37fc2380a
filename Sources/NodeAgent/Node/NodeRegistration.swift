import ContainerRuntime
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Logging

/// Makes the Node object and keeps it and its Lease current, as upstream's kubelet does
/// (https://kubernetes.io/docs/concepts/architecture/nodes/).
package struct NodeRegistration: Sendable {
    package var configuration: NodeConfiguration
    package var facts: NodeFacts
    package var client: KubernetesClient
    package var runtime: any RuntimeService
    package var clock: AgentClock
    package var logger: Logger

    package init(
        configuration: NodeConfiguration, facts: NodeFacts, client: KubernetesClient,
        runtime: any RuntimeService,
        clock: AgentClock, logger: Logger
    ) {
        self.configuration = configuration
        self.facts = facts
        self.client = client
        self.runtime = runtime
        self.clock = clock
        self.logger = logger
    }

    /// How often the Lease is renewed, and how long it lasts.
    package static let leasePeriod: Duration = .seconds(10)
    package static let leaseSeconds = 40

    /// Creates the Node, or brings an existing one up to date, and writes its first status.
    package func register() async throws {
        var labels = configuration.labels
        labels["kubernetes.io/hostname"] = configuration.nodeName
        labels["kubernetes.io/os"] = "linux"
        labels["kubernetes.io/arch"] = PauseProgram.Architecture.current.rawValue
        labels["beta.kubernetes.io/os"] = "linux"
        labels["beta.kubernetes.io/arch"] = PauseProgram.Architecture.current.rawValue
        let readiness = try? await runtime.readiness()
        do {
            var node = Node(metadata: ObjectMeta(name: configuration.nodeName, labels: labels))
            node.spec.podCIDR = configuration.podCIDRs.first ?? ""
            node.spec.podCIDRs = configuration.podCIDRs
            _ = try await client.create(node)
        } catch  where isAlreadyExists(error) {
            let wanted = JSONObject(labels.map { ($0.key, JSONValue.string($0.value)) })
            let _: Node = try await client.patch(
                Node.self, name: configuration.nodeName, body: ["metadata": ["labels": .object(wanted)]])
        }
        try await updateStatus(readiness)
        try await renewLease()
    }

    /// Writes the status. Conditions keep their time of transition while they stay as they are.
    package func updateStatus(_ readiness: RuntimeReadiness?) async throws {
        let node = try await client.get(Node.self, name: configuration.nodeName)
        let status = status(node, readiness, images: (try? await runtime.images()) ?? [])
        guard let wanted = status.jsonValue.objectValue else { return }
        let _: Node = try await client.patch(
            Node.self, name: configuration.nodeName, subresource: "status", body: ["status": .object(wanted)],
            fieldManager: "kubelet")
    }

    /// The status as it should be; a function of values and the time.
    package func status(_ node: Node, _ readiness: RuntimeReadiness?, images: [ImageObservation])
        -> NodeStatus
    {
        var status = NodeStatus()
        status.capacity = facts.capacity
        status.allocatable = facts.allocatable
        status.nodeInfo = facts.info
        status.addresses =
            configuration.addresses.map { NodeAddress(type: "InternalIP", address: $0) }
            + [NodeAddress(type: "Hostname", address: configuration.nodeName)]
        status.images = images.sorted { $0.size > $1.size }.prefix(50).map {
            ContainerImage(names: $0.digests + $0.tags, sizeBytes: $0.size)
        }
        let isReady = readiness.map { $0.isRuntimeReady && $0.isNetworkReady } ?? false
        let why = readiness?.message ?? "container runtime is down"
        status.conditions = [
            (
                "MemoryPressure", false, "KubeletHasSufficientMemory",
                "kubelet has sufficient memory available"
            ),
            ("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            (
                "Ready", isReady, isReady ? "KubeletReady" : "KubeletNotReady",
                isReady ? "kubelet is posting ready status" : why
            ),
        ].map { type, isTrue, reason, message in
            let state = isTrue ? "True" : "False"
            let before = node.status.conditions.first { $0.type == type }
            return NodeCondition(
                type: type, status: state, lastHeartbeatTime: clock.wall,
                lastTransitionTime: before?.status == state
                    ? before?.lastTransitionTime ?? clock.wall : clock.wall,
                reason: reason, message: message)
        }
        return status
    }

    /// Renews the node's Lease, which tells the cluster that the node lives.
    package func renewLease() async throws {
        let now = MicroTime(microseconds: Int(clock.wallNanoseconds() / 1000))
        do {
            let _: Lease = try await client.patch(
                Lease.self, name: configuration.nodeName, namespace: "kube-node-lease",
                body: ["spec": ["renewTime": .string("\(now)")]])
        } catch  where isNotFound(error) {
            var lease = Lease(
                metadata: ObjectMeta(name: configuration.nodeName, namespace: "kube-node-lease"))
            if let node = try? await client.get(Node.self, name: configuration.nodeName) {
                lease.metadata.ownerReferences = [
                    OwnerReference(
                        apiVersion: "v1", kind: "Node", name: configuration.nodeName, uid: node.metadata.uid)
                ]
            }
            lease.spec.holderIdentity = configuration.nodeName
            lease.spec.leaseDurationSeconds = Self.leaseSeconds
            lease.spec.renewTime = now
            _ = try await client.create(lease)
        }
    }

    /// Renews the Lease for ever, and writes the status when the runtime's state changes, or every five
    /// minutes.
    package func run() async {
        var last: RuntimeReadiness?
        var statusIsDue = clock.now() + .seconds(300)
        var isFirst = true
        while !Task.isCancelled {
            let readiness = try? await runtime.readiness()
            do {
                if isFirst || readiness != last || clock.now() >= statusIsDue {
                    try await updateStatus(readiness)
                    statusIsDue = clock.now() + .seconds(300)
                    last = readiness
                    isFirst = false
                }
                try await renewLease()
            } catch {
                if isNotFound(error) { try? await register() }
                logger.debug("The node's heartbeat failed: \(error)")
            }
            let isHealthy = readiness.map { $0.isRuntimeReady && $0.isNetworkReady } ?? false
            do { try await clock.sleep(isHealthy ? Self.leasePeriod : .seconds(1)) } catch { return }
        }
    }
}
