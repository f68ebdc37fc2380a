import KubernetesAPI

/// Where a pod does more than a Pod Security Standard allows.
package struct PodSecurityViolation: Sendable, Hashable, CustomStringConvertible {
    /// The rule, in few words.
    package var reason: String
    /// Who breaks it and how.
    package var detail: String

    package var description: String { detail.isEmpty ? reason : "\(reason) (\(detail))" }
}

extension PodSecurityPolicy.Standard {
    /// What is wrong with a pod, or a template; empty when nothing is. The order is upstream's.
    package func violations(_ metadata: ObjectMeta, _ spec: PodSpec) -> [PodSecurityViolation] {
        guard level > .privileged else { return [] }
        let check = PodSecurityCheck(metadata: metadata, spec: spec, standard: self)
        let isRestricted = level == .restricted
        var found = [check.appArmor]
        if !isRestricted || !includes(22) { found.append(check.addedCapabilities) }
        found.append(check.hostNamespaces)
        if !isRestricted { found.append(check.hostPaths) }
        found += [check.hostPorts, check.privileged, check.procMount, check.seLinux]
        if !isRestricted || !includes(19) { found.append(check.seccomp) }
        found += [check.sysctls, check.windowsHostProcess]
        if isRestricted { found += check.restricted }
        return found.compactMap { $0 }
    }
}

/// A pod under the rules of one standard. The baseline is here.
struct PodSecurityCheck {
    /// What the rules look at in containers of every sort.
    struct Subject {
        var name: String
        var security: SecurityContext?
        var ports: [ContainerPort]
    }

    let metadata: ObjectMeta
    let spec: PodSpec
    let standard: PodSecurityPolicy.Standard
    let subjects: [Subject]

    init(metadata: ObjectMeta, spec: PodSpec, standard: PodSecurityPolicy.Standard) {
        self.metadata = metadata
        self.spec = spec
        self.standard = standard
        subjects =
            (spec.initContainers + spec.containers).map {
                Subject(name: $0.name, security: $0.securityContext, ports: $0.ports)
            }
            + spec.ephemeralContainers.map {
                Subject(name: $0.name, security: $0.securityContext, ports: $0.ports)
            }
    }

    // MARK: Words

    static func quoted(_ names: [String]) -> String {
        names.map { "\"\($0)\"" }.joined(separator: ", ")
    }

    static func plural(_ word: String, _ count: Int) -> String { count == 1 ? word : word + "s" }

    static func containers(_ names: [String]) -> String {
        "\(plural("container", names.count)) \(quoted(names))"
    }

    /// `pod and containers "a", "b"`; nil when nobody did it.
    static func setters(pod: Bool, _ containers: [String]) -> String? {
        var parts = pod ? ["pod"] : []
        if !containers.isEmpty { parts.append(Self.containers(containers)) }
        return parts.isEmpty ? nil : parts.joined(separator: " and ")
    }

    func names(_ isBad: (Subject) -> Bool) -> [String] { subjects.filter(isBad).map(\.name) }

    var isWindows: Bool { spec.os?.name == "windows" }

    // MARK: Baseline

    var appArmor: PodSecurityViolation? {
        let isBad = { (profile: AppArmorProfile?) in
            profile.map { $0.type != "RuntimeDefault" && $0.type != "Localhost" } ?? false
        }
        let pod = spec.securityContext?.appArmorProfile
        let bad = subjects.filter { isBad($0.security?.appArmorProfile) }
        var values = Set(bad.compactMap { $0.security?.appArmorProfile?.type })
        if let pod, isBad(pod) { values.insert(pod.type) }
        let annotations = metadata.annotations.filter {
            $0.key.hasPrefix("container.apparmor.security.beta.kubernetes.io/") && !$0.value.isEmpty
                && $0.value != "runtime/default" && !$0.value.hasPrefix("localhost/")
        }.map { "\($0.key)=\"\($0.value)\"" }.sorted()
        var setters = Self.setters(pod: isBad(pod), bad.map(\.name)).map { [$0] } ?? []
        if !annotations.isEmpty { setters.append(Self.plural("annotation", annotations.count)) }
        guard !setters.isEmpty else { return nil }
        let list = values.sorted() + annotations
        return PodSecurityViolation(
            reason: Self.plural("forbidden AppArmor profile", list.count),
            detail: setters.joined(separator: " and ")
                + " must not set AppArmor profile type to \(Self.quoted(list))")
    }

    private static let harmlessCapabilities: Set<String> = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
        "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    ]

