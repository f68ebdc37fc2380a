import KubernetesAPI
import KubernetesJSON

/// The columns of the `autoscaling` group.
enum AutoscalingTables {
    /// Of the `scale` subresource.
    static let scale = TablePrinter<Scale>([
        .name,
        TableColumn("Desired", type: "integer", "How many pods are wanted."),
        TableColumn("Available", type: "integer", "How many pods there are."),
        .age,
    ]) { scale, now in
        [
            .string(scale.metadata.name), Cell.integer(scale.spec.replicas),
            Cell.integer(scale.status.replicas), Cell.age(scale.metadata.creationTimestamp, now),
        ]
    }

    static let autoscalers = TablePrinter<HorizontalPodAutoscaler>([
        .name,
        TableColumn("Reference", "What is scaled."),
        TableColumn("Targets", "What was measured, of what is aimed at."),
        TableColumn("MinPods", "The fewest pods."),
        TableColumn("MaxPods", type: "integer", "The most pods."),
        TableColumn("Replicas", type: "integer", "How many pods there are."),
        .age,
    ]) { autoscaler, now in
        let spec = autoscaler.spec
        return [
            .string(autoscaler.metadata.name),
            .string("\(spec.scaleTargetRef.kind)/\(spec.scaleTargetRef.name)"),
            .string(targets(spec.metrics, autoscaler.status.currentMetrics)),
            .string(spec.minReplicas.map { "\($0)" } ?? "<unset>"), Cell.integer(spec.maxReplicas),
            Cell.integer(autoscaler.status.currentReplicas),
            Cell.age(autoscaler.metadata.creationTimestamp, now),
        ]
    }

    /// The first two metrics as `measured/target`, and how many are left out.
    static func targets(_ specs: [MetricSpec], _ statuses: [MetricStatus]) -> String {
        if specs.isEmpty { return "<none>" }
        let shown = specs.enumerated().prefix(2).map { index, spec in
            target(spec, index < statuses.count ? statuses[index] : nil)
        }
        let text = shown.joined(separator: ", ")
        return specs.count > 2 ? "\(text) + \(specs.count - 2) more..." : text
    }

    private static func target(_ spec: MetricSpec, _ status: MetricStatus?) -> String {
        switch spec.type {
        case "External":
            return quantities(spec.external?.target, status?.external?.current)
        case "Object":
            return quantities(spec.object?.target, status?.object?.current)
        case "Pods":
            return "\(text(status?.pods?.current.averageValue))/\(text(spec.pods?.target.averageValue))"
        case "Resource":
            return resource(spec.resource?.name, spec.resource?.target, status?.resource?.current)
        case "ContainerResource":
            return resource(
                spec.containerResource?.name, spec.containerResource?.target,
                status?.containerResource?.current)
        default: return "<unknown type>"
        }
    }

    private static func quantities(_ target: MetricTarget?, _ current: MetricValueStatus?) -> String {
        if let average = target?.averageValue { return "\(text(current?.averageValue))/\(average) (avg)" }
        return "\(text(current?.value))/\(text(target?.value))"
    }

    private static func resource(
        _ name: String?, _ target: MetricTarget?, _ current: MetricValueStatus?
    ) -> String {
        let name = name ?? ""
        if let average = target?.averageValue {
            return "\(name): \(text(current?.averageValue))/\(average)"
        }
        let used = current?.averageUtilization.map { "\($0)%" } ?? "<unknown>"
        let wanted = target?.averageUtilization.map { "\($0)%" } ?? "<auto>"
        return "\(name): \(used)/\(wanted)"
    }

    private static func text(_ quantity: Quantity?) -> String { quantity.map { "\($0)" } ?? "<unknown>" }
}
