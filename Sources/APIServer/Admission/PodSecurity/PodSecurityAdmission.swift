import KubernetesAPI

/// The PodSecurity admission of upstream: refuses pods that do more than their namespace allows, and warns
/// of templates that would make such pods.
package struct PodSecurityAdmission: AdmissionPlugin {
    package init() {}

    private static let ignoredSubresources: Set<String> = [
        "exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status",
    ]
    /// The most pods that a stricter namespace is checked against.
    static let maximumPods = 3000

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        guard let object, request.operation == .create || request.operation == .update else { return [] }
        if let namespace = object as? Namespace {
            guard request.subresource.isEmpty else { return [] }
            return try validate(namespace, old: old as? Namespace, lookup)
        }
        let isPod = object is Pod
        guard isPod ? !Self.ignoredSubresources.contains(request.subresource) : request.subresource.isEmpty,
            let template = Self.template(of: object),
            let namespace = lookup.namespace(request.namespace)
        else { return [] }
        if let pod = object as? Pod, let old = old as? Pod, !Self.isSignificant(pod, from: old) { return [] }
        var findings: [FieldError] = []
        let policy = PodSecurityPolicy(labels: namespace.metadata.labels, findings: &findings)
        if isPod {
            let violations = policy.enforce.violations(template.metadata, template.spec)
            guard violations.isEmpty else {
                throw .forbidden(
                    request.kind, object.metadata.displayName,
                    "violates PodSecurity \"\(policy.enforce)\": \(Self.list(violations))")
            }
        }
        let warned = policy.warn.violations(template.metadata, template.spec)
        return warned.isEmpty
            ? [] : ["would violate PodSecurity \"\(policy.warn)\": \(Self.list(warned))"]
    }

    private static func list(_ violations: [PodSecurityViolation]) -> String {
        violations.map(\.description).joined(separator: ", ")
    }

    /// The pod, or what pods of the object look like; nil for objects that make none.
    private static func template(of object: some KubernetesObject) -> (metadata: ObjectMeta, spec: PodSpec)? {
        func parts(_ template: PodTemplateSpec) -> (metadata: ObjectMeta, spec: PodSpec) {
            (template.metadata, template.spec)
        }
        switch object {
        case let pod as Pod: return (pod.metadata, pod.spec)
        case let template as PodTemplate: return parts(template.template)
        case let controller as ReplicationController: return controller.spec.template.map(parts)
        case let set as ReplicaSet: return parts(set.spec.template)
        case let deployment as Deployment: return parts(deployment.spec.template)
        case let set as DaemonSet: return parts(set.spec.template)
        case let set as StatefulSet: return parts(set.spec.template)
        case let job as Job: return parts(job.spec.template)
        case let job as CronJob: return parts(job.spec.jobTemplate.spec.template)
        default: return nil
        }
    }

    /// Whether an update brings something that was not judged before: another image, another container.
    private static func isSignificant(_ pod: Pod, from old: Pod) -> Bool {
        let images = { (containers: [Container]) in containers.map(\.image) }
        if images(pod.spec.containers) != images(old.spec.containers)
            || images(pod.spec.initContainers) != images(old.spec.initContainers)
        {
            return true
        }
        return pod.spec.ephemeralContainers.contains { container in
            old.spec.ephemeralContainers.first { $0.name == container.name }?.image != container.image
        }
    }

    // MARK: Namespaces

    /// Labels must make sense; a stricter level is checked against the pods that are there.
    private func validate(
        _ namespace: Namespace, old: Namespace?, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        var findings: [FieldError] = []
        let policy = PodSecurityPolicy(labels: namespace.metadata.labels, findings: &findings)
        guard let old else {
            if !findings.isEmpty { throw .invalid(namespace, findings) }
            return []
        }
        var known: [FieldError] = []
        let before = PodSecurityPolicy(labels: old.metadata.labels, findings: &known)
        if !findings.isEmpty, findings != known { throw .invalid(namespace, findings) }
        let isLaxer =
            policy.enforce.minor == before.enforce.minor && policy.enforce.level <= before.enforce.level
        guard policy.enforce != before.enforce, policy.enforce.level > .privileged, !isLaxer else {
            return []
        }
        let pods = lookup.objects(Pod.self, namespace: namespace.metadata.name)
        return Self.warnings(
            namespace: namespace.metadata.name, policy.enforce, pods: pods, maximum: Self.maximumPods)
    }

    /// What a namespace's pods have against a new level: one line for each set of violations.
    package static func warnings(
        namespace: String, _ standard: PodSecurityPolicy.Standard, pods: [Pod], maximum: Int
    ) -> [String] {
        let prioritized = onePodOfEachController(pods)
        var names: [String: [String]] = [:]
        for pod in prioritized.prefix(maximum) {
            let violations = standard.violations(pod.metadata, pod.spec)
            guard !violations.isEmpty else { continue }
            names[violations.map(\.reason).joined(separator: ", "), default: []].append(pod.metadata.name)
        }
        var warnings: [String] = []
        if pods.count > maximum {
            warnings.append(
                "new PodSecurity enforce level only checked against the first \(maximum) of \(pods.count) "
                    + "existing pods")
        }
        guard !names.isEmpty else { return warnings }
        warnings.append(
            "existing pods in namespace \"\(namespace)\" violate the new PodSecurity enforce level "
                + "\"\(standard)\"")
        return warnings
            + names.map { reason, names in
                let others = names.count - 1
                let more =
                    others == 0 ? "" : " (and \(others) other \(PodSecurityCheck.plural("pod", others)))"
                return "\(names.min() ?? "")\(more): \(reason)"
            }.sorted()
    }

    /// Pods of the same controller are alike: the first of each comes before the rest.
    private static func onePodOfEachController(_ pods: [Pod]) -> [Pod] {
        var seen: Set<String> = []
        var first: [Pod] = []
        var rest: [Pod] = []
        for pod in pods {
            let owner = pod.metadata.ownerReferences.first { $0.controller == true }?.uid
            if let owner, !seen.insert(owner).inserted { rest.append(pod) } else { first.append(pod) }
        }
        return first + rest
    }
}
