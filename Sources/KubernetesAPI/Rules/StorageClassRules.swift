import KubernetesJSON

// MARK: - StorageClass

extension StorageClass: Defaulting {
    public mutating func applyDefaults() {
        if reclaimPolicy == nil { reclaimPolicy = "Delete" }
        if volumeBindingMode == nil { volumeBindingMode = "Immediate" }
    }
}

extension StorageClass: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.subdomain)
        if provisioner.isEmpty {
            errors.required("provisioner", provisioner)
        } else {
            for message in NameRules.qualified(provisioner.lowercased()) {
                errors.invalid("provisioner", provisioner, message)
            }
        }
        if parameters.count > 512 { errors.tooLong("parameters", maximum: 512) }
        if parameters[""] != nil { errors.invalid("parameters", "", "field can not be empty.") }
        let size = parameters.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        if size > 256 * 1024 { errors.tooLong("parameters", maximum: 256 * 1024) }
        if let policy = reclaimPolicy, !policy.isEmpty {
            errors.requireOneOf("reclaimPolicy", policy, ["Delete", "Retain"])
        }
        if let mode = volumeBindingMode {
            errors.requireOneOf("volumeBindingMode", mode, ["Immediate", "WaitForFirstConsumer"])
        } else {
            errors.required("volumeBindingMode")
        }
        return errors + topologies()
    }

    public func validateUpdate(from old: StorageClass) -> [FieldError] {
        var errors = validate() + metadata.validateUpdate(from: old.metadata)
        for (field, isChanged) in [
            ("parameters", parameters != old.parameters), ("provisioner", provisioner != old.provisioner),
            ("reclaimPolicy", reclaimPolicy != old.reclaimPolicy),
        ] where isChanged {
            errors.forbidden(RulePath(field), "updates to \(field) are forbidden.")
        }
        errors.requireUnchanged("volumeBindingMode", volumeBindingMode ?? "", old.volumeBindingMode ?? "")
        return errors
    }

    private func topologies() -> [FieldError] {
        var errors: [FieldError] = []
        for (index, term) in allowedTopologies.enumerated() {
            let list = RulePath("allowedTopologies").index(index).child("matchLabelExpressions")
            if allowedTopologies[..<index].contains(term) {
                errors.append(.duplicate(list.text, ""))
            }
            var keys: Set<String> = []
            for (index, requirement) in term.matchLabelExpressions.enumerated() {
                let path = list.index(index)
                if requirement.values.isEmpty { errors.required(path.child("values")) }
                var values: Set<String> = []
                for (index, value) in requirement.values.enumerated() where !values.insert(value).inserted {
                    errors.duplicate(path.child("values").index(index), value)
                }
                errors.require(NameRules.qualified, path.child("key"), requirement.key)
                if !keys.insert(requirement.key).inserted {
                    errors.duplicate(path.child("key"), requirement.key)
                }
            }
        }
        return errors
    }
}

// MARK: - What drivers write

extension VolumeAttachment: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.subdomain)
        if spec.attacher.isEmpty {
            errors.required("spec.attacher")
        } else {
            errors += DriverRules.name("spec.attacher", spec.attacher)
        }
        let name = spec.source.persistentVolumeName
        if spec.source.inlineVolumeSpec == nil, name == nil {
            errors.required(
                "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
        }
        if spec.source.inlineVolumeSpec != nil, name != nil {
            errors.forbidden(
                "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
        }
        if let name {
            if name.isEmpty {
                errors.required(
                    "spec.source.persistentVolumeName", "must specify non empty persistentVolumeName")
            } else {
                errors.require(NameRules.subdomain, "spec.source.persistentVolumeName", name)
            }
        }
        errors.require(NameRules.subdomain, "spec.nodeName", spec.nodeName)
        return errors
    }

    public func validateUpdate(from old: VolumeAttachment) -> [FieldError] {
        var errors = validate() + metadata.validateUpdate(from: old.metadata)
        if spec != old.spec { errors.append(.invalid("spec", spec.jsonValue, "field is immutable")) }
        return errors
    }
}

extension CSIDriver: Defaulting {
    public mutating func applyDefaults() {
        if spec.attachRequired == nil { spec.attachRequired = true }
        if spec.podInfoOnMount == nil { spec.podInfoOnMount = false }
        if spec.storageCapacity == nil { spec.storageCapacity = false }
        if spec.fsGroupPolicy == nil { spec.fsGroupPolicy = "ReadWriteOnceWithFSType" }
        if spec.volumeLifecycleModes.isEmpty { spec.volumeLifecycleModes = ["Persistent"] }
        if spec.requiresRepublish == nil { spec.requiresRepublish = false }
        if spec.seLinuxMount == nil { spec.seLinuxMount = false }
    }
}

