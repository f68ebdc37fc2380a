import KubernetesAPI
import KubernetesJSON

/// The columns of volumes, claims and what provides them.
enum StorageTables {
    static let volumes = TablePrinter<PersistentVolume>([
        .name,
        TableColumn("Capacity", "The volume's size."),
        TableColumn("Access Modes", "The ways in which it can be used."),
        TableColumn("Reclaim Policy", "What becomes of it when its claim is gone."),
        TableColumn("Status", "Whether it is free, bound or released."),
        TableColumn("Claim", "The claim that has it."),
        TableColumn("StorageClass", "The class it belongs to."),
        TableColumn("VolumeAttributesClass", "The class of changeable attributes it has."),
        TableColumn("Reason", "Why it failed, in one word."),
        .age,
        .wide("VolumeMode", "Filesystem, or Block for a raw device."),
    ]) { volume, now in
        let claim = volume.spec.claimRef.map { "\($0.namespace)/\($0.name)" } ?? ""
        return [
            .string(volume.metadata.name), .string(volume.spec.capacity["storage"].map { "\($0)" } ?? "0"),
            .string(accessModes(volume.spec.accessModes)),
            .string(volume.spec.persistentVolumeReclaimPolicy),
            phase(volume.metadata, volume.status.phase), .string(claim),
            .string(
                storageClass(volume.metadata, volume.spec.storageClassName)),
            .string(volume.spec.volumeAttributesClassName ?? "<unset>"), .string(volume.status.reason),
            Cell.age(volume.metadata.creationTimestamp, now), .string(volume.spec.volumeMode ?? "<unset>"),
        ]
    }

    static let claims = TablePrinter<PersistentVolumeClaim>([
        .name,
        TableColumn("Status", "Whether it is bound to a volume."),
        TableColumn("Volume", "The volume it is bound to."),
        TableColumn("Capacity", "The size of that volume."),
        TableColumn("Access Modes", "The ways in which that volume can be used."),
        TableColumn("StorageClass", "The class that is asked for."),
        TableColumn("VolumeAttributesClass", "The class of changeable attributes that is asked for."),
        .age,
        .wide("VolumeMode", "Filesystem, or Block for a raw device."),
    ]) { claim, now in
        let isBound = !claim.spec.volumeName.isEmpty
        let capacity = claim.status.capacity["storage"].map { "\($0)" } ?? "0"
        return [
            .string(claim.metadata.name), phase(claim.metadata, claim.status.phase),
            .string(claim.spec.volumeName), .string(isBound ? capacity : ""),
            .string(isBound ? accessModes(claim.status.accessModes) : ""),
            .string(storageClass(claim.metadata, claim.spec.storageClassName ?? "")),
            .string(claim.spec.volumeAttributesClassName ?? "<unset>"),
            Cell.age(claim.metadata.creationTimestamp, now), .string(claim.spec.volumeMode ?? "<unset>"),
        ]
    }

    private static func phase(_ metadata: ObjectMeta, _ phase: String) -> JSONValue {
        .string(metadata.deletionTimestamp == nil ? phase : "Terminating")
    }

    /// The annotation from before the field still wins.
    private static func storageClass(_ metadata: ObjectMeta, _ name: String) -> String {
        metadata.annotations["volume.beta.kubernetes.io/storage-class"] ?? name
    }

    private static func accessModes(_ modes: [String]) -> String {
        let short = [
            ("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"),
            ("ReadWriteOncePod", "RWOP"),
        ]
        return short.filter { modes.contains($0.0) }.map(\.1).joined(separator: ",")
    }

    static let classes = TablePrinter<StorageClass>([
        .name,
        TableColumn("Provisioner", "Who makes the volumes."),
        TableColumn("ReclaimPolicy", "What becomes of a volume when its claim is gone."),
        TableColumn("VolumeBindingMode", "Whether claims are bound at once or when a pod uses them."),
        TableColumn("AllowVolumeExpansion", "Whether claims may be made larger."),
        .age,
    ]) { storage, now in
        let isDefault = ["storageclass.kubernetes.io/", "storageclass.beta.kubernetes.io/"].contains {
            storage.metadata.annotations["\($0)is-default-class"] == "true"
        }
        return [
            .string(storage.metadata.name + (isDefault ? " (default)" : "")), .string(storage.provisioner),
            .string(storage.reclaimPolicy ?? "Delete"), .string(storage.volumeBindingMode ?? "Immediate"),
            .bool(storage.allowVolumeExpansion ?? false),
            Cell.age(storage.metadata.creationTimestamp, now),
        ]
    }

    static let attachments = TablePrinter<VolumeAttachment>([
        .name,
        TableColumn("Attacher", format: "name", "The driver that attaches."),
        TableColumn("PV", "The volume."),
        TableColumn("Node", "The node it is to be attached to."),
        TableColumn("Attached", type: "boolean", "Whether it is attached."),
        .age,
    ]) { attachment, now in
        [
            .string(attachment.metadata.name), .string(attachment.spec.attacher),
            .string(attachment.spec.source.persistentVolumeName ?? ""), .string(attachment.spec.nodeName),
            .bool(attachment.status.attached), Cell.age(attachment.metadata.creationTimestamp, now),
        ]
    }

    static let drivers = TablePrinter<CSIDriver>([
        .name,
        TableColumn("AttachRequired", type: "boolean", "Whether volumes are attached before mounting."),
        TableColumn("PodInfoOnMount", type: "boolean", "Whether it is told about the pod."),
        TableColumn("StorageCapacity", type: "boolean", "Whether pods wait for room."),
        TableColumn("TokenRequests", "The audiences of the tokens it gets."),
        TableColumn("RequiresRepublish", type: "boolean", "Whether it is called again for mounted volumes."),
        TableColumn("Modes", "The kinds of volumes it supports."),
        .age,
    ]) { driver, now in
        let spec = driver.spec
        let audiences = spec.tokenRequests.map(\.audience)
        return [
            .string(driver.metadata.name), .bool(spec.attachRequired ?? true),
            .bool(spec.podInfoOnMount ?? false), .bool(spec.storageCapacity ?? false),
            .string(audiences.isEmpty ? "<unset>" : audiences.joined(separator: ",")),
            .bool(spec.requiresRepublish ?? false),
            Cell.orNone(spec.volumeLifecycleModes.joined(separator: ",")),
            Cell.age(driver.metadata.creationTimestamp, now),
        ]
    }

    static let nodes = TablePrinter<CSINode>([
        .name, TableColumn("Drivers", type: "integer", "How many drivers the node has."), .age,
    ]) { node, now in
        [
            .string(node.metadata.name), Cell.integer(node.spec.drivers.count),
            Cell.age(node.metadata.creationTimestamp, now),
        ]
    }

    static let capacities = TablePrinter<CSIStorageCapacity>([
        .name,
        TableColumn("StorageClassName", "The class that the room is for."),
        TableColumn("Capacity", "The room."),
    ]) { capacity, _ in
        [
            .string(capacity.metadata.name), .string(capacity.storageClassName),
            .string(capacity.capacity.map { "\($0)" } ?? "<unset>"),
        ]
    }
}
