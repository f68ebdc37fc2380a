extension Pod: Defaulting {
    public mutating func applyDefaults() {
        spec.applyDefaults()
        // What follows holds for pods only: templates keep what their author wrote.
        spec.containers.applyRequestDefaults()
        spec.initContainers.applyRequestDefaults()
        spec.applyPodResourceDefaults()
        if spec.enableServiceLinks == nil { spec.enableServiceLinks = true }
        if spec.hostNetwork {
            spec.containers.applyHostPorts()
            spec.initContainers.applyHostPorts()
        }
        if status.podIPs.isEmpty, !status.podIP.isEmpty {
            status.podIPs = [PodIP(ip: status.podIP)]
        } else if let first = status.podIPs.first {
            status.podIP = first.ip
        }
    }
}

extension PodTemplate: Defaulting {
    public mutating func applyDefaults() { template.spec.applyDefaults() }
}

extension PodSpec {
    /// The defaults of pods and of templates.
    mutating func applyDefaults() {
        if dnsPolicy.isEmpty { dnsPolicy = "ClusterFirst" }
        if restartPolicy.isEmpty { restartPolicy = "Always" }
        if securityContext == nil { securityContext = PodSecurityContext() }
        if terminationGracePeriodSeconds == nil { terminationGracePeriodSeconds = 30 }
        if schedulerName.isEmpty { schedulerName = "default-scheduler" }
        // serviceAccount is the old name of serviceAccountName; both are shown, alike.
        if serviceAccountName.isEmpty { serviceAccountName = serviceAccount }
        serviceAccount = serviceAccountName
        for index in volumes.indices { volumes[index].applyDefaults() }
        for index in containers.indices { containers[index].applyDefaults() }
        for index in initContainers.indices { initContainers[index].applyDefaults() }
        for index in ephemeralContainers.indices { ephemeralContainers[index].applyDefaults() }
    }

    /// Requests of the pod as a whole, once it has limits (KEP-2837): those of its containers, else the limits.
    fileprivate mutating func applyPodResourceDefaults() {
        guard var whole = resources, !whole.limits.isEmpty else { return }
        for (name, limit) in whole.limits where whole.requests[name] == nil {
            let requests = containers.compactMap { $0.resources.requests[name] }
            let sum = requests.dropFirst().reduce(requests.first) { ($0 ?? Quantity()) + $1 }
            whole.requests[name] = ResourceRules.isOvercommittable(name) ? sum ?? limit : limit
        }
        resources = whole
    }
}

extension [Container] {
    /// A container that has a limit and no request asks for as much as the limit.
    fileprivate mutating func applyRequestDefaults() {
        for index in indices where !self[index].resources.limits.isEmpty {
            self[index].resources.requests.merge(self[index].resources.limits) { request, _ in request }
        }
    }

    /// In the node's network every port is a port of the node.
    fileprivate mutating func applyHostPorts() {
        for index in indices {
            for port in self[index].ports.indices where self[index].ports[port].hostPort == 0 {
                self[index].ports[port].hostPort = self[index].ports[port].containerPort
            }
        }
    }
}

// MARK: - Containers

extension Container {
    mutating func applyDefaults() {
        if imagePullPolicy.isEmpty { imagePullPolicy = ImageReference.pullPolicy(image) }
        if terminationMessagePath.isEmpty { terminationMessagePath = "/dev/termination-log" }
        if terminationMessagePolicy.isEmpty { terminationMessagePolicy = "File" }
        for index in ports.indices where ports[index].protocol.isEmpty { ports[index].protocol = "TCP" }
        for index in env.indices where env[index].valueFrom?.fieldRef?.apiVersion.isEmpty == true {
            env[index].valueFrom?.fieldRef?.apiVersion = "v1"
        }
        livenessProbe?.applyDefaults()
        readinessProbe?.applyDefaults()
        startupProbe?.applyDefaults()
        lifecycle?.postStart?.httpGet?.applyDefaults()
        lifecycle?.preStop?.httpGet?.applyDefaults()
    }
}

