// What upstream warns of in pods and templates that are valid all the same (pkg/api/pod/warnings.go, 1.35).

extension Pod {
    /// Messages for who creates this pod.
    public var warnings: [String] {
        NameAdvice.ofPod(metadata.name)
            + PodWarnings(metadata: metadata, spec: spec, path: "", isTemplate: false).all
    }
}

extension PodTemplateSpec {
    /// Messages for who writes an object with this template at a path, such as `spec.template`.
    public func warnings(at path: String) -> [String] {
        PodWarnings(metadata: metadata, spec: spec, path: RulePath(path), isTemplate: true).all
    }
}

/// Labels of nodes that have other names by now.
enum NodeLabelWarnings {
    private static let successors: [String: String] = [
        "beta.kubernetes.io/arch": "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os": "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region":
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
        "failure-domain.beta.kubernetes.io/zone":
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
        "beta.kubernetes.io/instance-type":
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
        "app.kubernetes.io/created-by": "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods":
            "deprecated since v1.22; use Taints and Tolerations instead",
        "node-role.kubernetes.io/master": "use \"node-role.kubernetes.io/control-plane\" instead",
    ]

    /// What to say of a label's key; nil when it is in use.
    static func message(_ key: String) -> String? { successors[key] }

    /// What to say of a term; its values are looked at where validation lets wrong ones pass.
    static func term(_ path: RulePath, _ term: NodeSelectorTerm, checksValues: Bool) -> [String] {
        var warnings: [String] = []
        for (index, expression) in term.matchExpressions.enumerated() {
            let path = path.child("matchExpressions").index(index)
            if let message = message(expression.key) {
                warnings.append("\(path.child("key").text): \(expression.key) is \(message)")
            }
            guard checksValues else { continue }
            for (number, value) in expression.values.enumerated() {
                for message in LabelSyntax.errors(inValue: value) {
                    warnings.append(
                        "\(path.child("values").index(number).text): \(value) is invalid, \(message)")
                }
            }
        }
        return warnings
    }
}

/// Looks through a pod or a template.
private struct PodWarnings {
    let metadata: ObjectMeta
    let spec: PodSpec
    /// Of the pod or template.
    let path: RulePath
    let isTemplate: Bool

    private var specPath: RulePath { path.child("spec") }

    var all: [String] {
        nodeLabels + spread + annotations + VolumeWarnings.volumes(specPath.child("volumes"), spec.volumes)
            + repetitions + fractions(specPath.child("overhead"), spec.overhead) + podSeccomp
            + containers.flatMap { ofContainer($0.container, $0.path) } + ports + portNames + grace
            + podAffinity + addresses
    }

    /// Init containers first, as upstream visits them.
    private var containers: [(container: Container, path: RulePath)] {
        let lists = [
            ("initContainers", spec.initContainers), ("containers", spec.containers),
            ("ephemeralContainers", spec.ephemeralContainers.map(\.asContainer)),
        ]
        return lists.flatMap { name, list in
            list.enumerated().map { ($0.element, specPath.child(name).index($0.offset)) }
        }
    }

    // MARK: - Placement

    private var nodeLabels: [String] {
        var warnings = spec.nodeSelector.keys.sorted().compactMap { key in
            NodeLabelWarnings.message(key).map { "\(specPath.child("nodeSelector").key(key).text): \($0)" }
        }
        guard let affinity = spec.affinity?.nodeAffinity else { return warnings }
        let path = specPath.child("affinity.nodeAffinity")
        let required = affinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
        for (index, term) in required.enumerated() {
            let path = path.child("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms")
            warnings += NodeLabelWarnings.term(path.index(index), term, checksValues: false)
        }
        for (index, term) in affinity.preferredDuringSchedulingIgnoredDuringExecution.enumerated() {
            let path = path.child("preferredDuringSchedulingIgnoredDuringExecution").index(index)
            warnings += NodeLabelWarnings.term(path.child("preference"), term.preference, checksValues: true)
        }
        return warnings
    }

    private static let matchesNothing = "a null labelSelector results in matching no pod"

