/// What upstream warns of in volumes and claims that are valid all the same.
enum VolumeWarnings {
    private static let classAnnotation = "volume.beta.kubernetes.io/storage-class"
    private static let optionsAnnotation = "volume.beta.kubernetes.io/mount-options"

    static func warnings(_ metadata: ObjectMeta) -> [String] {
        var warnings: [String] = []
        if metadata.annotations[classAnnotation] != nil {
            warnings.append(
                "metadata.annotations[\(classAnnotation)]: deprecated since v1.8; "
                    + "use \"storageClassName\" attribute instead")
        }
        if metadata.annotations[optionsAnnotation] != nil {
            warnings.append(
                "metadata.annotations[\(optionsAnnotation)]: deprecated since v1.31; "
                    + "use \"mountOptions\" attribute instead")
        }
        return warnings
    }
}

extension PersistentVolume {
    /// Messages for who writes this volume.
    public var warnings: [String] {
        var warnings = VolumeWarnings.warnings(metadata)
        if spec.persistentVolumeReclaimPolicy == "Recycle" {
            warnings.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
                    + "Instead, the recommended approach is to use dynamic provisioning.")
        }
        let gone: [(field: String, isSet: Bool, deprecated: String, removed: String)] = [
            ("photonPersistentDisk", spec.photonPersistentDisk != nil, "v1.11", "v1.16+"),
            ("scaleIO", spec.scaleIO != nil, "v1.16", "v1.22+"),
            ("storageOS", spec.storageos != nil, "v1.22", "v1.25+"),
            ("glusterfs", spec.glusterfs != nil, "v1.25", "v1.26+"),
            ("rbd", spec.rbd != nil, "v1.28", "v1.31+"),
            ("cephfs", spec.cephfs != nil, "v1.28", "v1.31+"),
        ]
        for source in gone where source.isSet {
            warnings.append(
                "spec.\(source.field): deprecated in \(source.deprecated), "
                    + "non-functional in \(source.removed)")
        }
        return warnings
    }
}

extension PersistentVolumeClaim {
    /// Messages for who writes this claim.
    public var warnings: [String] {
        var warnings = VolumeWarnings.warnings(metadata)
        if let size = spec.resources.requests["storage"], !size.isWhole {
            warnings.append(
                "spec.resources.requests[storage]: fractional byte value \"\(size)\" is invalid, "
                    + "must be an integer")
        }
        return warnings
    }
}
