/// Rules on privileges and identities.
enum SecurityRules {
    private static let identities = 0...Int(Int32.max)

    static func pod(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        guard let context = spec.securityContext else { return [] }
        var errors: [FieldError] = []
        for (field, value) in [
            ("fsGroup", context.fsGroup), ("runAsUser", context.runAsUser),
            ("runAsGroup", context.runAsGroup),
        ] {
            if let value { errors.requireRange(path.child(field), value, identities) }
        }
        for (index, group) in context.supplementalGroups.enumerated() {
            errors.requireRange(path.child("supplementalGroups").index(index), group, identities)
        }
        if spec.hostPID, spec.shareProcessNamespace == true {
            errors.invalid(
                path.child("shareProcessNamespace"), true,
                "ShareProcessNamespace and HostPID cannot both be enabled")
        }
        errors += kernelParameters(path.child("sysctls"), context.sysctls, spec)
        if let policy = context.fsGroupChangePolicy {
            errors.requireOneOf(path.child("fsGroupChangePolicy"), policy, ["Always", "OnRootMismatch"])
        }
        errors += seccomp(path.child("seccompProfile"), context.seccompProfile)
        errors += SystemRules.windowsOptions(path.child("windowsOptions"), context.windowsOptions)
        errors += appArmor(path.child("appArmorProfile"), context.appArmorProfile)
        if let policy = context.supplementalGroupsPolicy {
            errors.requireOneOf(path.child("supplementalGroupsPolicy"), policy, ["Merge", "Strict"])
        }
        if let policy = context.seLinuxChangePolicy {
            errors.requireOneOf(path.child("seLinuxChangePolicy"), policy, ["MountOption", "Recursive"])
        }
        return errors
    }

    static func container(_ path: RulePath, _ context: SecurityContext?, hostUsers: Bool) -> [FieldError] {
        guard let context else { return [] }
        var errors: [FieldError] = []
        for (field, value) in [("runAsUser", context.runAsUser), ("runAsGroup", context.runAsGroup)] {
            if let value { errors.requireRange(path.child(field), value, identities) }
        }
        if let mount = context.procMount {
            errors.requireOneOf(path.child("procMount"), mount, ["Default", "Unmasked"])
            if hostUsers, mount == "Unmasked" {
                errors.invalid(
                    path.child("procMount"), mount, "`hostUsers` must be false to use `Unmasked`")
            }
        }
        errors += seccomp(path.child("seccompProfile"), context.seccompProfile)
        if context.allowPrivilegeEscalation == false {
            if context.privileged == true {
                errors.append(
                    FieldError(
                        type: .invalid, field: path.text, badValue: context.jsonValue,
                        detail: "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
            }
            if context.capabilities?.add.contains("CAP_SYS_ADMIN") == true {
                errors.append(
                    FieldError(
                        type: .invalid, field: path.text, badValue: context.jsonValue,
                        detail: "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` "
                            + "CAP_SYS_ADMIN"))
            }
        }
        errors += SystemRules.windowsOptions(path.child("windowsOptions"), context.windowsOptions)
        return errors + appArmor(path.child("appArmorProfile"), context.appArmorProfile)
    }

    private static func seccomp(_ path: RulePath, _ profile: SeccompProfile?) -> [FieldError] {
        guard let profile else { return [] }
        var errors: [FieldError] = []
        if profile.type.isEmpty {
            errors.required(path.child("type"), "type is required when seccompProfile is set")
        } else {
            errors.requireOneOf(
                path.child("type"), profile.type, ["Localhost", "RuntimeDefault", "Unconfined"])
        }
        let local = path.child("localhostProfile")
        if profile.type == "Localhost" {
            guard let name = profile.localhostProfile else {
                errors.required(local, "must be set when seccomp type is Localhost")
                return errors
            }
            return errors + VolumeRules.inside(local, name)
        }
        if let name = profile.localhostProfile {
            errors.invalid(local, name, "can only be set when seccomp type is Localhost")
        }
        return errors
    }

    private static func appArmor(_ path: RulePath, _ profile: AppArmorProfile?) -> [FieldError] {
        guard let profile else { return [] }
        var errors: [FieldError] = []
        let local = path.child("localhostProfile")
        switch profile.type {
        case "Localhost":
            let name = profile.localhostProfile ?? ""
            if name.isEmpty {
                errors.required(local, "must be set when AppArmor type is Localhost")
            } else if name.first?.isWhitespace == true || name.last?.isWhitespace == true {
                errors.invalid(local, name, "must not be padded with whitespace")
            }
            if name.utf8.count > 4095 { errors.tooLong(local, maximum: 4095) }
        case "RuntimeDefault", "Unconfined":
            if let name = profile.localhostProfile {
                errors.invalid(local, name, "can only be set when AppArmor type is Localhost")
            }
        case "": errors.required(path.child("type"), "type is required when appArmorProfile is set")
        default:
            errors.requireOneOf(
                path.child("type"), profile.type, ["Localhost", "RuntimeDefault", "Unconfined"])
        }
        return errors
    }

    private static func kernelParameters(_ path: RulePath, _ parameters: [Sysctl], _ spec: PodSpec)
        -> [FieldError]
    {
        let segment = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, parameter) in parameters.enumerated() {
            let path = path.index(index).child("name")
            let name = parameter.name
            if name.isEmpty {
                errors.required(path)
            } else if !NameRules.isKernelParameter(name) {
                errors.invalid(
                    path, name,
                    "must have at most 253 characters and match regex ^(\(segment)[\\./])*\(segment)$")
            } else if names.contains(name) {
                errors.duplicate(path, name)
            }
            let dotted = name.split(separator: "/").joined(separator: ".")
            if spec.hostNetwork, dotted.hasPrefix("net.") {
                errors.invalid(path, name, "may not be specified when 'hostNetwork' is true")
            }
            let isIPC = ["kernel.shm", "kernel.msg", "fs.mqueue."].contains { dotted.hasPrefix($0) }
            if spec.hostIPC, isIPC || dotted == "kernel.sem" {
                errors.invalid(path, name, "may not be specified when 'hostIPC' is true")
            }
            names.insert(name)
        }
        return errors
    }
}