    private var spread: [String] {
        spec.topologySpreadConstraints.enumerated().flatMap { index, constraint in
            let path = specPath.child("topologySpreadConstraints").index(index)
            var warnings: [String] = []
            if let message = NodeLabelWarnings.message(constraint.topologyKey) {
                warnings.append("\(path.child("topologyKey").text): \(constraint.topologyKey) is \(message)")
            }
            if constraint.labelSelector == nil {
                warnings.append("\(path.child("labelSelector").text): \(Self.matchesNothing)")
            }
            return warnings
        }
    }

    private var podAffinity: [String] {
        let affinity = spec.affinity?.podAffinity
        let opposite = spec.affinity?.podAntiAffinity
        return [
            (
                "podAffinity", affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
                affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
            ),
            (
                "podAntiAffinity", opposite?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
                opposite?.preferredDuringSchedulingIgnoredDuringExecution ?? []
            ),
        ].flatMap { name, required, preferred in
            let path = specPath.child("affinity").child(name)
            let mandatory = path.child("requiredDuringSchedulingIgnoredDuringExecution")
            let weighted = path.child("preferredDuringSchedulingIgnoredDuringExecution")
            let paths =
                required.enumerated().filter { $0.element.labelSelector == nil }
                .map { mandatory.index($0.offset) }
                + preferred.enumerated().filter { $0.element.podAffinityTerm.labelSelector == nil }
                .map { weighted.index($0.offset).child("podAffinityTerm") }
            return paths.map { "\($0.child("labelSelector").text): \(Self.matchesNothing)" }
        }
    }

    // MARK: - Annotations