    var addedCapabilities: PodSecurityViolation? {
        var added: Set<String> = []
        let bad = names { subject in
            let wrong = (subject.security?.capabilities?.add ?? []).filter {
                !Self.harmlessCapabilities.contains($0)
            }
            added.formUnion(wrong)
            return !wrong.isEmpty
        }
        guard !bad.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "non-default capabilities",
            detail: "\(Self.containers(bad)) must not include \(Self.quoted(added.sorted())) "
                + "in securityContext.capabilities.add")
    }

    var hostNamespaces: PodSecurityViolation? {
        let shared = [
            ("hostNetwork=true", spec.hostNetwork), ("hostPID=true", spec.hostPID),
            ("hostIPC=true", spec.hostIPC),
        ].filter(\.1).map(\.0)
        guard !shared.isEmpty else { return nil }
        return PodSecurityViolation(reason: "host namespaces", detail: shared.joined(separator: ", "))
    }

    var hostPaths: PodSecurityViolation? {
        let bad = spec.volumes.filter { $0.hostPath != nil }.map(\.name)
        guard !bad.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "hostPath volumes", detail: "\(Self.plural("volume", bad.count)) \(Self.quoted(bad))")
    }

    var hostPorts: PodSecurityViolation? {
        var ports: Set<String> = []
        let bad = names { subject in
            let wrong = subject.ports.filter { $0.hostPort != 0 }.map { "\($0.hostPort)" }
            ports.formUnion(wrong)
            return !wrong.isEmpty
        }
        guard !bad.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "hostPort",
            detail: "\(Self.containers(bad)) \(bad.count == 1 ? "uses" : "use") "
                + "\(Self.plural("hostPort", ports.count)) \(ports.sorted().joined(separator: ", "))")
    }

    var privileged: PodSecurityViolation? {
        let bad = names { $0.security?.privileged == true }
        guard !bad.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "privileged",
            detail: "\(Self.containers(bad)) must not set securityContext.privileged=true")
    }

    var procMount: PodSecurityViolation? {
        let bad = subjects.filter { ($0.security?.procMount ?? "Default") != "Default" }
        guard !bad.isEmpty else { return nil }
        let types = Set(bad.compactMap { $0.security?.procMount }).sorted()
        return PodSecurityViolation(
            reason: "procMount",
            detail: "\(Self.containers(bad.map(\.name))) must not set securityContext.procMount to "
                + Self.quoted(types))
    }

    var seLinux: PodSecurityViolation? {
        var allowed: Set<String> = ["", "container_t", "container_init_t", "container_kvm_t"]
        if standard.includes(31) { allowed.insert("container_engine_t") }
        var bad: [SELinuxOptions] = []
        let isBad = { (options: SELinuxOptions?) in
            guard let options,
                !allowed.contains(options.type) || !options.user.isEmpty || !options.role.isEmpty
            else { return false }
            bad.append(options)
            return true
        }
        let pod = isBad(spec.securityContext?.seLinuxOptions)
        let containers = names { isBad($0.security?.seLinuxOptions) }
        guard let setters = Self.setters(pod: pod, containers) else { return nil }
        let types = Set(bad.map(\.type)).subtracting(allowed).sorted()
        var data: [String] = []
        if !types.isEmpty { data.append("\(Self.plural("type", types.count)) \(Self.quoted(types))") }
        if bad.contains(where: { !$0.user.isEmpty }) { data.append("user may not be set") }
        if bad.contains(where: { !$0.role.isEmpty }) { data.append("role may not be set") }
        return PodSecurityViolation(
            reason: "seLinuxOptions",
            detail: "\(setters) set forbidden securityContext.seLinuxOptions: "
                + data.joined(separator: "; "))
    }

    static func isConfined(_ profile: SeccompProfile) -> Bool {
        profile.type == "Localhost" || profile.type == "RuntimeDefault"
    }

    /// Who switches the filter of system calls off. Before 1.19 annotations told of it.
    var seccomp: PodSecurityViolation? {
        guard standard.includes(19) else { return seccompAnnotations }
        let pod = spec.securityContext?.seccompProfile
        let podIsBad = pod.map { !Self.isConfined($0) } ?? false
        let bad = subjects.filter { $0.security?.seccompProfile.map { !Self.isConfined($0) } ?? false }
        guard let setters = Self.setters(pod: podIsBad, bad.map(\.name)) else { return nil }
        var values = Set(bad.compactMap { $0.security?.seccompProfile?.type })
        if podIsBad, let pod { values.insert(pod.type) }
        return PodSecurityViolation(
            reason: "seccompProfile",
            detail: "\(setters) must not set securityContext.seccompProfile.type to "
                + Self.quoted(values.sorted()))
    }

    private var seccompAnnotations: PodSecurityViolation? {
        let keys =
            ["seccomp.security.alpha.kubernetes.io/pod"]
            + subjects.map { "container.seccomp.security.alpha.kubernetes.io/\($0.name)" }
        let bad = Set(keys).sorted().compactMap { key -> String? in
            guard let value = metadata.annotations[key], value != "runtime/default",
                value != "docker/default", !value.hasPrefix("localhost/")
            else { return nil }
            return "\(key)=\"\(value)\""
        }
        guard !bad.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "seccompProfile",
            detail: "forbidden \(Self.plural("annotation", bad.count)) \(bad.joined(separator: ", "))")
    }

    private static let harmlessSysctls: [(version: Int, names: [String])] = [
        (
            0,
            [
                "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
                "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
            ]
        ),
        (27, ["net.ipv4.ip_local_reserved_ports"]),
        (
            29,
            [
                "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
                "net.ipv4.tcp_keepalive_probes",
            ]
        ),
        (32, ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"]),
    ]

    var sysctls: PodSecurityViolation? {
        let allowed = Self.harmlessSysctls.filter { standard.includes($0.version) }.flatMap(\.names)
        let bad = (spec.securityContext?.sysctls ?? []).map(\.name).filter { !allowed.contains($0) }
        guard !bad.isEmpty else { return nil }
        return PodSecurityViolation(reason: "forbidden sysctls", detail: bad.joined(separator: ", "))
    }

    var windowsHostProcess: PodSecurityViolation? {
        let bad = names { $0.security?.windowsOptions?.hostProcess == true }
        let pod = spec.securityContext?.windowsOptions?.hostProcess == true
        guard let setters = Self.setters(pod: pod, bad) else { return nil }
        return PodSecurityViolation(
            reason: "hostProcess",
            detail: "\(setters) must not set securityContext.windowsOptions.hostProcess=true")
    }
}
