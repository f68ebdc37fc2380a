/// Rules on what only one operating system knows, for pods that name theirs (`spec.os`) and for Windows.
enum SystemRules {
    /// What is wrong with `spec.os`, and with fields that the system does not have.
    static func system(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        guard let system = spec.os else { return [] }
        var errors: [FieldError] = []
        switch system.name {
        case "": errors.required(path.child("os.name"), "cannot be empty")
        case "linux": errors = linux(path, spec)
        case "windows": errors = windows(path, spec)
        default: errors.requireOneOf(path.child("os"), system.name, ["linux", "windows"])
        }
        return errors
    }

    /// Containers of all sorts with their paths.
    private static func containers(_ path: RulePath, _ spec: PodSpec) -> [(RulePath, Container)] {
        let lists = [
            ("initContainers", spec.initContainers), ("containers", spec.containers),
            ("ephemeralContainers", spec.ephemeralContainers.map(\.asContainer)),
        ]
        return lists.flatMap { name, list in
            list.enumerated().map { (path.child(name).index($0.offset), $0.element) }
        }
    }

    private static func linux(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        let contexts =
            [(path, spec.securityContext?.windowsOptions)]
            + containers(path, spec).map { ($0, $1.securityContext?.windowsOptions) }
        return contexts.filter { $0.1 != nil }.map { path, _ in
            .forbidden(
                path.child("securityContext.windowsOptions").text,
                "windows options cannot be set for a linux pod")
        }
    }

    private static func windows(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        var foreign: [RulePath] = []
        let ofPod = path.child("securityContext")
        let context = spec.securityContext ?? PodSecurityContext()
        foreign += [
            (ofPod.child("appArmorProfile"), context.appArmorProfile != nil),
            (ofPod.child("seLinuxOptions"), context.seLinuxOptions != nil),
            (path.child("hostUsers"), spec.hostUsers != nil), (path.child("hostPID"), spec.hostPID),
            (path.child("hostIPC"), spec.hostIPC),
            (ofPod.child("seccompProfile"), context.seccompProfile != nil),
            (ofPod.child("fsGroup"), context.fsGroup != nil),
            (ofPod.child("fsGroupChangePolicy"), context.fsGroupChangePolicy != nil),
            (ofPod.child("sysctls"), !context.sysctls.isEmpty),
            (path.child("shareProcessNamespace"), spec.shareProcessNamespace != nil),
            (ofPod.child("runAsUser"), context.runAsUser != nil),
            (ofPod.child("runAsGroup"), context.runAsGroup != nil),
            (ofPod.child("supplementalGroups"), !context.supplementalGroups.isEmpty),
            (ofPod.child("supplementalGroupsPolicy"), context.supplementalGroupsPolicy != nil),
            (ofPod.child("seLinuxChangePolicy"), context.seLinuxChangePolicy != nil),
        ].filter(\.1).map(\.0)
        for (path, container) in containers(path, spec) {
            guard let context = container.securityContext else { continue }
            let path = path.child("securityContext")
            foreign += [
                ("appArmorProfile", context.appArmorProfile != nil),
                ("seLinuxOptions", context.seLinuxOptions != nil),
                ("seccompProfile", context.seccompProfile != nil),
                ("capabilities", context.capabilities != nil),
                ("readOnlyRootFilesystem", context.readOnlyRootFilesystem != nil),
                ("privileged", context.privileged != nil),
                ("allowPrivilegeEscalation", context.allowPrivilegeEscalation != nil),
                ("procMount", context.procMount != nil), ("runAsUser", context.runAsUser != nil),
                ("runAsGroup", context.runAsGroup != nil),
            ].filter(\.1).map { path.child($0.0) }
        }
        return foreign.map { .forbidden($0.text, "cannot be set for a windows pod") }
    }

    // MARK: - Windows

    /// Host process containers do not mix with others, and live in the node's network.
    static func hostProcess(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        var errors: [FieldError] = []
        let ofPod = spec.securityContext?.windowsOptions?.hostProcess
        let containers = containers(path, spec)
        var count = 0
        for (path, container) in containers {
            let own = container.securityContext?.windowsOptions?.hostProcess
            if let ofPod, let own, ofPod != own {
                errors.invalid(
                    path.child("securityContext.windowsOptions.hostProcess"), own,
                    "pod hostProcess value must be identical if both are specified, was \(ofPod)")
            }
            if own ?? ofPod == true { count += 1 }
        }
        guard count > 0 else { return errors }
        if count != containers.count {
            errors.invalid(
                path, "",
                "If pod contains any hostProcess containers then all containers must be HostProcess containers"
            )
        }
        if !spec.hostNetwork {
            errors.invalid(
                path.child("hostNetwork"), false,
                "hostNetwork must be true if pod contains any hostProcess containers")
        }
        return errors
    }