    private static let deprecated = [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead"
        ),
        (
            "security.alpha.kubernetes.io/sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead"
        ),
        (
            "security.alpha.kubernetes.io/unsafe-sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead"
        ),
    ]
    private static let useProfile = "non-functional in v1.27+; use the \"seccompProfile\" field instead"

    private var annotations: [String] {
        Self.deprecated.flatMap { ofAnnotation($0, $1) }
    }

    private var podSeccomp: [String] {
        if spec.securityContext?.seccompProfile != nil { return [] }
        return ofAnnotation(SeccompAnnotation.ofPod, Self.useProfile)
    }

    private func ofAnnotation(_ key: String, _ message: String) -> [String] {
        if metadata.annotations[key] == nil { return [] }
        return ["\(path.child("metadata.annotations").key(key).text): \(message)"]
    }

    // MARK: - Lists

    private var repetitions: [String] {
        var warnings: [String] = []
        var addresses: Set<String> = []
        for (index, alias) in spec.hostAliases.enumerated() where !addresses.insert(alias.ip).inserted {
            let path = specPath.child("hostAliases").index(index).child("ip")
            warnings.append("\(path.text): duplicate ip \(GoText.quoted(alias.ip))")
        }
        let path = specPath.child("imagePullSecrets")
        var names: Set<String> = []
        for (index, secret) in spec.imagePullSecrets.enumerated() where !names.insert(secret.name).inserted {
            warnings.append(
                "\(path.index(index).child("name").text): duplicate name \(GoText.quoted(secret.name))")
        }
        for (index, secret) in spec.imagePullSecrets.enumerated() where secret.name.isEmpty {
            warnings.append("\(path.index(index).child("name").text): invalid empty name \"\"")
        }
        return warnings
    }

    private var addresses: [String] {
        (spec.dnsConfig?.nameservers ?? []).enumerated().flatMap { index, server in
            AddressWarnings.address(specPath.child("dnsConfig.nameservers").index(index), server)
        }
            + spec.hostAliases.enumerated().flatMap { index, alias in
                AddressWarnings.address(specPath.child("hostAliases").index(index).child("ip"), alias.ip)
            }
    }

    private var grace: [String] {
        guard let seconds = spec.terminationGracePeriodSeconds, seconds < 0 else { return [] }
        return [
            "\(specPath.child("terminationGracePeriodSeconds").text): must be >= 0; negative values are invalid "
                + "and will be treated as 1"
        ]
    }

    // MARK: - Containers

    private func ofContainer(_ container: Container, _ path: RulePath) -> [String] {
        var warnings: [String] = []
        if container.securityContext?.seccompProfile == nil {
            warnings += ofAnnotation(
                SeccompAnnotation.ofContainer + container.name, Self.useProfile)
        }
        let hasProfile =
            spec.securityContext?.appArmorProfile != nil || container.securityContext?.appArmorProfile != nil
        if !hasProfile {
            warnings += ofAnnotation(
                AppArmorAnnotation.prefix + container.name,
                "deprecated since v1.30; use the \"appArmorProfile\" field instead")
        }
        warnings += fractions(path.child("resources.limits"), container.resources.limits, ["memory"])
        warnings += fractions(path.child("resources.requests"), container.resources.requests, ["memory"])
        let storage = ["ephemeral-storage"]
        warnings += fractions(path.child("resources.limits"), container.resources.limits, storage)
        warnings += fractions(path.child("resources.requests"), container.resources.requests, storage)
        return warnings + hidden(path.child("env"), container.env)
    }

    private func fractions(
        _ path: RulePath, _ amounts: [String: Quantity], _ names: [String] = ["memory", "ephemeral-storage"]
    ) -> [String] {
        names.compactMap { name in
            guard let amount = amounts[name], amount.milliValue % 1000 != 0 else { return nil }
            return "\(path.key(name).text): fractional byte value \(GoText.quoted("\(amount)")) is invalid, "
                + "must be an integer"
        }
    }

    /// Variables that take the place of others without building on their value.
    private func hidden(_ path: RulePath, _ variables: [EnvVar]) -> [String] {
        var names: Set<String> = []
        return variables.enumerated().compactMap { index, variable in
            if names.insert(variable.name).inserted { return nil }
            let reference = "$(\(variable.name))"
            let isExtended =
                variable.valueFrom == nil && variable.value != reference
                && variable.value.contains(reference)
            if isExtended { return nil }
            return "\(path.index(index).text): hides previous definition of "
                + "\(GoText.quoted(variable.name)), which may be dropped when using apply"
        }
    }

    // MARK: - Ports

    private var ports: [String] {
        var warnings: [String] = []
        var known: [String: [(path: RulePath, port: ContainerPort)]] = [:]
        for (container, path) in containers {
            for (index, port) in container.ports.enumerated() {
                let path = path.child("ports").index(index)
                if !port.hostIP.isEmpty, port.hostPort == 0 {
                    warnings.append(
                        "\(path.text): hostIP set without hostPort: {Name:\(port.name) HostPort:0 "
                            + "ContainerPort:\(port.containerPort) Protocol:\(port.protocol) "
                            + "HostIP:\(port.hostIP)}")
                }
                let key = "\(port.containerPort)/\(port.protocol)"
                for other in known[key] ?? [] {
                    guard let relation = Self.relation(port, other.port) else { continue }
                    warnings.append("\(path.text): \(relation) port definition with \(other.path.text)")
                }
                known[key, default: []].append((path, port))
            }
        }
        return warnings
    }

    /// How a port gets in the way of another one with the same number and protocol.
    private static func relation(_ port: ContainerPort, _ other: ContainerPort) -> String? {
        if port.hostIP == other.hostIP, port.hostPort == other.hostPort { return "duplicate" }
        if port.hostPort == 0 || other.hostPort == 0 { return "overlapping" }
        if port.hostPort == other.hostPort, port.hostIP.isEmpty != other.hostIP.isEmpty {
            return "dangerously ambiguous"
        }
        return nil
    }

    /// Names that several containers of those that run side by side give to ports.
    private var portNames: [String] {
        var warnings: [String] = []
        var known: [String: RulePath] = [:]
        let sidecars = spec.initContainers.enumerated().filter { $0.element.restartPolicy == "Always" }
            .map { ($0.element, specPath.child("initContainers").index($0.offset)) }
        let regular = spec.containers.enumerated()
            .map { ($0.element, specPath.child("containers").index($0.offset)) }
        for (container, path) in sidecars + regular {
            for (index, port) in container.ports.enumerated() where !port.name.isEmpty {
                let path = path.child("ports").index(index)
                guard let other = known[port.name] else {
                    known[port.name] = path
                    continue
                }
                warnings.append(
                    "\(path.text): duplicate port name \(GoText.quoted(port.name)) with \(other.text), services "
                        + "and probes that select ports by name will use \(other.text)")
            }
        }
        return warnings
    }
}