extension EphemeralContainer {
    mutating func applyDefaults() {
        if imagePullPolicy.isEmpty { imagePullPolicy = ImageReference.pullPolicy(image) }
        if terminationMessagePath.isEmpty { terminationMessagePath = "/dev/termination-log" }
        if terminationMessagePolicy.isEmpty { terminationMessagePolicy = "File" }
        for index in ports.indices where ports[index].protocol.isEmpty { ports[index].protocol = "TCP" }
        for index in env.indices where env[index].valueFrom?.fieldRef?.apiVersion.isEmpty == true {
            env[index].valueFrom?.fieldRef?.apiVersion = "v1"
        }
    }
}

extension Probe {
    mutating func applyDefaults() {
        if timeoutSeconds == 0 { timeoutSeconds = 1 }
        if periodSeconds == 0 { periodSeconds = 10 }
        if successThreshold == 0 { successThreshold = 1 }
        if failureThreshold == 0 { failureThreshold = 3 }
        httpGet?.applyDefaults()
        if grpc != nil, grpc?.service == nil { grpc?.service = "" }
    }
}

extension HTTPGetAction {
    mutating func applyDefaults() {
        if path.isEmpty { path = "/" }
        if scheme.isEmpty { scheme = "HTTP" }
    }
}

/// The parts of an image reference that rules depend on.
enum ImageReference {
    /// `Always` for images that change under their name (tag `latest`, or none), else `IfNotPresent`.
    static func pullPolicy(_ image: String) -> String {
        isMoving(image) ? "Always" : "IfNotPresent"
    }

    private static func isMoving(_ image: String) -> Bool {
        if image.isEmpty { return false }
        let parts = image.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        // A colon before the last slash belongs to the registry's port.
        let name = parts[0].split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let colon = name.lastIndex(of: ":") else { return parts.count == 1 }
        return name[name.index(after: colon)...] == "latest"
    }
}

// MARK: - Volumes

extension Volume {
    mutating func applyDefaults() {
        if self == Volume(name: name) { emptyDir = EmptyDirVolumeSource() }
        let readable = 0o644
        if secret != nil, secret?.defaultMode == nil { secret?.defaultMode = readable }
        if configMap != nil, configMap?.defaultMode == nil { configMap?.defaultMode = readable }
        if downwardAPI != nil {
            if downwardAPI?.defaultMode == nil { downwardAPI?.defaultMode = readable }
            downwardAPI?.items.applyDefaults()
        }
        if projected != nil {
            if projected?.defaultMode == nil { projected?.defaultMode = readable }
            for index in projected?.sources.indices ?? 0..<0 {
                projected?.sources[index].applyDefaults()
            }
        }
        if hostPath != nil, hostPath?.type == nil { hostPath?.type = "" }
        if let image, image.pullPolicy.isEmpty {
            self.image?.pullPolicy = ImageReference.pullPolicy(image.reference)
        }
        if ephemeral?.volumeClaimTemplate != nil, ephemeral?.volumeClaimTemplate?.spec.volumeMode == nil {
            ephemeral?.volumeClaimTemplate?.spec.volumeMode = "Filesystem"
        }
        if iscsi?.iscsiInterface.isEmpty == true { iscsi?.iscsiInterface = "default" }
        if rbd?.pool.isEmpty == true { rbd?.pool = "rbd" }
        if rbd?.user.isEmpty == true { rbd?.user = "admin" }
        if rbd?.keyring.isEmpty == true { rbd?.keyring = "/etc/ceph/keyring" }
        if scaleIO?.storageMode.isEmpty == true { scaleIO?.storageMode = "ThinProvisioned" }
        if scaleIO?.fsType.isEmpty == true { scaleIO?.fsType = "xfs" }
        azureDisk?.applyDefaults()
    }
}

extension VolumeProjection {
    fileprivate mutating func applyDefaults() {
        downwardAPI?.items.applyDefaults()
        if serviceAccountToken != nil, serviceAccountToken?.expirationSeconds == nil {
            serviceAccountToken?.expirationSeconds = 3600
        }
    }
}

extension [DownwardAPIVolumeFile] {
    fileprivate mutating func applyDefaults() {
        for index in indices where self[index].fieldRef?.apiVersion.isEmpty == true {
            self[index].fieldRef?.apiVersion = "v1"
        }
    }
}
