import KubernetesAPI

/// The LimitRanger admission of upstream: containers that say nothing get what the namespace gives by
/// default, and nobody leaves its bounds.
package struct LimitRangeAdmission: AdmissionPlugin {
    package init() {}

    package func mutate<Object: KubernetesObject>(
        _ object: inout Object, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) {
        guard concerns(object, request) else { return }
        let ranges = lookup.objects(LimitRange.self, namespace: request.namespace)
        guard !ranges.isEmpty else { return }
        try change(&object, as: Pod.self) { pod throws(APIError) in
            for range in ranges { Self.applyDefaults(of: range, to: &pod) }
        }
    }

    package func validate<Object: KubernetesObject>(
        _ object: Object?, old: Object?, _ request: AdmissionRequest, _ lookup: any AdmissionLookup
    ) throws(APIError) -> [String] {
        guard let object, concerns(object, request), old?.metadata.deletionTimestamp == nil else { return [] }
        for range in lookup.objects(LimitRange.self, namespace: request.namespace) {
            let breaches = Self.breaches(of: range, by: object)
            guard let first = breaches.first else { continue }
            throw .forbidden(
                request.kind, object.metadata.displayName,
                breaches.count == 1 ? first : "[\(breaches.joined(separator: ", "))]")
        }
        return []
    }

    /// What a pod uses is settled when it is made; a claim may grow later.
    private func concerns(_ object: some KubernetesObject, _ request: AdmissionRequest) -> Bool {
        guard request.subresource.isEmpty else { return false }
        return object is Pod ? request.operation == .create : object is PersistentVolumeClaim
    }

    // MARK: Defaults

    /// Gives every container of a pod what it does not ask for itself, and notes it in an annotation.
    package static func applyDefaults(of range: LimitRange, to pod: inout Pod) {
        var requests: [String: Quantity] = [:]
        var limits: [String: Quantity] = [:]
        for item in range.spec.limits where item.type == "Container" {
            requests.merge(item.defaultRequest) { $1 }
            limits.merge(item.default) { $1 }
        }
        var notes: [String] = []
        func fill(_ container: inout Container, _ sort: String) {
            for (given, standard, word) in [
                (\ResourceRequirements.requests, requests, "request"),
                (\ResourceRequirements.limits, limits, "limit"),
            ] {
                let missing = standard.filter { container.resources[keyPath: given][$0.key] == nil }
                guard !missing.isEmpty else { continue }
                container.resources[keyPath: given].merge(missing) { own, _ in own }
                let names = missing.keys.sorted().joined(separator: ", ")
                notes.append("\(names) \(word) for \(sort) \(container.name)")
            }
        }
        for index in pod.spec.containers.indices { fill(&pod.spec.containers[index], "container") }
        for index in pod.spec.initContainers.indices {
            fill(&pod.spec.initContainers[index], "init container")
        }
        guard !notes.isEmpty else { return }
        pod.metadata.annotations["kubernetes.io/limit-ranger"] =
            "LimitRanger plugin set: \(notes.joined(separator: "; "))"
    }

    // MARK: Bounds

    /// What of an object lies outside a range, in words.
    package static func breaches(of range: LimitRange, by object: some KubernetesObject) -> [String] {
        var breaches: [String] = []
        for item in range.spec.limits {
            if let pod = object as? Pod {
                if item.type == "Container" {
                    for container in pod.spec.containers + pod.spec.initContainers {
                        let resources = container.resources
                        breaches += Bounds(item).breaches(resources.requests, resources.limits)
                    }
                } else if item.type == "Pod" {
                    breaches += Bounds(item).breaches(
                        pod.spec.total(\.requests), pod.spec.total(\.limits))
                }
            } else if let claim = object as? PersistentVolumeClaim, item.type == "PersistentVolumeClaim" {
                breaches += Bounds(item).breaches(ofClaim: claim.spec.resources.requests)
            }
        }
        return breaches
    }
}

/// One entry of a limit range, compared with requests and limits.
private struct Bounds {
    let item: LimitRangeItem
    private var type: String { item.type }

    init(_ item: LimitRangeItem) { self.item = item }

    private func sorted(_ amounts: [String: Quantity]) -> [(key: String, value: Quantity)] {
        amounts.sorted { $0.key < $1.key }
    }

    func breaches(_ requests: [String: Quantity], _ limits: [String: Quantity]) -> [String] {
        var found: [String] = []
        for (name, least) in sorted(item.min) {
            found += below(least, name, requests[name], limits[name])
        }
        for (name, most) in sorted(item.max) {
            let words = "maximum \(name) usage per \(type) is \(most)"
            if let limit = limits[name] {
                if limit > most {
                    found.append("\(words), but limit is \(limit)")
                } else if let request = requests[name], request > most {
                    found.append("\(words), but request is \(request)")
                }
            } else {
                found.append("\(words).  No limit is specified")
            }
        }
        for (name, most) in sorted(item.maxLimitRequestRatio) {
            found += beyond(most, name, requests[name], limits[name])
        }
        return found
    }

    /// A claim has requests only, so these are what the upper bound is for.
    func breaches(ofClaim requests: [String: Quantity]) -> [String] {
        var found: [String] = []
        for (name, least) in sorted(item.min) { found += below(least, name, requests[name], nil) }
        for (name, most) in sorted(item.max) {
            let words = "maximum \(name) usage per \(type) is \(most)"
            if let request = requests[name] {
                if request > most { found.append("\(words), but request is \(request)") }
            } else {
                found.append("\(words).  No request is specified")
            }
        }
        return found
    }

    private func below(_ least: Quantity, _ name: String, _ request: Quantity?, _ limit: Quantity?)
        -> [String]
    {
        let words = "minimum \(name) usage per \(type) is \(least)"
        guard let request else { return ["\(words).  No request is specified"] }
        if request < least { return ["\(words), but request is \(request)"] }
        if let limit, limit < least { return ["\(words), but limit is \(limit)"] }
        return []
    }

    private func beyond(_ most: Quantity, _ name: String, _ request: Quantity?, _ limit: Quantity?)
        -> [String]
    {
        let words = "\(name) max limit to request ratio per \(type) is \(most), but"
        guard let request, !request.isZero else {
            return ["\(words) no request is specified or request is 0"]
        }
        guard let limit, !limit.isZero else { return ["\(words) no limit is specified or limit is 0"] }
        let ratio = limit.doubleValue / request.doubleValue
        return ratio > most.doubleValue ? ["\(words) provided ratio is \(GoText.decimal(ratio))"] : []
    }
}
