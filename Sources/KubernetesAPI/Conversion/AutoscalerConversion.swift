import KubernetesJSON

extension VersionConversion {
    /// `autoscaling/v1` HorizontalPodAutoscaler, which knows only processor time; what else `v2` says is kept in
    /// annotations.
    public static let autoscalers = VersionConversion(
        of: HorizontalPodAutoscaler.resource, as: AutoscalingV1HorizontalPodAutoscaler.self,
        toStored: AutoscalerConversion.toStored, toServed: AutoscalerConversion.toServed)
}

/// Between `autoscaling/v2`, as stored, and `autoscaling/v1`.
enum AutoscalerConversion {
    private static let prefix = "autoscaling.alpha.kubernetes.io/"
    private static let metrics = prefix + "metrics"
    private static let currentMetrics = prefix + "current-metrics"
    private static let conditions = prefix + "conditions"
    private static let behavior = prefix + "behavior"

    // MARK: v2 to v1

    @Sendable static func toServed(_ value: inout JSONValue) {
        var annotations = value.value(at: "metadata", "annotations")?.objectValue ?? JSONObject()
        let before = annotations
        if var spec = value["spec"] {
            let all = spec["metrics"]?.arrayValue ?? []
            spec["targetCPUUtilizationPercentage"] = all.first(where: isUtilization)
                .flatMap { $0.value(at: "resource", "target", "averageUtilization") }
            keep(all.filter { !isUtilization($0) }.map { metric(toV1: $0, isStatus: false) }, metrics)
            if let rules = spec["behavior"], !rules.isNull { annotations[behavior] = .string("\(rules)") }
            spec["metrics"] = nil
            spec["behavior"] = nil
            value["spec"] = spec
        }
        if var status = value["status"] {
            let all = status["currentMetrics"]?.arrayValue ?? []
            status["currentCPUUtilizationPercentage"] = all.first(where: isProcessor)
                .flatMap { $0.value(at: "resource", "current", "averageUtilization") }
            keep(all.map { metric(toV1: $0, isStatus: true) }, currentMetrics)
            keep(status["conditions"]?.arrayValue ?? [], conditions)
            status["currentMetrics"] = nil
            status["conditions"] = nil
            value["status"] = status
        }
        if annotations != before { value["metadata"]?["annotations"] = .object(annotations) }

        func keep(_ elements: [JSONValue], _ annotation: String) {
            if !elements.isEmpty { annotations[annotation] = .string("\(JSONValue.array(elements))") }
        }
    }

    private static func isProcessor(_ metric: JSONValue) -> Bool {
        metric["type"] == "Resource" && metric.value(at: "resource", "name") == "cpu"
    }

    private static func isUtilization(_ metric: JSONValue) -> Bool {
        isProcessor(metric) && metric.value(at: "resource", "target", "averageUtilization") != nil
    }

    // MARK: v1 to v2

    @Sendable static func toStored(_ value: inout JSONValue) {
        let annotations = value.value(at: "metadata", "annotations")?.objectValue ?? JSONObject()
        if var spec = value["spec"] {
            var all = list(annotations[metrics])?.map { metric(toV2: $0, isStatus: false) } ?? []
            if let percent = spec["targetCPUUtilizationPercentage"], !percent.isNull {
                let target: JSONValue = ["type": "Utilization", "averageUtilization": percent]
                all.append(["type": "Resource", "resource": ["name": "cpu", "target": target]])
            }
            spec["targetCPUUtilizationPercentage"] = nil
            if !all.isEmpty { spec["metrics"] = .array(all) }
            if let rules = tree(annotations[behavior]) { spec["behavior"] = rules }
            value["spec"] = spec
        }
        if var status = value["status"] {
            if let all = list(annotations[currentMetrics]) {
                status["currentMetrics"] = .array(all.map { metric(toV2: $0, isStatus: true) })
            } else if let percent = status["currentCPUUtilizationPercentage"], !percent.isNull {
                status["currentMetrics"] = [
                    [
                        "type": "Resource",
                        "resource": ["name": "cpu", "current": ["averageUtilization": percent]],
                    ]
                ]
            }
            status["currentCPUUtilizationPercentage"] = nil
            if let all = list(annotations[conditions]) { status["conditions"] = .array(all) }
            value["status"] = status
        }
        for key in [metrics, currentMetrics, conditions, behavior] where annotations[key] != nil {
            value["metadata"]?["annotations"]?[key] = nil
        }
    }

