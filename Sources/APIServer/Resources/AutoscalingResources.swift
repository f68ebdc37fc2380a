import KubernetesAPI

/// The `autoscaling` group.
enum AutoscalingResources {
    static let v1: [any AnyResource] = [
        {
            var resource = autoscalers
            resource.version = ServedVersion(AutoscalingV1HorizontalPodAutoscaler.self, .autoscalers)
            return resource
        }()
    ]
    static let v2: [any AnyResource] = [autoscalers]

    static let autoscalers: Resource<HorizontalPodAutoscaler> = {
        var resource = Resource<HorizontalPodAutoscaler>()
        resource.table = AutoscalingTables.autoscalers
        resource.subresources = [.status("HorizontalPodAutoscaler")]
        resource.prepareForCreate = { $0.status = HorizontalPodAutoscalerStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()
}
