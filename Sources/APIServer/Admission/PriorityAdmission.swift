import KubernetesAPI

/// The Priority admission of upstream: a pod's priority is that of its class.
package struct PriorityAdmission: AdmissionPlugin {
    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.subresource.isEmpty else { return }
        try change(&object, as: Pod.self) { pod throws(APIError) in
            guard let old = old as? Pod else {
                return try Self.resolve(&pod, lookup)
            }
            // It was set when the pod was created; a client that leaves it out does not mean to change it.
            pod.spec.priority = pod.spec.priority ?? old.spec.priority
            pod.spec.preemptionPolicy = pod.spec.preemptionPolicy ?? old.spec.preemptionPolicy
        }
    }

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        if let new = object as? PriorityClass {
            if let other = Self.conflictingDefault(of: new, lookup) {
                throw .forbidden(
                    request.kind, request.name,
                    "PriorityClass \(other) is already marked as default. Only one default can exist")
            }
        } else if request.operation == .delete, request.kind == PriorityClass.resource,
            PriorityClass.system.contains(where: { $0.metadata.name == request.name })
        {
            throw .forbidden(
                request.kind, request.name, "this is a system priority class and cannot be deleted")
        }
        return []
    }

    /// Sets the priority of a new pod.
    package static func resolve(_ pod: inout Pod, _ lookup: any AdmissionLookup) throws(APIError) {
        var priority = 0
        var policy: String? = "PreemptLowerPriority"
        let wanted = pod.spec.priorityClassName
        if wanted.isEmpty {
            if let standard = defaultClass(lookup) {
                pod.spec.priorityClassName = standard.metadata.name
                (priority, policy) = (standard.value, standard.preemptionPolicy)
            }
        } else {
            guard let found = lookup.object(PriorityClass.self, wanted, namespace: "") else {
                throw refusal(pod, "no PriorityClass with name \(wanted) was found")
            }
            (priority, policy) = (found.value, found.preemptionPolicy)
        }
        if let wish = pod.spec.priority, wish != priority {
            throw refusal(
                pod,
                "the integer value of priority (\(wish)) must not be provided in pod spec; "
                    + "priority admission controller computed \(priority) from the given PriorityClass name")
        }
        pod.spec.priority = priority
        guard let policy else { return }
        if let wish = pod.spec.preemptionPolicy, wish != policy {
            throw refusal(
                pod,
                "the string value of PreemptionPolicy (\(wish)) must not be provided in pod spec; "
                    + "priority admission controller computed \(policy) from the given PriorityClass name")
        }
        pod.spec.preemptionPolicy = policy
    }

    private static func refusal(_ pod: Pod, _ message: String) -> APIError {
        .forbidden(Pod.resource, pod.metadata.displayName, message)
    }

    /// There should be one default; of several, which only a race can make, the lowest counts.
    private static func defaultClass(_ lookup: any AdmissionLookup) -> PriorityClass? {
        lookup.objects(PriorityClass.self, namespace: nil).filter(\.globalDefault).min { $0.value < $1.value }
    }

    private static func conflictingDefault(of new: PriorityClass, _ lookup: any AdmissionLookup) -> String? {
        guard new.globalDefault, let standard = defaultClass(lookup),
            standard.metadata.name != new.metadata.name
        else { return nil }
        return standard.metadata.name
    }
}
