import KubernetesAPI

/// The rules of a kind that live with its type: defaults that depend on other fields, and validation.
enum Validation {
    static func applyDefaults<Object: KubernetesObject>(_ object: inout Object) {
        guard var defaulting = object as? any Defaulting else { return }
        defaulting.applyDefaults()
        if let result = defaulting as? Object { object = result }
    }

    static func errors<Object: KubernetesObject>(creating object: Object) -> [FieldError] {
        guard let validating = object as? any Validating else { return [] }
        return validating.validate()
    }

    static func errors<Object: KubernetesObject>(
        updating object: Object, from old: Object, _ isStatus: Bool
    ) -> [FieldError] {
        guard let validating = object as? any Validating else {
            return object.metadata.validateUpdate(from: old.metadata)
        }
        return errors(validating, old, isStatus)
    }

    static func errors<Object: KubernetesObject>(
        ephemeralContainersOf object: Object, from old: Object
    ) -> [FieldError] {
        guard let pod = object as? Pod, let old = old as? Pod else { return [] }
        return pod.validateEphemeralContainersUpdate(from: old)
    }

    private static func errors<Value: Validating>(
        _ new: Value, _ old: Any, _ isStatus: Bool
    ) -> [FieldError] {
        guard let old = old as? Value else { return [] }
        return isStatus ? new.validateStatusUpdate(from: old) : new.validateUpdate(from: old)
    }
}