    static func windowsOptions(_ path: RulePath, _ options: WindowsSecurityContextOptions?) -> [FieldError] {
        guard let options else { return [] }
        var errors: [FieldError] = []
        if let name = options.gmsaCredentialSpecName {
            errors.require(NameRules.subdomain, path.child("gmsaCredentialSpecName"), name)
        }
        if let text = options.gmsaCredentialSpec {
            let path = path.child("gmsaCredentialSpec")
            if text.isEmpty {
                errors.invalid(path, text, "gmsaCredentialSpec cannot be an empty string")
            } else if text.utf8.count > 64 * 1024 {
                errors.invalid(path, text, "gmsaCredentialSpec size must be under 64 KiB")
            }
        }
        if let name = options.runAsUserName {
            errors.invalid(path.child("runAsUserName"), name, messages: userName(name))
        }
        return errors
    }

    /// `DOMAIN\user` or `user`.
    private static func userName(_ name: String) -> [String] {
        if name.isEmpty { return ["runAsUserName cannot be an empty string"] }
        if name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) {
            return ["runAsUserName cannot contain control characters"]
        }
        let parts = name.split(separator: "\\", omittingEmptySubsequences: false)
        if parts.count > 2 { return ["runAsUserName cannot contain more than one backslash"] }
        var messages: [String] = []
        if parts.count == 2 {
            if parts[0].utf8.count >= 256 {
                messages.append("runAsUserName's Domain length must be under 256 characters")
            }
            if !isDomain(parts[0]) {
                messages.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
            }
        }
        let user = parts.last ?? ""
        if user.isEmpty {
            messages.append("runAsUserName's User cannot be empty")
        } else if user.utf8.count > 104 {
            messages.append("runAsUserName's User length must not be longer than 104 characters")
        }
        if !user.isEmpty, user.allSatisfy({ $0 == "." || $0 == " " }) {
            messages.append("runAsUserName's User cannot contain only periods or spaces")
        }
        if user.contains(where: { "\"/\\:;|=,+*?<>@[]".contains($0) }) {
            messages.append(
                #"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#)
        }
        return messages
    }

    /// A NetBIOS name of up to 15 characters, or a name of DNS of two labels or more.
    private static func isDomain(_ text: Substring) -> Bool {
        let isShort = (1...15).contains(text.unicodeScalars.count)
        if isShort, !text.hasPrefix("."), !text.contains(where: { "\\/:*?\"<>|".contains($0) }) {
            return true
        }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        return labels.count > 1 && labels.allSatisfy { NameRules.label($0.lowercased()).isEmpty }
    }
}

/// The annotations that named AppArmor profiles before there was a field for it.
enum AppArmorAnnotation {
    static let prefix = "container.apparmor.security.beta.kubernetes.io/"

    static func rules(_ path: RulePath, _ annotations: [String: String], _ spec: PodSpec) -> [FieldError] {
        let names = Set(
            spec.initContainers.map(\.name) + spec.containers.map(\.name)
                + spec.ephemeralContainers.map(\.name))
        var errors: [FieldError] = []
        for (key, profile) in annotations.sorted(by: { $0.key < $1.key }) where key.hasPrefix(prefix) {
            let name = String(key.dropFirst(prefix.count))
            if !names.contains(name) { errors.invalid(path.key(key), name, "container not found") }
            let isKnown =
                ["", "runtime/default", "unconfined"].contains(profile) || profile.hasPrefix("localhost/")
            if !isKnown {
                errors.invalid(
                    path.key(key), profile, "invalid AppArmor profile name: \(GoText.quoted(profile))")
            }
        }
        return errors
    }

    /// What a pod's containers are confined by stays.
    static func changes(
        _ path: RulePath, _ annotations: [String: String], from old: [String: String]
    ) -> [FieldError] {
        let gone = old.filter { $0.key.hasPrefix(prefix) && annotations[$0.key] != $0.value }
        let new = annotations.filter { $0.key.hasPrefix(prefix) && old[$0.key] == nil }
        return gone.keys.sorted().map {
            .forbidden(path.key($0).text, "may not remove or update AppArmor annotations")
        } + new.keys.sorted().map { .forbidden(path.key($0).text, "may not add AppArmor annotations") }
    }
}
