import KubernetesAPI

/// Volumes and the claims on them, of the core group.
enum VolumeResources {
    static func volumes(now: @escaping @Sendable () -> Time) -> Resource<PersistentVolume> {
        var resource = Resource<PersistentVolume>()
        resource.table = StorageTables.volumes
        resource.warnings = { $0.warnings }
        resource.subresources = [.status("PersistentVolume")]
        resource.returnsDeletedObject = true
        resource.prepareForCreate = { volume in
            volume.status = PersistentVolumeStatus(phase: "Pending", lastPhaseTransitionTime: now())
        }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { volume, old in
            volume.spec = old.spec
            settleTransition(&volume.status, old.status, now())
        }
        return resource
    }

    /// The time of a phase's change is the server's to tell, unless the writer does.
    private static func settleTransition(
        _ status: inout PersistentVolumeStatus, _ old: PersistentVolumeStatus, _ now: Time
    ) {
        let time = status.lastPhaseTransitionTime
        if status.phase == old.phase {
            if time == nil { status.lastPhaseTransitionTime = old.lastPhaseTransitionTime }
        } else if time == nil || time == old.lastPhaseTransitionTime {
            status.lastPhaseTransitionTime = now
        }
    }

    static let claims: Resource<PersistentVolumeClaim> = {
        var resource = Resource<PersistentVolumeClaim>()
        resource.table = StorageTables.claims
        resource.warnings = { $0.warnings }
        resource.subresources = [.status("PersistentVolumeClaim")]
        resource.returnsDeletedObject = true
        resource.prepareForCreate = { claim in
            claim.status = PersistentVolumeClaimStatus(phase: "Pending")
            claim.alignSources()
        }
        resource.prepareForUpdate = { claim, old in
            claim.status = old.status
            claim.alignSources()
        }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()
}

/// The `storage.k8s.io` group, `v1`.
enum StorageResources {
    static let all: [any AnyResource] = [drivers, nodes, capacities, classes, attachments]

    static let classes: Resource<StorageClass> = {
        var resource = Resource<StorageClass>()
        resource.table = StorageTables.classes
        resource.warnings = { $0.warnings }
        resource.returnsDeletedObject = true
        return resource
    }()

    static let attachments: Resource<VolumeAttachment> = {
        var resource = Resource<VolumeAttachment>()
        resource.table = StorageTables.attachments
        resource.subresources = [.status("VolumeAttachment")]
        resource.returnsDeletedObject = true
        resource.updatesUnconditionally = false
        resource.prepareForCreate = { $0.status = VolumeAttachmentStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()

    static let drivers: Resource<CSIDriver> = {
        var resource = Resource<CSIDriver>()
        resource.table = StorageTables.drivers
        resource.returnsDeletedObject = true
        resource.updatesUnconditionally = false
        return resource
    }()

    static let nodes: Resource<CSINode> = {
        var resource = Resource<CSINode>()
        resource.table = StorageTables.nodes
        resource.returnsDeletedObject = true
        resource.updatesUnconditionally = false
        return resource
    }()

    static let capacities: Resource<CSIStorageCapacity> = {
        var resource = Resource<CSIStorageCapacity>()
        resource.table = StorageTables.capacities
        resource.warnings = { $0.warnings }
        resource.updatesUnconditionally = false
        return resource
    }()
}
