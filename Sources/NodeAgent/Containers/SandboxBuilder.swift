import ContainerRuntime
import KubernetesAPI

/// Makes the runtime's descriptions of a pod's sandbox and containers; functions of values.
package struct SandboxBuilder: Sendable {
    /// The folder of the pod's log files.
    package var logDirectory: String
    /// The control group that pods' groups are in.
    package var controlGroup: String
    package var resolver: ResolverConfiguration
    /// The cluster's domain.
    package var domain: String

    package init(logDirectory: String, controlGroup: String, resolver: ResolverConfiguration, domain: String)
    {
        self.logDirectory = logDirectory
        self.controlGroup = controlGroup
        self.resolver = resolver
        self.domain = domain
    }

    /// The control group of a pod.
    package static func controlGroup(_ root: String, podUID: String) -> String { "\(root)/pod\(podUID)" }

    /// - Throws: ``ContainerConfigurationError`` if the pod's host name is longer than the kernel takes.
    package func configuration(
        _ pod: Pod, attempt: Int
    ) throws(ContainerConfigurationError) -> SandboxConfiguration {
        var configuration = SandboxConfiguration()
        configuration.metadata.name = pod.metadata.name
        configuration.metadata.namespace = pod.metadata.namespace
        configuration.metadata.uid = pod.metadata.uid
        configuration.metadata.attempt = UInt32(clamping: attempt)
        // The node's own name stays with a pod that shares its network; containerd refuses another one.
        configuration.hostname = pod.spec.hostNetwork ? "" : try PodName.kernelHostname(pod, domain: domain)
        configuration.logDirectory = logDirectory
        configuration.dnsConfig.servers = resolver.servers
        configuration.dnsConfig.searches = resolver.searches
        configuration.dnsConfig.options = resolver.options
        configuration.labels = pod.metadata.labels
        configuration.labels[RuntimeLabel.podName] = pod.metadata.name
        configuration.labels[RuntimeLabel.podNamespace] = pod.metadata.namespace
        configuration.labels[RuntimeLabel.podUID] = pod.metadata.uid
        configuration.annotations = pod.metadata.annotations
        if !pod.spec.hostNetwork {
            configuration.portMappings = pod.spec.containers.flatMap(\.ports).filter { $0.hostPort > 0 }.map {
                port in
                var mapping = Runtime_V1_PortMapping()
                mapping.protocol = port.protocol == "UDP" ? .udp : port.protocol == "SCTP" ? .sctp : .tcp
                mapping.containerPort = Int32(clamping: port.containerPort)
                mapping.hostPort = Int32(clamping: port.hostPort)
                mapping.hostIp = port.hostIP
                return mapping
            }
        }
        configuration.linux.cgroupParent = Self.controlGroup(controlGroup, podUID: pod.metadata.uid)
        var context = Runtime_V1_LinuxSandboxSecurityContext()
        context.namespaceOptions = SecurityContexts.namespaces(pod)
        context.privileged = SecurityContexts.isPrivileged(pod)
        if let shared = pod.spec.securityContext {
            if let user = shared.runAsUser { context.runAsUser.value = Int64(user) }
            if let group = shared.runAsGroup { context.runAsGroup.value = Int64(group) }
            context.supplementalGroups =
                (shared.supplementalGroups + [shared.fsGroup].compactMap { $0 }).map(Int64.init)
            for setting in shared.sysctls { configuration.linux.sysctls[setting.name] = setting.value }
        }
        context.seccomp = SecurityContexts.profile(pod.spec.securityContext?.seccompProfile)
        configuration.linux.securityContext = context
        return configuration
    }
}

/// A mount, as the runtime has it.
package struct ContainerMount: Sendable, Hashable {
    package var containerPath: String
    package var hostPath: String
    package var isReadOnly: Bool
    package var propagation: String

    package init(
        containerPath: String, hostPath: String, isReadOnly: Bool = false, propagation: String = "None"
    ) {
        self.containerPath = containerPath
        self.hostPath = hostPath
        self.isReadOnly = isReadOnly
        self.propagation = propagation
    }
}

/// Makes the runtime's description of a container.
package struct ContainerBuilder: Sendable {
    package var pod: Pod
    package var variables: [(name: String, value: String)]
    package var mounts: [ContainerMount]
    package var image: ImageObservation?
    package var memoryCapacity: Int

    package init(
        pod: Pod, variables: [(name: String, value: String)], mounts: [ContainerMount],
        image: ImageObservation?,
        memoryCapacity: Int
    ) {
        self.pod = pod
        self.variables = variables
        self.mounts = mounts
        self.image = image
        self.memoryCapacity = memoryCapacity
    }

    /// Holds the image as the container's definition named it when the container was made.
    package static let imageAnnotation = "swiftlet.local/image"

    /// Where a container's log is, below the pod's log folder.
    package static func logPath(_ container: String, attempt: Int) -> String { "\(container)/\(attempt).log" }

    package func configuration(
        _ container: Container, attempt: Int
    ) throws(ContainerConfigurationError) -> ContainerConfiguration {
        let values = Dictionary(variables.map { ($0.name, $0.value) }) { _, last in last }
        var configuration = ContainerConfiguration()
        configuration.metadata.name = container.name
        configuration.metadata.attempt = UInt32(clamping: attempt)
        configuration.image.image = image?.id ?? container.image
        configuration.image.userSpecifiedImage = container.image
        configuration.command = container.command.map { Expansion.expand($0) { values[$0] } }
        configuration.args = container.args.map { Expansion.expand($0) { values[$0] } }
        configuration.workingDir = container.workingDir
        configuration.envs = variables.map { variable in
            var pair = Runtime_V1_KeyValue()
            pair.key = variable.name
            pair.value = variable.value
            return pair
        }
        configuration.mounts = mounts.map { mount in
            var result = Runtime_V1_Mount()
            result.containerPath = mount.containerPath
            result.hostPath = mount.hostPath
            result.readonly = mount.isReadOnly
            result.propagation =
                mount.propagation == "Bidirectional"
                ? .propagationBidirectional
                : mount.propagation == "HostToContainer" ? .propagationHostToContainer : .propagationPrivate
            return result
        }
        configuration.labels = [
            RuntimeLabel.containerName: container.name, RuntimeLabel.podName: pod.metadata.name,
            RuntimeLabel.podNamespace: pod.metadata.namespace, RuntimeLabel.podUID: pod.metadata.uid,
        ]
        configuration.annotations = [Self.imageAnnotation: container.image]
        configuration.logPath = Self.logPath(container.name, attempt: attempt)
        configuration.stdin = container.stdin
        configuration.stdinOnce = container.stdinOnce
        configuration.tty = container.tty
        configuration.linux.securityContext = try SecurityContexts.container(container, pod, image: image)
        let limits = ControlGroupLimits(container)
        configuration.linux.resources.cpuShares = Int64(limits.cpuShares)
        if limits.cpuQuota > 0 {
            configuration.linux.resources.cpuQuota = Int64(limits.cpuQuota)
            configuration.linux.resources.cpuPeriod = Int64(limits.cpuPeriod)
        }
        configuration.linux.resources.memoryLimitInBytes = Int64(limits.memory)
        configuration.linux.resources.oomScoreAdj = Int64(
            QualityOfService(pod).outOfMemoryScore(container, memoryCapacity: memoryCapacity))
        return configuration
    }
}
