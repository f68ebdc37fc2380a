import KubernetesJSON

/// Rules on where a volume's storage is.
enum PersistentVolumeSourceRules {
    static func validate(_ path: RulePath, _ spec: PersistentVolumeSpec) -> [FieldError] {
        var errors: [FieldError] = []
        var isFirst = true
        /// Only one kind of source may be set; the further ones are refused without a look inside.
        func only<Source>(_ field: String, _ source: Source?, _ check: (RulePath, Source) -> [FieldError]) {
            guard let source else { return }
            if isFirst {
                errors += check(path.child(field), source)
            } else {
                errors.forbidden(path.child(field), "may not specify more than 1 volume type")
            }
            isFirst = false
        }
        only("hostPath", spec.hostPath, VolumeRules.hostPath)
        only("gcePersistentDisk", spec.gcePersistentDisk) { VolumeRules.named($0, ("pdName", $1.pdName)) }
        only("awsElasticBlockStore", spec.awsElasticBlockStore) {
            VolumeRules.named($0, ("volumeID", $1.volumeID))
        }
        only("glusterfs", spec.glusterfs) { path, source in
            var errors = VolumeRules.named(path, ("endpoints", source.endpoints), ("path", source.path))
            if let namespace = source.endpointsNamespace {
                errors.require(NameRules.label, path.child("endpointsNamespace"), namespace)
            }
            return errors
        }
        only("flocker", spec.flocker) { path, source in
            source.datasetName.isEmpty && source.datasetUUID.isEmpty
                ? [.required(path.text, "one of datasetName and datasetUUID is required")] : []
        }
        only("nfs", spec.nfs, VolumeRules.nfs)
        only("rbd", spec.rbd) {
            VolumeRules.named($0, ("monitors", $1.monitors.joined()), ("image", $1.image))
        }
        only("quobyte", spec.quobyte) {
            VolumeRules.named($0, ("registry", $1.registry), ("volume", $1.volume))
        }
        only("cephfs", spec.cephfs) { VolumeRules.named($0, ("monitors", $1.monitors.joined())) }
        only("iscsi", spec.iscsi) { path, source in
            var errors = VolumeRules.named(path, ("targetPortal", source.targetPortal), ("iqn", source.iqn))
            errors.requireRange(path.child("lun"), source.lun, 0...255)
            if source.chapAuthDiscovery || source.chapAuthSession, source.secretRef == nil {
                errors.required(path.child("secretRef"))
            }
            return errors
        }
        only("cinder", spec.cinder) { path, source in
            VolumeRules.named(path, ("volumeID", source.volumeID))
                + secret(path.child("secretRef"), source.secretRef)
        }
        only("fc", spec.fc, VolumeRules.fibreChannel)
        only("flexVolume", spec.flexVolume) { VolumeRules.named($0, ("driver", $1.driver)) }
        only("azureFile", spec.azureFile) { path, source in
            VolumeRules.named(path, ("secretName", source.secretName), ("shareName", source.shareName))
        }
        only("vsphereVolume", spec.vsphereVolume) { VolumeRules.named($0, ("volumePath", $1.volumePath)) }
        only("photonPersistentDisk", spec.photonPersistentDisk) {
            VolumeRules.named($0, ("pdID", $1.pdID))
        }
        only("portworxVolume", spec.portworxVolume) { VolumeRules.named($0, ("volumeID", $1.volumeID)) }
        only("azureDisk", spec.azureDisk) {
            VolumeRules.named($0, ("diskName", $1.diskName), ("diskURI", $1.diskURI))
        }
        only("scaleIO", spec.scaleIO) {
            VolumeRules.named(
                $0, ("gateway", $1.gateway), ("system", $1.system), ("volumeName", $1.volumeName))
        }
        only("local", spec.local) { local, source in
            var errors = VolumeRules.named(local, ("path", source.path))
            errors += VolumeRules.noSteppingBack(local.child("path"), source.path)
            if spec.nodeAffinity?.required == nil {
                errors.required(path.child("nodeAffinity"), "Local volume requires node affinity")
            }
            return errors
        }
        only("storageos", spec.storageos) { VolumeRules.named($0, ("volumeName", $1.volumeName)) }
        only("csi", spec.csi, driver)
        if isFirst { errors.required(path, "must specify a volume type") }
        return errors
    }

    private static func driver(_ path: RulePath, _ source: CSIPersistentVolumeSource) -> [FieldError] {
        DriverRules.name(path.child("driver"), source.driver)
            + VolumeRules.named(path, ("volumeHandle", source.volumeHandle))
            + secret(path.child("controllerPublishSecretRef"), source.controllerPublishSecretRef)
            + secret(path.child("controllerExpandSecretRef"), source.controllerExpandSecretRef)
            + secret(path.child("nodePublishSecretRef"), source.nodePublishSecretRef)
            + secret(path.child("nodeExpandSecretRef"), source.nodeExpandSecretRef)
    }

    /// A secret is named with its namespace: a volume has none of its own.
    private static func secret(_ path: RulePath, _ secret: SecretReference?) -> [FieldError] {
        guard let secret else { return [] }
        return VolumeRules.named(path, ("name", secret.name), ("namespace", secret.namespace))
    }
}
