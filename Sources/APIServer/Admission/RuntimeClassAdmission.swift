import KubernetesAPI

/// The RuntimeClass admission of upstream: a pod bears the overhead of its runtime class, and goes where
/// that can be had.
package struct RuntimeClassAdmission: AdmissionPlugin {
    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard request.operation == .create, request.subresource.isEmpty else { return }
        try change(&object, as: Pod.self) { pod throws(APIError) in
            guard let runtime = try Self.runtimeClass(of: pod, lookup) else { return }
            try Self.apply(runtime, to: &pod)
        }
    }

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        guard request.operation == .create, request.subresource.isEmpty, let pod = object as? Pod else {
            return []
        }
        let runtime = try Self.runtimeClass(of: pod, lookup)
        if let overhead = runtime?.overhead {
            guard overhead.podFixed == pod.spec.overhead else {
                throw Self.refusal(
                    pod,
                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            }
        } else if !pod.spec.overhead.isEmpty {
            throw Self.refusal(
                pod, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
        }
        return []
    }

    private static func runtimeClass(
        of pod: Pod, _ lookup: any AdmissionLookup
    ) throws(APIError) -> RuntimeClass? {
        guard let name = pod.spec.runtimeClassName else { return nil }
        guard let found = lookup.object(RuntimeClass.self, name, namespace: "") else {
            throw refusal(pod, "pod rejected: RuntimeClass \"\(name)\" not found")
        }
        return found
    }

    /// Sets what the class says of cost and place.
    package static func apply(_ runtime: RuntimeClass, to pod: inout Pod) throws(APIError) {
        if let overhead = runtime.overhead {
            if !pod.spec.overhead.isEmpty, pod.spec.overhead != overhead.podFixed {
                throw refusal(
                    pod,
                    "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
            }
            pod.spec.overhead = overhead.podFixed
        }
        guard let scheduling = runtime.scheduling else { return }
        for (key, value) in scheduling.nodeSelector.sorted(by: { $0.key < $1.key }) {
            if let own = pod.spec.nodeSelector[key], own != value {
                throw refusal(
                    pod,
                    "conflict: runtimeClass.scheduling.nodeSelector[\(key)] = \(value); "
                        + "pod.spec.nodeSelector[\(key)] = \(own)")
            }
            pod.spec.nodeSelector[key] = value
        }
        for toleration in scheduling.tolerations where !pod.spec.tolerations.contains(toleration) {
            pod.spec.tolerations.append(toleration)
        }
    }

    private static func refusal(_ pod: Pod, _ message: String) -> APIError {
        .forbidden(Pod.resource, pod.metadata.displayName, message)
    }
}
