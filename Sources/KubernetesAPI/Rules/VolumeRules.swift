/// Rules on the volumes of a pod.
enum VolumeRules {
    private static let fileMode = "must be a number between 0 and 0777 (octal), both inclusive"
    private static let hostPathTypes = [
        "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
    ]

    /// Checks all volumes and returns those that are sound, by name; only these can be mounted.
    static func volumes(
        _ path: RulePath, _ volumes: [Volume], pod: Pod?, errors: inout [FieldError]
    ) -> [String: Volume] {
        var sound: [String: Volume] = [:]
        for (index, volume) in volumes.enumerated() {
            let path = path.index(index)
            var found = source(path, volume, pod: pod)
            if volume.name.isEmpty {
                found.required(path.child("name"))
            } else {
                found.require(NameRules.label, path.child("name"), volume.name)
            }
            if sound[volume.name] != nil { found.duplicate(path.child("name"), volume.name) }
            if found.isEmpty { sound[volume.name] = volume } else { errors += found }
        }
        return sound
    }

    private static func source(_ path: RulePath, _ volume: Volume, pod: Pod?) -> [FieldError] {
        var errors: [FieldError] = []
        var isFirst = true
        /// Only one kind of source may be set; the further ones are refused without a look inside.
        func only<Source>(_ field: String, _ source: Source?, _ check: (RulePath, Source) -> [FieldError]) {
            guard let source else { return }
            if isFirst {
                errors += check(path.child(field), source)
            } else {
                errors.forbidden(path.child(field), "may not specify more than 1 volume type")
            }
            isFirst = false
        }
        only("emptyDir", volume.emptyDir) { path, source in
            guard source.sizeLimit?.isNegative == true else { return [] }
            return [
                .forbidden(path.child("sizeLimit").text, "SizeLimit field must be a valid resource quantity")
            ]
        }
        only("hostPath", volume.hostPath, hostPath)
        only("gitRepo", volume.gitRepo) { path, source in
            named(path, ("repository", source.repository)) + inside(path.child("directory"), source.directory)
        }
        only("gcePersistentDisk", volume.gcePersistentDisk) { named($0, ("pdName", $1.pdName)) }
        only("awsElasticBlockStore", volume.awsElasticBlockStore) { named($0, ("volumeID", $1.volumeID)) }
        only("secret", volume.secret) { path, source in
            named(path, ("secretName", source.secretName))
                + mode(path.child("defaultMode"), source.defaultMode)
                + items(path.child("items"), source.items)
        }
        only("nfs", volume.nfs, nfs)
        only("iscsi", volume.iscsi) { path, source in
            var errors = named(path, ("targetPortal", source.targetPortal), ("iqn", source.iqn))
            errors.requireRange(path.child("lun"), source.lun, 0...255)
            return errors
        }
        only("glusterfs", volume.glusterfs) { named($0, ("endpoints", $1.endpoints), ("path", $1.path)) }
        only("flocker", volume.flocker) { path, source in
            source.datasetName.isEmpty && source.datasetUUID.isEmpty
                ? [.required(path.text, "one of datasetName and datasetUUID is required")] : []
        }
        only("persistentVolumeClaim", volume.persistentVolumeClaim) { named($0, ("claimName", $1.claimName)) }
        only("rbd", volume.rbd) { named($0, ("monitors", $1.monitors.joined()), ("image", $1.image)) }
        only("cinder", volume.cinder) { named($0, ("volumeID", $1.volumeID)) }
        only("cephfs", volume.cephfs) { named($0, ("monitors", $1.monitors.joined())) }
        only("quobyte", volume.quobyte) { named($0, ("registry", $1.registry), ("volume", $1.volume)) }
        only("downwardAPI", volume.downwardAPI) { path, source in
            mode(path.child("defaultMode"), source.defaultMode) + source.items.flatMap { file(path, $0) }
        }
        only("fc", volume.fc, fibreChannel)
        only("flexVolume", volume.flexVolume) { named($0, ("driver", $1.driver)) }
        only("configMap", volume.configMap) { path, source in
            named(path, ("name", source.name)) + mode(path.child("defaultMode"), source.defaultMode)
                + items(path.child("items"), source.items)
        }
        only("azureFile", volume.azureFile) {
            named($0, ("secretName", $1.secretName), ("shareName", $1.shareName))
        }
        only("vsphereVolume", volume.vsphereVolume) { named($0, ("volumePath", $1.volumePath)) }
        only("photonPersistentDisk", volume.photonPersistentDisk) { named($0, ("pdID", $1.pdID)) }
        only("portworxVolume", volume.portworxVolume) { named($0, ("volumeID", $1.volumeID)) }
        only("azureDisk", volume.azureDisk) { named($0, ("diskName", $1.diskName), ("diskURI", $1.diskURI)) }
        only("storageos", volume.storageos) { named($0, ("volumeName", $1.volumeName)) }
        only("projected", volume.projected, projected)
        only("scaleIO", volume.scaleIO) {
            named($0, ("gateway", $1.gateway), ("system", $1.system), ("volumeName", $1.volumeName))
        }
        only("csi", volume.csi) { named($0, ("driver", $1.driver)) }
        only("ephemeral", volume.ephemeral) { ephemeral($0, $1, volume: volume.name, pod: pod) }
        only("image", volume.image) { path, source in
            var errors: [FieldError] = []
            if pod != nil { errors += named(path, ("reference", source.reference)) }
            errors.requireNamed(
                path.child("pullPolicy"), source.pullPolicy, ["Always", "IfNotPresent", "Never"])
            return errors
        }
        if isFirst { errors.required(path, "must specify a volume type") }
        return errors
    }

