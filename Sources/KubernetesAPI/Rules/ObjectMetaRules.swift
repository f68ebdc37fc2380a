extension ObjectMeta {
    /// The most bytes that all annotations of an object may have together.
    static let annotationLimit = 256 * 1024

    /// What is wrong with the metadata of a new object.
    ///
    /// - Parameters:
    ///   - isNamespaced: whether the kind lives in namespaces.
    ///   - name: the rule on the kind's names.
    func validate(isNamespaced: Bool, name rule: NameRules.Rule) -> [FieldError] {
        var errors: [FieldError] = []
        if !generateName.isEmpty {
            // The suffix that is added ends with a letter or digit, so a dash at the end is welcome.
            let sample =
                generateName.utf8.count > 1 && generateName.hasSuffix("-")
                ? generateName.dropLast(2) + "a" : generateName[...]
            errors.invalid("metadata.generateName", generateName, messages: rule(String(sample)))
        }
        if name.isEmpty {
            errors.required("metadata.name", "name or generateName is required")
        } else {
            errors.require(rule, "metadata.name", name)
        }
        if !isNamespaced {
            if !namespace.isEmpty { errors.forbidden("metadata.namespace", "not allowed on this type") }
        } else if namespace.isEmpty {
            errors.required("metadata.namespace")
        } else {
            errors.require(NameRules.label, "metadata.namespace", namespace)
        }
        errors.requireNonnegative("metadata.generation", generation)
        errors += validateContents()
        for finalizer in finalizers { errors.require(NameRules.qualified, "metadata.finalizers", finalizer) }
        if finalizers.contains("orphan"), finalizers.contains("foregroundDeletion") {
            errors.invalid(
                "metadata.finalizers", shown: GoSyntax.list(finalizers),
                "finalizer orphan and foregroundDeletion cannot be both set")
        }
        return errors + validateFinalizerKinds()
    }

    /// What is wrong with the metadata as the successor of another object's.
    package func validateUpdate(from old: ObjectMeta) -> [FieldError] {
        var errors: [FieldError] = []
        if old.deletionTimestamp != nil {
            let added = Set(finalizers).subtracting(old.finalizers).sorted()
            if !added.isEmpty {
                errors.forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                        + GoSyntax.list(added))
            }
        }
        if resourceVersion.isEmpty {
            errors.invalid("metadata.resourceVersion", resourceVersion, "must be specified for an update")
        }
        if generation < old.generation {
            errors.invalid("metadata.generation", generation, "must not be decremented")
        }
        errors.requireUnchanged("metadata.name", name, old.name)
        errors.requireUnchanged("metadata.namespace", namespace, old.namespace)
        errors.requireUnchanged("metadata.uid", uid, old.uid)
        for (field, new, was) in [
            ("creationTimestamp", creationTimestamp, old.creationTimestamp),
            ("deletionTimestamp", deletionTimestamp, old.deletionTimestamp),
        ] where new != was {
            errors.invalid(
                RulePath("metadata.\(field)"), shown: new.map { GoText.quoted($0.description) } ?? "null",
                RuleText.immutable)
        }
        if deletionGracePeriodSeconds != old.deletionGracePeriodSeconds {
            errors.invalid(
                "metadata.deletionGracePeriodSeconds",
                shown: deletionGracePeriodSeconds.map(String.init) ?? "null", RuleText.immutable)
        }
        return errors + validateContents() + validateFinalizerKinds()
    }

    /// What is wrong with labels, annotations and owners.
    private func validateContents() -> [FieldError] {
        LabelRules.labels("metadata.labels", labels)
            + LabelRules.annotations("metadata.annotations", annotations)
            + validateOwners()
    }

    private func validateOwners() -> [FieldError] {
        var errors: [FieldError] = []
        let path: RulePath = "metadata.ownerReferences"
        var controller: String?
        for owner in ownerReferences {
            let version = owner.apiVersion.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
            if version.isEmpty {
                errors.invalid(path.child("apiVersion"), owner.apiVersion, "version must not be empty")
            }
            for (field, value) in [("kind", owner.kind), ("name", owner.name), ("uid", owner.uid)]
            where value.isEmpty {
                errors.invalid(path.child(field), value, "must not be empty")
            }
            if owner.apiVersion == "v1", owner.kind == "Event" {
                errors.invalid(
                    path, owner.name, "/v1, Kind=Event is disallowed from being an owner")
            }
            guard owner.controller == true else { continue }
            let name = "\(owner.kind)/\(owner.name)"
            if let controller {
                errors.invalid(
                    path, name,
                    "Only one reference can have Controller set to true. Found \"true\" in references for "
                        + "\(controller) and \(name)")
            }
            controller = controller ?? name
        }
        return errors
    }

    /// Finalizers without a prefix are those that the API itself knows.
    private func validateFinalizerKinds() -> [FieldError] {
        var errors: [FieldError] = []
        for (index, finalizer) in finalizers.enumerated() {
            errors += FinalizerRules.kind(RulePath("metadata.finalizers").index(index), finalizer)
        }
        return errors
    }
}

/// What finalizers may be called.
enum FinalizerRules {
    private static let known = ["kubernetes", "orphan", "foregroundDeletion"]

    static func kind(_ path: RulePath, _ name: String) -> [FieldError] {
        guard !name.contains("/"), !known.contains(name) else { return [] }
        return [
            .invalid(
                path.text, .string(name),
                "name is neither a standard finalizer name nor is it fully qualified")
        ]
    }
}

/// What labels, annotations and label selectors may hold.
enum LabelRules {
    static func labels(_ path: RulePath, _ labels: [String: String]) -> [FieldError] {
        if labels.isEmpty { return [] }
        var errors: [FieldError] = []
        for (key, value) in labels.sorted(by: { $0.key < $1.key }) {
            errors.require(NameRules.qualified, path, key)
            errors.invalid(path, value, messages: LabelSyntax.errors(inValue: value))
        }
        return errors
    }

    static func annotations(_ path: RulePath, _ annotations: [String: String]) -> [FieldError] {
        if annotations.isEmpty { return [] }
        var errors: [FieldError] = []
        var size = 0
        for (key, value) in annotations.sorted(by: { $0.key < $1.key }) {
            errors.invalid(path, key, messages: NameRules.qualified(key.lowercased()))
            size += key.utf8.count + value.utf8.count
        }
        if size > ObjectMeta.annotationLimit { errors.tooLong(path, maximum: ObjectMeta.annotationLimit) }
        return errors
    }

    static func selector(_ path: RulePath, _ selector: LabelSelector?) -> [FieldError] {
        guard let selector else { return [] }
        var errors = labels(path.child("matchLabels"), selector.matchLabels)
        for (index, requirement) in selector.matchExpressions.enumerated() {
            let path = path.child("matchExpressions").index(index)
            switch requirement.operator {
            case "In", "NotIn":
                if requirement.values.isEmpty {
                    errors.required(
                        path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'")
                }
            case "Exists", "DoesNotExist":
                if !requirement.values.isEmpty {
                    errors.forbidden(
                        path.child("values"),
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
                }
            default:
                errors.invalid(path.child("operator"), requirement.operator, "not a valid selector operator")
            }
            errors.require(NameRules.qualified, path.child("key"), requirement.key)
            for (index, value) in requirement.values.enumerated() {
                errors.invalid(
                    path.child("values").index(index), value, messages: LabelSyntax.errors(inValue: value))
            }
        }
        return errors
    }
}