extension CSIDriver: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false) { _ in [] }
        errors += DriverRules.name("metadata.name", metadata.name)
        if spec.attachRequired == nil { errors.required("spec.attachedRequired") }
        if spec.podInfoOnMount == nil { errors.required("spec.podInfoOnMount") }
        if let policy = spec.fsGroupPolicy {
            errors.requireOneOf(
                "spec.fsGroupPolicy", policy, ["ReadWriteOnceWithFSType", "File", "None"])
        }
        for mode in spec.volumeLifecycleModes {
            errors.requireOneOf("spec.volumeLifecycleModes", mode, ["Persistent", "Ephemeral"])
        }
        return errors + tokens("spec.tokenRequests")
    }

    public func validateUpdate(from old: CSIDriver) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if spec.attachRequired != old.spec.attachRequired {
            errors.invalid("spec.attachedRequired", spec.attachRequired ?? false, RuleText.immutable)
        }
        if spec.volumeLifecycleModes != old.spec.volumeLifecycleModes {
            let list = spec.volumeLifecycleModes.map(GoText.quoted).joined(separator: ", ")
            errors.invalid(
                "spec.volumeLifecycleModes", shown: "[]storage.VolumeLifecycleMode{\(list)}",
                RuleText.immutable)
        }
        return errors + validate()
    }

    private func tokens(_ list: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        var audiences: Set<String> = []
        for (index, request) in spec.tokenRequests.enumerated() {
            let path = list.index(index)
            if !audiences.insert(request.audience).inserted {
                errors.duplicate(path.child("audience"), request.audience)
            }
            guard let seconds = request.expirationSeconds else { continue }
            let field = path.child("expirationSeconds")
            if seconds < 600 {
                errors.invalid(field, seconds, "may not specify a duration less than 10 minutes")
            }
            if seconds > 1 << 32 {
                errors.invalid(field, seconds, "may not specify a duration larger than 2^32 seconds")
            }
        }
        return errors
    }
}

extension CSINode: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: false, name: NameRules.subdomain)
        var names: Set<String> = []
        for (index, driver) in spec.drivers.enumerated() {
            let path = RulePath("spec.drivers").index(index)
            errors += DriverRules.name(path.child("name"), driver.name)
            if driver.nodeID.isEmpty {
                errors.required(path.child("nodeID"), driver.nodeID)
            } else if driver.nodeID.utf8.count > 192 {
                errors.invalid(path.child("nodeID"), driver.nodeID, "must be 192 characters or less")
            }
            if let count = driver.allocatable?.count, count < 0 {
                errors.invalid(
                    path.child("allocatable.count"), count, "must be greater than or equal to 0")
            }
            if !names.insert(driver.name).inserted { errors.duplicate(path.child("name"), driver.name) }
            var keys: Set<String> = []
            for key in driver.topologyKeys {
                if !keys.insert(key).inserted { errors.duplicate(path, key) }
                errors.require(NameRules.qualified, path, key)
            }
        }
        return errors
    }

    public func validateUpdate(from old: CSINode) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validate()
        // A driver may come and go, and may not change while it is there.
        for driver in spec.drivers {
            guard let before = old.spec.drivers.first(where: { $0.name == driver.name }), before != driver
            else { continue }
            errors.append(.invalid("CSINodeDriver", driver.jsonValue, RuleText.immutable))
        }
        return errors
    }
}

extension CSIStorageCapacity: Validating {
    public func validate() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        errors += LabelRules.selector("nodeTopology", nodeTopology)
        errors.require(NameRules.subdomain, "storageClassName", storageClassName)
        for (field, amount) in [("capacity", capacity), ("maximumVolumeSize", maximumVolumeSize)] {
            if let amount, amount.isNegative {
                errors.invalid(
                    RulePath(field), amount.description, "must be greater than or equal to 0")
            }
        }
        return errors
    }

    public func validateUpdate(from old: CSIStorageCapacity) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validate()
        if nodeTopology != old.nodeTopology {
            errors.append(
                .invalid("nodeTopology", nodeTopology?.jsonValue ?? .null, RuleText.immutable))
        }
        errors.requireUnchanged("storageClassName", storageClassName, old.storageClassName)
        return errors
    }
}

/// The names of CSI drivers.
enum DriverRules {
    static func name(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        if name.isEmpty { errors.required(path) }
        if name.utf8.count > 63 { errors.tooLong(path, maximum: 63) }
        errors.require(NameRules.subdomain, path, name.lowercased())
        return errors
    }
}
