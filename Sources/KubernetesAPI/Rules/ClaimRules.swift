import KubernetesJSON

extension PersistentVolumeClaim: Defaulting {
    public mutating func applyDefaults() {
        if status.phase.isEmpty { status.phase = "Pending" }
        spec.applyDefaults()
    }
}

extension PersistentVolumeClaimSpec {
    mutating func applyDefaults() {
        if volumeMode == nil { volumeMode = "Filesystem" }
    }

    /// What the older field can say is said in both.
    mutating func alignSources() {
        if dataSourceRef == nil, let source = dataSource {
            dataSourceRef = TypedObjectReference(
                apiGroup: source.apiGroup, kind: source.kind, name: source.name)
        } else if dataSource == nil, let source = dataSourceRef, (source.namespace ?? "").isEmpty {
            dataSource = TypedLocalObjectReference(
                apiGroup: source.apiGroup, kind: source.kind, name: source.name)
        }
    }
}

extension PersistentVolumeClaim {
    /// Makes the two fields for the source of the content agree, as far as they can.
    public mutating func alignSources() { spec.alignSources() }
}

extension PersistentVolumeClaim: Validating {
    public func validate() -> [FieldError] {
        metadata.validate(isNamespaced: true, name: NameRules.subdomain) + spec.validate("spec")
    }

    public func validateUpdate(from old: PersistentVolumeClaim) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata) + validate()
        var (new, before) = (spec, old.spec)
        if before.volumeName.isEmpty { before.volumeName = new.volumeName }
        // A claim that named no class may be given one, once there is a default.
        if before.storageClassName == nil,
            old.metadata.annotations["volume.beta.kubernetes.io/storage-class"] == nil
        {
            before.storageClassName = new.storageClassName
        }
        if status.phase == "Bound" {
            new.resources.requests["storage"] = before.resources.requests["storage"]
        }
        new.volumeAttributesClassName = before.volumeAttributesClassName
        before.alignSources()
        if new != before {
            errors.forbidden(
                "spec",
                "spec is immutable after creation except resources.requests and "
                    + "volumeAttributesClassName for bound claims\n"
                    + SpecDifference.fields(before.jsonValue, new.jsonValue).joined(separator: "\n"))
        }
        errors += size(from: old)
        errors.requireUnchanged("volumeMode", spec.volumeMode ?? "", old.spec.volumeMode ?? "")
        if let name = old.spec.volumeAttributesClassName, (spec.volumeAttributesClassName ?? "").isEmpty,
            !name.isEmpty
        {
            errors.forbidden(
                "spec.volumeAttributesClassName",
                spec.volumeAttributesClassName == nil
                    ? "update from non-nil value to nil is forbidden"
                    : "update from non-empty value to an empty string is forbidden")
        }
        return errors
    }

    public func validateStatusUpdate(from old: PersistentVolumeClaim) -> [FieldError] {
        var errors = metadata.validateUpdate(from: old.metadata)
        if spec.accessModes.isEmpty { errors.required("Spec.accessModes") }
        for (name, amount) in status.capacity.sorted(by: { $0.key < $1.key }) where amount.isNegative {
            errors.invalid(
                RulePath("status.capacity").key(name), amount.description, "must be a valid resource quantity"
            )
        }
        return errors
    }

    /// A claim may shrink only as far as its volume never grew.
    private func size(from old: PersistentVolumeClaim) -> [FieldError] {
        guard let now = spec.resources.requests["storage"],
            let before = old.spec.resources.requests["storage"],
            now < before, now <= old.status.capacity["storage"] ?? Quantity()
        else { return [] }
        return [
            .forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
        ]
    }
}

extension PersistentVolumeClaimSpec {
    func validate(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        if accessModes.isEmpty {
            errors.required(path.child("accessModes"), "at least 1 access mode is required")
        }
        errors += LabelRules.selector(path.child("selector"), selector)
        errors += StorageRules.accessModes(path.child("accessModes"), accessModes)
        let storage = path.child("resources").key("storage")
        if let size = resources.requests["storage"] {
            if !(size > Quantity()) { errors.invalid(storage, size.description, "must be greater than zero") }
        } else {
            errors.required(storage)
        }
        if let name = storageClassName, !name.isEmpty {
            errors.require(NameRules.subdomain, path.child("storageClassName"), name)
        }
        errors += StorageRules.mode(path.child("volumeMode"), volumeMode)
        if let name = volumeAttributesClassName, !name.isEmpty {
            errors.require(NameRules.subdomain, path.child("volumeAttributesClassName"), name)
        }
        return errors + sources(path)
    }

    private func sources(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        if let source = dataSource {
            errors += Self.source(
                path.child("dataSource"), group: source.apiGroup, kind: source.kind, name: source.name)
        }
        if let source = dataSourceRef {
            errors += Self.source(
                path.child("dataSourceRef"), group: source.apiGroup, kind: source.kind, name: source.name)
            if let namespace = source.namespace, !namespace.isEmpty {
                errors.require(NameRules.label, path.child("dataSourceRef.namespace"), namespace)
                if dataSource != nil {
                    errors.invalid(
                        path, path.child("dataSource").text,
                        "may not be specified when dataSourceRef.namespace is specified")
                }
            } else if let local = dataSource,
                local.apiGroup != source.apiGroup || local.kind != source.kind || local.name != source.name
            {
                errors.invalid(path, path.child("dataSource").text, "must match dataSourceRef")
            }
        }
        return errors
    }

    private static func source(_ path: RulePath, group: String?, kind: String, name: String) -> [FieldError] {
        var errors: [FieldError] = []
        if name.isEmpty { errors.required(path.child("name")) }
        if kind.isEmpty { errors.required(path.child("kind")) }
        if (group ?? "").isEmpty, kind != "PersistentVolumeClaim" {
            errors.invalid(
                path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
        }
        if let group, !group.isEmpty { errors.require(NameRules.subdomain, path.child("apiGroup"), group) }
        return errors
    }
}

/// What volumes and claims have in common.
enum StorageRules {
    private static let modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]

    static func accessModes(_ path: RulePath, _ modes: [String]) -> [FieldError] {
        var errors: [FieldError] = []
        for mode in modes { errors.requireOneOf(path, mode, Self.modes) }
        if modes.contains("ReadWriteOncePod"), Set(modes).count > 1 {
            errors.forbidden(path, "may not use ReadWriteOncePod with other access modes")
        }
        return errors
    }

    static func mode(_ path: RulePath, _ mode: String?) -> [FieldError] {
        var errors: [FieldError] = []
        if let mode { errors.requireOneOf(path, mode, ["Block", "Filesystem"]) }
        return errors
    }
}
