import KubernetesAPI
import ObjectStore

/// Pods and what is particular about them.
package enum PodResources {
    static let pods: Resource<Pod> = {
        var resource = Resource<Pod>()
        resource.table = PodTable.printer
        resource.returnsDeletedObject = true
        resource.fieldLabels = [
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs",
            "status.nominatedNodeName",
        ]
        resource.fields = { pod in
            [
                "spec.nodeName": pod.spec.nodeName, "spec.restartPolicy": pod.spec.restartPolicy,
                "spec.schedulerName": pod.spec.schedulerName,
                "spec.serviceAccountName": pod.spec.serviceAccountName,
                "spec.hostNetwork": pod.spec.hostNetwork ? "true" : "false",
                "status.phase": pod.status.phase,
                "status.podIP": pod.status.podIPs.first?.ip ?? pod.status.podIP,
                "status.podIPs": pod.status.podIPs.map(\.ip).joined(separator: ","),
                "status.nominatedNodeName": pod.status.nominatedNodeName,
            ]
        }
        resource.subresources = [
            Subresource("attach", kind: "PodAttachOptions", verbs: ["create", "get"]),
            Subresource("binding", kind: "Binding", verbs: ["create"]),
            Subresource("ephemeralcontainers", kind: "Pod", verbs: ["get", "patch", "update"]),
            Subresource(
                "eviction", kind: "Eviction", verbs: ["create"], group: "policy", version: "v1"),
            Subresource("exec", kind: "PodExecOptions", verbs: ["create", "get"]),
            Subresource("log", kind: "Pod", verbs: ["get"]),
            Subresource("portforward", kind: "PodPortForwardOptions", verbs: ["create", "get"]),
            .proxy("PodProxyOptions"), .status("Pod"),
        ]
        // Upstream says nothing when pods change: programs do that, and often.
        resource.creationWarnings = { $0.warnings }
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { pod in
            pod.status = PodStatus(phase: "Pending", qosClass: qualityOfService(pod.spec))
        }
        resource.prepareForUpdate = { pod, old in pod.status = old.status }
        resource.prepareForStatusUpdate = { pod, old in
            pod.spec = old.spec
            pod.metadata.deletionTimestamp = old.metadata.deletionTimestamp
            pod.metadata.ownerReferences = old.metadata.ownerReferences
            // The class follows from requests and limits, which cannot change.
            if pod.status.qosClass.isEmpty { pod.status.qosClass = old.status.qosClass }
        }
        resource.gracePeriod = gracePeriod
        resource.prerequisite = { pod, namespace in
            // A new namespace gets its default service account from a controller. Any other account is
            // the client's own affair.
            let name = pod.spec.serviceAccountName
            guard name.isEmpty || name == "default" else { return nil }
            return ObjectKey(
                resource: ServiceAccount.resource.groupResource, namespace: namespace, name: "default")
        }
        return resource
    }()

    /// Seconds between a pod's deletion and its end (DeleteOptions.gracePeriodSeconds). A pod that no
    /// node has, or whose containers have all ended, goes at once.
    package static let gracePeriod: @Sendable (Pod, Int?) -> Int = { pod, wish in
        if pod.spec.nodeName.isEmpty { return 0 }
        if pod.status.phase == "Failed" || pod.status.phase == "Succeeded" { return 0 }
        let seconds = wish ?? pod.spec.terminationGracePeriodSeconds ?? 30
        return seconds < 0 ? 1 : seconds
    }

    /// The class that decides who is evicted first: Guaranteed when every container limits cpu and
    /// memory and asks for just that, BestEffort when none asks for either, Burstable otherwise.
    package static func qualityOfService(_ spec: PodSpec) -> String {
        var hasRequests = false
        var isGuaranteed = true
        for container in spec.initContainers + spec.containers {
            for name in ["cpu", "memory"] {
                let limit = container.resources.limits[name]
                let request = container.resources.requests[name]
                if isPositive(limit) || isPositive(request) { hasRequests = true }
                if !isPositive(limit) || (request != nil && request != limit) { isGuaranteed = false }
            }
        }
        if !hasRequests { return "BestEffort" }
        return isGuaranteed ? "Guaranteed" : "Burstable"
    }

    private static func isPositive(_ quantity: Quantity?) -> Bool {
        guard let quantity else { return false }
        return quantity.doubleValue > 0
    }
}
