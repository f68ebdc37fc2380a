import KubernetesAPI

/// The rules that the restricted level adds to the baseline.
extension PodSecurityCheck {
    var restricted: [PodSecurityViolation?] {
        [
            standard.includes(8) ? privilegeEscalation : nil,
            standard.includes(22) ? keptCapabilities : nil,
            volumeTypes, runAsNonRoot,
            standard.includes(23) ? runAsUser : nil,
            standard.includes(19) ? confinement : nil,
        ]
    }

    /// Since 1.25 Windows pods need not say what means nothing there.
    private var isExempt: Bool { standard.includes(25) && isWindows }

    private var privilegeEscalation: PodSecurityViolation? {
        let bad = names { $0.security?.allowPrivilegeEscalation != false }
        guard !isExempt, !bad.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "allowPrivilegeEscalation != false",
            detail: "\(Self.containers(bad)) must set securityContext.allowPrivilegeEscalation=false")
    }

    private var keptCapabilities: PodSecurityViolation? {
        guard !isExempt else { return nil }
        var added: Set<String> = []
        let adding = names { subject in
            let wrong = (subject.security?.capabilities?.add ?? []).filter { $0 != "NET_BIND_SERVICE" }
            added.formUnion(wrong)
            return !wrong.isEmpty
        }
        let keeping = names { $0.security?.capabilities?.drop.contains("ALL") != true }
        var details: [String] = []
        if !keeping.isEmpty {
            details.append(
                "\(Self.containers(keeping)) must set securityContext.capabilities.drop=[\"ALL\"]")
        }
        if !adding.isEmpty {
            details.append(
                "\(Self.containers(adding)) must not include \(Self.quoted(added.sorted())) "
                    + "in securityContext.capabilities.add")
        }
        guard !details.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "unrestricted capabilities", detail: details.joined(separator: "; "))
    }

    private var volumeTypes: PodSecurityViolation? {
        let bad = spec.volumes.compactMap { volume in
            Self.restrictedType(volume).map { (name: volume.name, type: $0) }
        }
        guard !bad.isEmpty else { return nil }
        let types = Set(bad.map(\.type)).sorted()
        return PodSecurityViolation(
            reason: "restricted volume types",
            detail: "\(Self.plural("volume", bad.count)) \(Self.quoted(bad.map(\.name))) "
                + "\(bad.count == 1 ? "uses" : "use") "
                + "\(Self.plural("restricted volume type", types.count)) \(Self.quoted(types))")
    }

    /// The type of a volume that reaches beyond the pod and its claims; nil when it does not.
    private static func restrictedType(_ volume: Volume) -> String? {
        let isHarmless =
            volume.configMap != nil || volume.csi != nil || volume.downwardAPI != nil
            || volume.emptyDir != nil || volume.ephemeral != nil || volume.image != nil
            || volume.persistentVolumeClaim != nil || volume.projected != nil || volume.secret != nil
        if isHarmless { return nil }
        let types: [(String, Bool)] = [
            ("hostPath", volume.hostPath != nil), ("gcePersistentDisk", volume.gcePersistentDisk != nil),
            ("awsElasticBlockStore", volume.awsElasticBlockStore != nil),
            ("gitRepo", volume.gitRepo != nil), ("nfs", volume.nfs != nil), ("iscsi", volume.iscsi != nil),
            ("glusterfs", volume.glusterfs != nil), ("rbd", volume.rbd != nil),
            ("flexVolume", volume.flexVolume != nil), ("cinder", volume.cinder != nil),
            ("cephfs", volume.cephfs != nil), ("flocker", volume.flocker != nil), ("fc", volume.fc != nil),
            ("azureFile", volume.azureFile != nil), ("vsphereVolume", volume.vsphereVolume != nil),
            ("quobyte", volume.quobyte != nil), ("azureDisk", volume.azureDisk != nil),
            ("photonPersistentDisk", volume.photonPersistentDisk != nil),
            ("portworxVolume", volume.portworxVolume != nil), ("scaleIO", volume.scaleIO != nil),
            ("storageos", volume.storageos != nil),
        ]
        return types.first(where: \.1)?.0 ?? "unknown"
    }

    private var runAsNonRoot: PodSecurityViolation? {
        let reason = "runAsNonRoot != true"
        let pod = spec.securityContext?.runAsNonRoot
        let explicit = names { $0.security?.runAsNonRoot == false }
        if let setters = Self.setters(pod: pod == false, explicit) {
            return PodSecurityViolation(
                reason: reason, detail: "\(setters) must not set securityContext.runAsNonRoot=false")
        }
        let silent = names { $0.security?.runAsNonRoot == nil }
        guard pod != true, !silent.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: reason,
            detail: "pod or \(Self.containers(silent)) must set securityContext.runAsNonRoot=true")
    }

    private var runAsUser: PodSecurityViolation? {
        let bad = names { $0.security?.runAsUser == 0 }
        guard let setters = Self.setters(pod: spec.securityContext?.runAsUser == 0, bad) else { return nil }
        return PodSecurityViolation(reason: "runAsUser=0", detail: "\(setters) must not set runAsUser=0")
    }

    private var confinement: PodSecurityViolation? {
        guard !isExempt else { return nil }
        if let seccomp { return seccomp }
        let silent = names { $0.security?.seccompProfile == nil }
        guard spec.securityContext?.seccompProfile == nil, !silent.isEmpty else { return nil }
        return PodSecurityViolation(
            reason: "seccompProfile",
            detail: "pod or \(Self.containers(silent)) must set securityContext.seccompProfile.type to "
                + "\"RuntimeDefault\" or \"Localhost\"")
    }
}
