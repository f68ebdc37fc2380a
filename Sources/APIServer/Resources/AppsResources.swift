import KubernetesAPI

/// The `apps` group, `v1`.
enum AppsResources {
    static let all: [any AnyResource] = [
        controllerRevisions, daemonSets, deployments, replicaSets, statefulSets,
    ]

    static let controllerRevisions: Resource<ControllerRevision> = {
        var resource = Resource<ControllerRevision>()
        resource.table = WorkloadTables.controllerRevisions
        return resource
    }()

    static let daemonSets: Resource<DaemonSet> = {
        var resource = Resource<DaemonSet>()
        resource.table = WorkloadTables.daemonSets
        resource.specWarnings = { $0.spec.template.warnings(at: "spec.template") }
        resource.subresources = [.status("DaemonSet")]
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { set in
            set.status = DaemonSetStatus()
            set.metadata.annotations[DaemonSet.templateGeneration] = "1"
        }
        resource.prepareForUpdate = { set, old in
            set.status = old.status
            let before = Int(old.metadata.annotations[DaemonSet.templateGeneration] ?? "") ?? 0
            let now = set.spec.template == old.spec.template ? before : before + 1
            set.metadata.annotations[DaemonSet.templateGeneration] = "\(max(now, 1))"
        }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()

    static let deployments: Resource<Deployment> = {
        var resource = Resource<Deployment>()
        resource.table = AppsTables.deployments
        resource.specWarnings = { $0.spec.template.warnings(at: "spec.template") }
        resource.creationWarnings = { NameAdvice.ofPods($0.metadata.name) }
        resource.subresources = [.scale, .status("Deployment")]
        resource.generationDiffers = { new, old in
            // Annotations carry the rollout's history and count as a change of what is wanted.
            new.spec != old.spec || new.metadata.annotations != old.metadata.annotations
        }
        resource.prepareForCreate = { $0.status = DeploymentStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { new, old in
            new.spec = old.spec
            new.metadata.labels = old.metadata.labels
        }
        resource.scale = ScaleRules(
            wanted: { $0.spec.replicas ?? 0 }, present: { $0.status.replicas },
            selector: { Selectors.describe($0.spec.selector) }, set: { $0.spec.replicas = $1 })
        return resource
    }()

    static let replicaSets: Resource<ReplicaSet> = {
        var resource = Resource<ReplicaSet>()
        resource.table = AppsTables.replicaSets
        resource.specWarnings = { $0.spec.template.warnings(at: "spec.template") }
        resource.creationWarnings = { NameAdvice.ofPods($0.metadata.name) }
        resource.fieldLabels = ["status.replicas"]
        resource.fields = { ["status.replicas": "\($0.status.replicas)"] }
        resource.subresources = [.scale, .status("ReplicaSet")]
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { $0.status = ReplicaSetStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        resource.scale = ScaleRules(
            wanted: { $0.spec.replicas ?? 0 }, present: { $0.status.replicas },
            selector: { Selectors.describe($0.spec.selector) }, set: { $0.spec.replicas = $1 })
        return resource
    }()

    static let statefulSets: Resource<StatefulSet> = {
        var resource = Resource<StatefulSet>()
        resource.table = WorkloadTables.statefulSets
        resource.specWarnings = { $0.spec.template.warnings(at: "spec.template") }
        resource.warnings = { set in
            guard let limit = set.spec.revisionHistoryLimit, limit < 0 else { return [] }
            return [
                "a negative value for revisionHistoryLimit retains all historical revisions; a value >= 0 is "
                    + "recommended"
            ]
        }
        resource.subresources = [.scale, .status("StatefulSet")]
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { $0.status = StatefulSetStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        resource.scale = ScaleRules(
            wanted: { $0.spec.replicas ?? 0 }, present: { $0.status.replicas },
            selector: { Selectors.describe($0.spec.selector) }, set: { $0.spec.replicas = $1 })
        return resource
    }()
}

/// The `coordination.k8s.io` group, `v1`.
enum CoordinationResources {
    static let all: [any AnyResource] = [leases]

    static let leases: Resource<Lease> = {
        var resource = Resource<Lease>()
        resource.table = AppsTables.leases
        resource.createsOnUpdate = true
        resource.updatesUnconditionally = false
        return resource
    }()
}

/// The `discovery.k8s.io` group, `v1`.
enum DiscoveryResources {
    static let all: [any AnyResource] = [slices]

    static let slices: Resource<EndpointSlice> = {
        var resource = Resource<EndpointSlice>()
        resource.table = ServiceTable.slices
        resource.warnings = { $0.warnings }
        resource.creationWarnings = { $0.creationWarnings }
        resource.generationDiffers = { new, old in
            var new = new
            var old = old
            // Everything but the system's own metadata counts; labels and annotations do.
            new.metadata = ObjectMeta(
                labels: new.metadata.labels, annotations: new.metadata.annotations)
            old.metadata = ObjectMeta(
                labels: old.metadata.labels, annotations: old.metadata.annotations)
            return new != old
        }
        return resource
    }()
}
