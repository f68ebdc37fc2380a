import KubernetesAPI

/// What bounds the use of a namespace, of the core group.
enum QuotaResources {
    static let limitRanges: Resource<LimitRange> = {
        var resource = Resource<LimitRange>()
        resource.createsOnUpdate = true
        return resource
    }()

    static let quotas: Resource<ResourceQuota> = {
        var resource = Resource<ResourceQuota>()
        resource.table = QuotaTables.quotas
        resource.subresources = [.status("ResourceQuota")]
        resource.returnsDeletedObject = true
        resource.prepareForCreate = { $0.status = ResourceQuotaStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()
}

/// The `scheduling.k8s.io` group, `v1`.
enum SchedulingResources {
    static let all: [any AnyResource] = [priorityClasses]

    static let priorityClasses: Resource<PriorityClass> = {
        var resource = Resource<PriorityClass>()
        resource.table = QuotaTables.priorityClasses
        // Upstream gives a class its first generation and never another.
        resource.generationDiffers = { _, _ in false }
        return resource
    }()
}

/// The `node.k8s.io` group, `v1`.
enum NodeResources {
    static let all: [any AnyResource] = [runtimeClasses]

    static let runtimeClasses: Resource<RuntimeClass> = {
        var resource = Resource<RuntimeClass>()
        resource.table = QuotaTables.runtimeClasses
        resource.warnings = { $0.warnings }
        resource.updatesUnconditionally = false
        return resource
    }()
}