    // MARK: - Sources

    /// Fields that must not be empty.
    static func named(_ path: RulePath, _ fields: (String, String)...) -> [FieldError] {
        fields.filter { $0.1.isEmpty }.map { .required(path.child($0.0).text) }
    }

    private static func mode(_ path: RulePath, _ mode: Int?) -> [FieldError] {
        guard let mode, !(0...0o777).contains(mode) else { return [] }
        return [.invalid(path.text, .integer(Int64(mode)), fileMode)]
    }

    static func nfs(_ path: RulePath, _ source: NFSVolumeSource) -> [FieldError] {
        var errors = named(path, ("server", source.server), ("path", source.path))
        if !source.path.hasPrefix("/") {
            errors.invalid(path.child("path"), source.path, "must be an absolute path")
        }
        return errors
    }

    static func fibreChannel(_ path: RulePath, _ source: FCVolumeSource) -> [FieldError] {
        guard source.targetWWNs.isEmpty, source.wwids.isEmpty else { return [] }
        return [
            .required(
                path.child("targetWWNs").text, "must specify either targetWWNs or wwids, but not both")
        ]
    }

    static func hostPath(_ path: RulePath, _ source: HostPathVolumeSource) -> [FieldError] {
        var errors = named(path, ("path", source.path))
        if !errors.isEmpty { return errors }
        errors += noSteppingBack(path.child("path"), source.path)
        if let type = source.type { errors.requireOneOf(path.child("type"), type, hostPathTypes) }
        return errors
    }

