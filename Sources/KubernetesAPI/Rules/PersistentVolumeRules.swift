import KubernetesJSON

extension PersistentVolume: Defaulting {
    public mutating func applyDefaults() {
        if status.phase.isEmpty { status.phase = "Pending" }
        if spec.persistentVolumeReclaimPolicy.isEmpty { spec.persistentVolumeReclaimPolicy = "Retain" }
        if spec.volumeMode == nil { spec.volumeMode = "Filesystem" }
        spec.applySourceDefaults()
    }
}

extension AzureDiskVolumeSource {
    mutating func applyDefaults() {
        cachingMode = cachingMode ?? "ReadWrite"
        kind = kind ?? "Shared"
        fsType = fsType ?? "ext4"
        readOnly = readOnly ?? false
    }
}

extension PersistentVolumeSpec {
    fileprivate mutating func applySourceDefaults() {
        if hostPath != nil, hostPath?.type == nil { hostPath?.type = "" }
        if iscsi?.iscsiInterface.isEmpty == true { iscsi?.iscsiInterface = "default" }
        if rbd?.pool.isEmpty == true { rbd?.pool = "rbd" }
        if rbd?.user.isEmpty == true { rbd?.user = "admin" }
        if rbd?.keyring.isEmpty == true { rbd?.keyring = "/etc/ceph/keyring" }
        if scaleIO?.storageMode.isEmpty == true { scaleIO?.storageMode = "ThinProvisioned" }
        if scaleIO?.fsType.isEmpty == true { scaleIO?.fsType = "xfs" }
        azureDisk?.applyDefaults()
    }

    /// The spec with nothing but where the storage is.
    fileprivate var source: PersistentVolumeSpec {
        var source = self
        source.capacity = [:]
        source.accessModes = []
        source.claimRef = nil
        source.persistentVolumeReclaimPolicy = ""
        source.storageClassName = ""
        source.mountOptions = []
        source.volumeMode = nil
        source.nodeAffinity = nil
        source.volumeAttributesClassName = nil
        return source
    }
}

extension PersistentVolume: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: false, name: NameRules.subdomain) + spec.validate("spec")
    }

    public func validateUpdate(from old: PersistentVolume) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validate()
        let new = spec.source
        var before = old.spec.source
        // A secret for making the volume larger may be named later.
        if before.csi != nil, before.csi?.controllerExpandSecretRef == nil {
            before.csi?.controllerExpandSecretRef = new.csi?.controllerExpandSecretRef
        }
        if new != before {
            errors.forbidden(
                "spec.persistentvolumesource",
                "spec.persistentvolumesource is immutable after creation\n"
                    + SpecDifference.fields(
                        before.jsonValue, new.jsonValue, path: "spec.persistentvolumesource"
                    ).joined(separator: "\n"))
        }
        errors.requireUnchanged("volumeMode", spec.volumeMode ?? "", old.spec.volumeMode ?? "")
        if let affinity = old.spec.nodeAffinity, spec.nodeAffinity != affinity {
            errors.append(
                .invalid("nodeAffinity", spec.nodeAffinity?.jsonValue ?? .null, RuleText.immutable))
        }
        return errors
    }
}

extension PersistentVolumeSpec {
    fileprivate func validate(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        if accessModes.isEmpty { errors.required(path.child("accessModes")) }
        errors += StorageRules.accessModes(path.child("accessModes"), accessModes)
        errors += validateCapacity(path.child("capacity"))
        if !persistentVolumeReclaimPolicy.isEmpty {
            errors.requireOneOf(
                path.child("persistentVolumeReclaimPolicy"), persistentVolumeReclaimPolicy,
                ["Delete", "Recycle", "Retain"])
        }
        if let affinity = nodeAffinity {
            if let required = affinity.required {
                errors += PlacementRules.nodeSelector(path.child("nodeAffinity.required"), required)
            } else {
                errors.required(path.child("nodeAffinity.required"), "must specify required node constraints")
            }
        }
        errors += PersistentVolumeSourceRules.validate(path, self)
        if let hostPath, persistentVolumeReclaimPolicy == "Recycle",
            hostPath.path.split(separator: "/").allSatisfy({ $0 == "." })
        {
            errors.forbidden(
                path.child("persistentVolumeReclaimPolicy"),
                "may not be 'recycle' for a hostPath mount of '/'")
        }
        if !storageClassName.isEmpty {
            errors.require(NameRules.subdomain, path.child("storageClassName"), storageClassName)
        }
        errors += StorageRules.mode(path.child("volumeMode"), volumeMode)
        if let name = volumeAttributesClassName {
            if name.isEmpty {
                errors.required(
                    path.child("volumeAttributesClassName"), "an empty string is disallowed")
            } else {
                errors.require(NameRules.subdomain, path.child("volumeAttributesClassName"), name)
            }
        }
        return errors
    }

    private func validateCapacity(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        if capacity.isEmpty { errors.required(path) }
        if capacity["storage"] == nil || capacity.count > 1 {
            let value = JSONObject(
                capacity.mapValues { JSONValue.string("\($0)") }.sorted { $0.key < $1.key })
            errors.append(.notSupported(path.text, .object(value), ["storage"]))
        }
        for (name, amount) in capacity.sorted(by: { $0.key < $1.key }) where !(amount > Quantity()) {
            errors.invalid(path.key(name), amount.description, "must be greater than zero")
        }
        return errors
    }
}