    /// What an annotation holds; nil when it holds no JSON, which upstream overlooks too.
    private static func tree(_ annotation: JSONValue?) -> JSONValue? {
        guard let text = annotation?.stringValue else { return nil }
        return try? JSONValue(json: Array(text.utf8))
    }

    private static func list(_ annotation: JSONValue?) -> [JSONValue]? { tree(annotation)?.arrayValue }

    // MARK: Metrics

    /// Where the parts of a metric are: `v1` keeps them side by side, `v2` in structures.
    private struct Part {
        var flat: String
        var path: [String]
    }

    private static func parts(of source: String, isStatus: Bool) -> [Part] {
        let value = isStatus ? "current" : "target"
        func named(_ name: String) -> String { isStatus ? "current" + name : "target" + name }
        switch source {
        case "object":
            return [
                Part(flat: "target", path: ["describedObject"]),
                Part(flat: "metricName", path: ["metric", "name"]),
                Part(flat: "selector", path: ["metric", "selector"]),
                Part(flat: named("Value"), path: [value, "value"]),
                Part(flat: "averageValue", path: [value, "averageValue"]),
            ]
        case "pods":
            return [
                Part(flat: "metricName", path: ["metric", "name"]),
                Part(flat: "selector", path: ["metric", "selector"]),
                Part(flat: named("AverageValue"), path: [value, "averageValue"]),
            ]
        case "external":
            return [
                Part(flat: "metricName", path: ["metric", "name"]),
                Part(flat: "metricSelector", path: ["metric", "selector"]),
                Part(flat: named("Value"), path: [value, "value"]),
                Part(flat: named("AverageValue"), path: [value, "averageValue"]),
            ]
        default:
            return [
                Part(flat: "name", path: ["name"]), Part(flat: "container", path: ["container"]),
                Part(flat: named("AverageUtilization"), path: [value, "averageUtilization"]),
                Part(flat: named("AverageValue"), path: [value, "averageValue"]),
            ]
        }
    }

    private static let sources = ["object", "pods", "resource", "containerResource", "external"]

    private static func metric(toV1 metric: JSONValue, isStatus: Bool) -> JSONValue {
        var result = metric
        for source in sources {
            guard let structured = metric[source] else { continue }
            var flat: JSONValue = [:]
            for part in parts(of: source, isStatus: isStatus) {
                var found: JSONValue? = structured
                for key in part.path { found = found?[key] }
                if let found, !found.isNull { flat[part.flat] = found }
            }
            result[source] = flat
        }
        return result
    }

    private static func metric(toV2 metric: JSONValue, isStatus: Bool) -> JSONValue {
        var result = metric
        for source in sources {
            guard let flat = metric[source] else { continue }
            var structured: JSONValue = [:]
            for part in parts(of: source, isStatus: isStatus) {
                guard let found = flat[part.flat], !found.isNull else { continue }
                if part.path.count == 2 {
                    structured[part.path[0], default: [:]][part.path[1]] = found
                } else {
                    structured[part.path[0]] = found
                }
            }
            if !isStatus { structured["target", default: [:]]["type"] = .string(targetType(source, flat)) }
            result[source] = structured
        }
        return result
    }

    /// `v2` says which value counts; in `v1` it is the one that is there.
    private static func targetType(_ source: String, _ flat: JSONValue) -> String {
        func has(_ name: String) -> Bool { flat[name].map { !$0.isNull } ?? false }
        switch source {
        case "object": return has("averageValue") ? "AverageValue" : "Value"
        case "external": return has("targetValue") ? "Value" : "AverageValue"
        case "pods": return "AverageValue"
        default: return has("targetAverageUtilization") ? "Utilization" : "AverageValue"
        }
    }
}

extension JSONValue {
    fileprivate subscript(key: String, default value: JSONValue) -> JSONValue {
        get { self[key] ?? value }
        set { self[key] = newValue }
    }
}