    private static func items(_ path: RulePath, _ items: [KeyToPath]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, item) in items.enumerated() {
            let path = path.index(index)
            errors += named(path, ("key", item.key), ("path", item.path))
            errors += fileName(path.child("path"), item.path) + mode(path.child("mode"), item.mode)
        }
        return errors
    }

    private static func file(_ path: RulePath, _ file: DownwardAPIVolumeFile) -> [FieldError] {
        var errors = named(path, ("path", file.path)) + fileName(path.child("path"), file.path)
        if let field = file.fieldRef {
            errors += EnvironmentRules.podField(
                path.child("fieldRef"), field, allowed: EnvironmentRules.volumeFields)
            if file.resourceFieldRef != nil {
                errors.invalid(
                    path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
            }
        } else if let resource = file.resourceFieldRef {
            errors += EnvironmentRules.resourceField(
                path.child("resourceFieldRef"), resource, needsContainer: true)
        } else {
            errors.required(path, "one of fieldRef and resourceFieldRef is required")
        }
        return errors + mode(path.child("mode"), file.mode)
    }

    private static func ephemeral(
        _ path: RulePath, _ source: EphemeralVolumeSource, volume: String, pod: Pod?
    ) -> [FieldError] {
        var errors: [FieldError] = []
        let template = path.child("volumeClaimTemplate")
        if let claim = source.volumeClaimTemplate {
            if claim.spec.accessModes.isEmpty {
                errors.required(template.child("spec.accessModes"), "at least 1 access mode is required")
            }
            if claim.spec.resources.requests["storage"] == nil {
                errors.required(template.child("spec.resources").key("storage"))
            }
        } else {
            errors.required(template)
        }
        if let pod, !pod.metadata.name.isEmpty, !volume.isEmpty {
            let name = "\(pod.metadata.name)-\(volume)"
            for message in NameRules.subdomain(name) {
                errors.invalid(path.child("name"), volume, "PVC name \(GoText.quoted(name)): \(message)")
            }
        }
        return errors
    }

    private static func projected(_ path: RulePath, _ volume: ProjectedVolumeSource) -> [FieldError] {
        var errors = mode(path.child("defaultMode"), volume.defaultMode)
        var paths: Set<String> = []
        /// Two sources may not write the same file.
        func claim(_ file: String, _ value: String) {
            if !file.isEmpty, !paths.insert(file).inserted {
                errors.invalid(path, value, "conflicting duplicate paths")
            }
        }
        for (index, source) in volume.sources.enumerated() {
            let element = path.child("sources").index(index)
            var count = 0
            if let secret = source.secret {
                count += 1
                errors += named(element.child("secret"), ("name", secret.name))
                errors += items(element.child("secret.items"), secret.items)
                for item in secret.items { claim(item.path, secret.name) }
            }
            if let map = source.configMap {
                count += 1
                errors += named(element.child("configMap"), ("name", map.name))
                errors += items(element.child("configMap.items"), map.items)
                for item in map.items { claim(item.path, map.name) }
            }
            if let facts = source.downwardAPI {
                count += 1
                for item in facts.items {
                    errors += file(element.child("downwardAPI"), item)
                    claim(item.path, item.path)
                }
            }
            if let token = source.serviceAccountToken {
                count += 1
                let seconds = token.expirationSeconds ?? 3600
                let field = element.child("serviceAccountToken.expirationSeconds")
                if seconds < 600 {
                    errors.invalid(field, seconds, "may not specify a duration less than 10 minutes")
                }
                if seconds > 1 << 32 {
                    errors.invalid(field, seconds, "may not specify a duration larger than 2^32 seconds")
                }
                errors += named(path, ("path", token.path)) + fileName(path.child("path"), token.path)
            }
            if let bundle = source.clusterTrustBundle {
                count += 1
                errors += named(element.child("clusterTrustBundle"), ("path", bundle.path))
                errors += fileName(element.child("clusterTrustBundle.path"), bundle.path)
                claim(bundle.path, bundle.path)
            }
            if source.podCertificate != nil { count += 1 }
            if count > 1 {
                errors.forbidden(element, "may not specify more than 1 volume type per source")
            }
        }
        return errors
    }

    // MARK: - Paths

    /// A path may not climb.
    static func noSteppingBack(_ path: RulePath, _ target: String) -> [FieldError] {
        guard target.split(separator: "/").contains("..") else { return [] }
        return [.invalid(path.text, .string(target), "must not contain '..'")]
    }

    /// A relative path that does not climb.
    static func inside(_ path: RulePath, _ target: String) -> [FieldError] {
        var errors: [FieldError] = []
        if target.hasPrefix("/") { errors.invalid(path, target, "must be a relative path") }
        return errors + noSteppingBack(path, target)
    }

    /// A relative path that does not climb or begin with two dots.
    private static func fileName(_ path: RulePath, _ target: String) -> [FieldError] {
        var errors = inside(path, target)
        if target.hasPrefix(".."), !target.hasPrefix("../"), target != ".." {
            errors.invalid(path, target, "must not start with '..'")
        }
        return errors
    }
}

/// Rules on what a container mounts.
struct MountRules {
    let container: Container
    /// The pod's sound volumes by name.
    let volumes: [String: Volume]

    func validate(_ path: RulePath) -> [FieldError] {
        mounts(path.child("volumeMounts")) + devices(path.child("volumeDevices"))
    }

