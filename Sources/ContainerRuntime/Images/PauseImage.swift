import KubernetesJSON

/// The image of the sandbox container, made by this program: one static program for each architecture.
public enum PauseImage {
    /// The name containerd knows it by; no registry of the world answers to it.
    public static let reference = "swiftlet.local/pause:1"

    /// The image as an OCI image layout in a tar archive; the same bytes at each call.
    public static func archive() -> [UInt8] {
        var blobs: [String: [UInt8]] = [:]
        func add(_ bytes: [UInt8], _ mediaType: String) -> JSONObject {
            let digest = sha256(bytes)
            blobs[digest] = bytes
            return [
                "mediaType": .string(mediaType), "digest": .string(digest),
                "size": .integer(Int64(bytes.count)),
            ]
        }
        var manifests: [JSONValue] = []
        for architecture in PauseProgram.Architecture.allCases {
            let layer = TarArchive.make([("pause", 0o755, PauseProgram.executable(architecture))])
            let platform: JSONValue = ["architecture": .string(architecture.rawValue), "os": "linux"]
            let configuration: JSONValue = [
                "architecture": .string(architecture.rawValue), "os": "linux",
                "config": ["Entrypoint": ["/pause"], "User": "65535:65535"],
                "rootfs": ["type": "layers", "diff_ids": [.string(sha256(layer))]],
            ]
            let manifest: JSONValue = [
                "schemaVersion": 2, "mediaType": .string(ImageArchive.ociManifest),
                "config": .object(add(configuration.json(), "application/vnd.oci.image.config.v1+json")),
                "layers": [.object(add(layer, "application/vnd.oci.image.layer.v1.tar"))],
            ]
            var descriptor = add(manifest.json(), ImageArchive.ociManifest)
            descriptor["platform"] = platform
            manifests.append(.object(descriptor))
        }
        let image: JSONValue = [
            "schemaVersion": 2, "mediaType": .string(ImageArchive.ociIndex), "manifests": .array(manifests),
        ]
        var entry = add(image.json(), ImageArchive.ociIndex)
        entry["annotations"] = ["org.opencontainers.image.ref.name": .string(reference)]
        let index: JSONValue = ["schemaVersion": 2, "manifests": [.object(entry)]]
        let layout: JSONValue = ["imageLayoutVersion": "1.0.0"]
        var files: [(name: String, mode: Int, content: [UInt8])] = [
            ("oci-layout", 0o644, layout.json()), ("index.json", 0o644, index.json()),
        ]
        for (digest, bytes) in blobs.sorted(by: { $0.key < $1.key }) {
            files.append(("blobs/sha256/" + digest.dropFirst("sha256:".count), 0o644, bytes))
        }
        return TarArchive.make(files)
    }
}
