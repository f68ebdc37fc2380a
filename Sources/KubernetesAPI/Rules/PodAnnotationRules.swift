import KubernetesJSON

/// Rules on annotations that mean something to pods (upstream's ValidatePodSpecificAnnotations).
enum PodAnnotationRules {
    static func rules(_ path: RulePath, _ annotations: [String: String], _ spec: PodSpec) -> [FieldError] {
        var errors: [FieldError] = []
        if let mirror = annotations[Pod.mirrorAnnotation], spec.nodeName.isEmpty {
            errors.invalid(
                path.key(Pod.mirrorAnnotation), mirror,
                "must set spec.nodeName if mirror pod annotation is set")
        }
        errors += tolerations(path, annotations)
        let key = "controller.kubernetes.io/pod-deletion-cost"
        if let cost = annotations[key], !cost.isEmpty, Int32(cost) == nil || cost.hasPrefix("+") {
            errors.invalid(path.key(key), cost, "must be a 32bit integer")
        }
        errors += SeccompAnnotation.rules(path, annotations)
        return errors + AppArmorAnnotation.rules(path, annotations, spec)
    }

    /// Tolerations as they were written before there was a field for them: a JSON list.
    private static func tolerations(_ path: RulePath, _ annotations: [String: String]) -> [FieldError] {
        let key = "scheduler.alpha.kubernetes.io/tolerations"
        guard let text = annotations[key], !text.isEmpty else { return [] }
        do {
            return PlacementRules.tolerations(path.child(key), try read(text))
        } catch {
            // Upstream names the annotation in place of its value.
            return [.invalid(path.text, .string(key), error.message)]
        }
    }

    private static func read(_ text: String) throws(JSONError) -> [Toleration] {
        let tree = try JSONValue(json: Array(text.utf8))
        if tree.isNull { return [] }
        guard let elements = tree.arrayValue else {
            throw JSONError(code: .typeMismatch, message: "expected a list of tolerations", offset: 0)
        }
        var result: [Toleration] = []
        for element in elements { result.append(try Toleration(element)) }
        return result
    }
}

/// The annotations that named seccomp profiles before there was a field for it.
enum SeccompAnnotation {
    static let ofPod = "seccomp.security.alpha.kubernetes.io/pod"
    static let ofContainer = "container.seccomp.security.alpha.kubernetes.io/"
    private static let local = "localhost/"
    private static let standard = ["runtime/default", "docker/default"]

    static func rules(_ path: RulePath, _ annotations: [String: String]) -> [FieldError] {
        let ofContainers = annotations.keys.filter { $0.hasPrefix(ofContainer) }.sorted()
        return ([ofPod] + ofContainers).flatMap { key -> [FieldError] in
            annotations[key].map { profile(path.child(key), $0) } ?? []
        }
    }

    private static func profile(_ path: RulePath, _ profile: String) -> [FieldError] {
        if standard.contains(profile) || profile == "unconfined" { return [] }
        if profile.hasPrefix(local) {
            return VolumeRules.inside(path, String(profile.dropFirst(local.count)))
        }
        return [.invalid(path.text, .string(profile), "must be a valid seccomp profile")]
    }

    /// Where a new pod's annotations say another profile than its fields.
    static func contradictions(
        _ path: RulePath, _ annotations: [String: String], _ spec: PodSpec
    ) -> [FieldError] {
        var found: [(RulePath, SeccompProfile?, key: String)] = [
            (path, spec.securityContext?.seccompProfile, ofPod)
        ]
        for (list, containers) in [("initContainers", spec.initContainers), ("containers", spec.containers)] {
            for (index, container) in containers.enumerated() {
                found.append(
                    (
                        path.child(list).index(index), container.securityContext?.seccompProfile,
                        ofContainer + container.name
                    ))
            }
        }
        return found.compactMap { path, field, key in
            guard let field, let annotation = annotations[key] else { return nil }
            return contradiction(path.child("securityContext.seccompProfile"), field, annotation)
        }
    }

    private static func contradiction(
        _ path: RulePath, _ field: SeccompProfile, _ annotation: String
    ) -> FieldError? {
        let otherType = FieldError.forbidden(
            path.child("type").text, "seccomp type in annotation and field must match")
        switch field.type {
        case "Unconfined": return annotation == "unconfined" ? nil : otherType
        case "RuntimeDefault": return standard.contains(annotation) ? nil : otherType
        case "Localhost":
            guard annotation.hasPrefix(local) else { return otherType }
            if field.localhostProfile == String(annotation.dropFirst(local.count)) { return nil }
            return .forbidden(
                path.child("localhostProfile").text, "seccomp profile in annotation and field must match")
        default: return nil
        }
    }
}