    private func mounts(_ list: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        var points: Set<String> = []
        for (index, mount) in container.volumeMounts.enumerated() {
            let path = list.index(index)
            let volume = volumes[mount.name]
            if mount.name.isEmpty { errors.required(path.child("name")) }
            if volume == nil { errors.notFound(path.child("name"), mount.name) }
            if mount.mountPath.isEmpty { errors.required(path.child("mountPath")) }
            if !points.insert(mount.mountPath).inserted {
                errors.invalid(path.child("mountPath"), mount.mountPath, "must be unique")
            }
            if container.volumeDevices.contains(where: { $0.name == mount.name }) {
                errors.invalid(path.child("name"), mount.name, "must not already exist in volumeDevices")
            }
            if container.volumeDevices.contains(where: { $0.devicePath == mount.mountPath }) {
                errors.invalid(
                    path.child("mountPath"), mount.mountPath,
                    "must not already exist as a path in volumeDevices")
            }
            errors += VolumeRules.inside(list.child("subPath"), mount.subPath)
            if !mount.subPathExpr.isEmpty {
                if !mount.subPath.isEmpty {
                    errors.invalid(
                        path.child("subPathExpr"), mount.subPathExpr,
                        "subPathExpr and subPath are mutually exclusive")
                }
                errors += VolumeRules.inside(list.child("subPathExpr"), mount.subPathExpr)
            }
            errors += propagation(list.child("mountPropagation"), mount)
            errors += recursion(list.child("recursiveReadOnly"), mount)
        }
        return errors
    }

    private func propagation(_ path: RulePath, _ mount: VolumeMount) -> [FieldError] {
        guard let mode = mount.mountPropagation else { return [] }
        var errors: [FieldError] = []
        errors.requireOneOf(path, mode, ["Bidirectional", "HostToContainer", "None"])
        if mode == "Bidirectional", container.securityContext?.privileged != true {
            errors.forbidden(
                path, "Bidirectional mount propagation is available only to privileged containers")
        }
        return errors
    }

    private func recursion(_ path: RulePath, _ mount: VolumeMount) -> [FieldError] {
        guard let mode = mount.recursiveReadOnly else { return [] }
        var errors: [FieldError] = []
        errors.requireOneOf(path, mode, ["Disabled", "Enabled", "IfPossible"])
        guard mode == "Enabled" || mode == "IfPossible" else { return errors }
        if !mount.readOnly { errors.forbidden(path, "may only be specified when readOnly is true") }
        if let propagation = mount.mountPropagation, propagation != "None" {
            errors.forbidden(path, "may only be specified when mountPropagation is None or not specified")
        }
        return errors
    }

    private func devices(_ list: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        var paths: Set<String> = []
        for (index, device) in container.volumeDevices.enumerated() {
            let path = list.index(index)
            if device.name.isEmpty {
                errors.required(path.child("name"))
            } else if !names.insert(device.name).inserted {
                errors.invalid(path.child("name"), device.name, "must be unique")
            }
            if let volume = volumes[device.name] {
                if volume.persistentVolumeClaim == nil, volume.ephemeral == nil {
                    errors.invalid(
                        path.child("name"), device.name,
                        "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
                    )
                }
            } else {
                errors.notFound(path.child("name"), device.name)
            }
            if device.devicePath.isEmpty { errors.required(path.child("devicePath")) }
            if paths.contains(device.devicePath) {
                errors.invalid(path.child("devicePath"), device.devicePath, "must be unique")
            }
            if VolumeRules.noSteppingBack(path, device.devicePath).isEmpty {
                paths.insert(device.devicePath)
            } else {
                errors.invalid(
                    path.child("devicePath"), device.devicePath, "can not contain backsteps ('..')")
            }
            if container.volumeMounts.contains(where: { $0.name == device.name }) {
                errors.invalid(path.child("name"), device.name, "must not already exist in volumeMounts")
            }
            if container.volumeMounts.contains(where: { $0.mountPath == device.devicePath }) {
                errors.invalid(
                    path.child("devicePath"), device.devicePath,
                    "must not already exist as a path in volumeMounts")
            }
        }
        return errors
    }
}
