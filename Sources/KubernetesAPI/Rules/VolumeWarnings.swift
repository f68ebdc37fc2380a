/// What upstream warns of in volumes and claims that are valid all the same.
enum VolumeWarnings {
    static let optionsAnnotation = "volume.beta.kubernetes.io/mount-options"

    static func classAnnotation(_ metadata: ObjectMeta) -> [String] {
        let key = "volume.beta.kubernetes.io/storage-class"
        guard metadata.annotations[key] != nil else { return [] }
        return [
            "metadata.annotations[\(key)]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        ]
    }

    // MARK: - Volumes of pods

    static func volumes(_ path: RulePath, _ volumes: [Volume]) -> [String] {
        var warnings: [String] = []
        for (index, volume) in volumes.enumerated() {
            let path = path.index(index)
            let gone: [(field: String, isSet: Bool, text: String)] = [
                (
                    "photonPersistentDisk", volume.photonPersistentDisk != nil,
                    "deprecated in v1.11, non-functional in v1.16+"
                ),
                ("gitRepo", volume.gitRepo != nil, "deprecated in v1.11, and disabled by default in v1.33+"),
                ("scaleIO", volume.scaleIO != nil, "deprecated in v1.16, non-functional in v1.22+"),
                ("flocker", volume.flocker != nil, "deprecated in v1.22, non-functional in v1.25+"),
                ("storageOS", volume.storageos != nil, "deprecated in v1.22, non-functional in v1.25+"),
                ("quobyte", volume.quobyte != nil, "deprecated in v1.22, non-functional in v1.25+"),
                ("glusterfs", volume.glusterfs != nil, "deprecated in v1.25, non-functional in v1.26+"),
                ("cephfs", volume.cephfs != nil, "deprecated in v1.28, non-functional in v1.31+"),
                ("rbd", volume.rbd != nil, "deprecated in v1.28, non-functional in v1.31+"),
            ]
            warnings += gone.filter(\.isSet).map { "\(path.child($0.field).text): \($0.text)" }
            if let size = volume.ephemeral?.volumeClaimTemplate?.spec.resources.requests["storage"],
                !size.isWhole
            {
                let path = path.child("ephemeral.volumeClaimTemplate.spec.resources.requests").key("storage")
                warnings.append(
                    "\(path.text): fractional byte value \(GoText.quoted("\(size)")) is invalid, must be an integer"
                )
            }
        }
        return warnings + volumes.flatMap(overlaps)
    }

    /// Files that one volume has at the same place, or where another one's folder is.
    private static func overlaps(_ volume: Volume) -> [String] {
        if let source = volume.configMap {
            return overlaps(source.items.map { VolumeFile(path: $0.path) }).map {
                text(volume, "ConfigMap \(GoText.quoted(source.name))", $0)
            }
        }
        if let source = volume.secret {
            return overlaps(source.items.map { VolumeFile(path: $0.path) }).map {
                text(volume, "Secret \(GoText.quoted(source.secretName))", $0)
            }
        }
        if let source = volume.downwardAPI {
            return overlaps(source.items.map { VolumeFile(path: $0.path) }).map {
                text(volume, "DownwardAPI", $0)
            }
        }
        guard let source = volume.projected else { return [] }
        let empty = source.sources.filter { $0 == VolumeProjection() }.map { _ in
            "volume \(GoText.quoted(volume.name)) (Projected) has no sources provided"
        }
        return empty + overlaps(source.sources.flatMap(files)).map { text(volume, "Projected", $0) }
    }

    private static func text(_ volume: Volume, _ kind: String, _ overlap: String) -> String {
        "volume \(GoText.quoted(volume.name)) (\(kind)): overlapping paths: \(overlap)"
    }

    private struct VolumeFile: Hashable {
        var path: String
        /// What it is of, in a volume that is of several things.
        var source = ""

        var text: String { GoText.quoted(path) + (source.isEmpty ? "" : " (\(source))") }

        /// Whether one is the other or below it.
        func meets(_ other: VolumeFile) -> Bool {
            guard !path.isEmpty, !other.path.isEmpty else { return false }
            return (path + "/").hasPrefix(other.path + "/") || (other.path + "/").hasPrefix(path + "/")
        }
    }

    private static func overlaps(_ files: [VolumeFile]) -> [String] {
        var known: [VolumeFile] = []
        var result: [String] = []
        for file in files {
            var file = file
            while file.path.hasSuffix("/") { file.path.removeLast() }
            result += known.filter { $0.meets(file) }.map { "\(file.text) with \($0.text)" }
            known.append(file)
        }
        return result
    }

    private static func files(_ source: VolumeProjection) -> [VolumeFile] {
        if let map = source.configMap {
            let name = "ConfigMap \(GoText.quoted(map.name))"
            return map.items.map { VolumeFile(path: $0.path, source: name) }
        }
        if let secret = source.secret {
            let name = "Secret \(GoText.quoted(secret.name))"
            return secret.items.map { VolumeFile(path: $0.path, source: name) }
        }
        if let facts = source.downwardAPI {
            return facts.items.map { VolumeFile(path: $0.path, source: "DownwardAPI") }
        }
        if let token = source.serviceAccountToken {
            return [VolumeFile(path: token.path, source: "ServiceAccountToken")]
        }
        if let bundle = source.clusterTrustBundle {
            let name = bundle.name ?? bundle.signerName ?? ""
            return [VolumeFile(path: bundle.path, source: "ClusterTrustBundle \(GoText.quoted(name))")]
        }
        guard let certificate = source.podCertificate else { return [] }
        return [
            VolumeFile(path: certificate.certificateChainPath, source: "PodCertificate chain"),
            VolumeFile(path: certificate.keyPath, source: "PodCertificate key"),
            VolumeFile(
                path: certificate.credentialBundlePath, source: "PodCertificate credential bundle"),
        ].filter { !$0.path.isEmpty }
    }
}

extension PersistentVolume {
    /// Messages for who writes this volume.
    public var warnings: [String] {
        var warnings = VolumeWarnings.classAnnotation(metadata)
        if metadata.annotations[VolumeWarnings.optionsAnnotation] != nil {
            warnings.append(
                "metadata.annotations[\(VolumeWarnings.optionsAnnotation)]: deprecated since v1.31; "
                    + "use \"mountOptions\" attribute instead")
        }
        if spec.persistentVolumeReclaimPolicy == "Recycle" {
            warnings.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. "
                    + "Instead, the recommended approach is to use dynamic provisioning.")
        }
        let terms = RulePath("spec.nodeAffinity.required.nodeSelectorTerms")
        for (index, term) in (spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).enumerated() {
            warnings += NodeLabelWarnings.term(terms.index(index), term, checksValues: false)
        }
        let gone: [(field: String, isSet: Bool, deprecated: String, removed: String)] = [
            ("cephfs", spec.cephfs != nil, "v1.28", "v1.31+"),
            ("photonPersistentDisk", spec.photonPersistentDisk != nil, "v1.11", "v1.16+"),
            ("scaleIO", spec.scaleIO != nil, "v1.16", "v1.22+"),
            ("storageOS", spec.storageos != nil, "v1.22", "v1.25+"),
            ("glusterfs", spec.glusterfs != nil, "v1.25", "v1.26+"),
            ("rbd", spec.rbd != nil, "v1.28", "v1.31+"),
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
        var warnings = VolumeWarnings.classAnnotation(metadata)
        if let size = spec.resources.requests["storage"], !size.isWhole {
            warnings.append(
                "spec.resources.requests[storage]: fractional byte value \"\(size)\" is invalid, "
                    + "must be an integer")
        }
        return warnings
    }
}
