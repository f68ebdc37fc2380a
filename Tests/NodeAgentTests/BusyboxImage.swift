import ContainerRuntime
import KubernetesJSON

/// An image `busybox:latest` around the machine's static busybox, as an OCI image layout.
enum BusyboxImage {
    /// Nil where no static busybox is installed (Debian: busybox-static).
    static func archive() -> [UInt8]? {
        guard let busybox = try? Files.read("/bin/busybox") else { return nil }
        var files: [(name: String, mode: Int, content: [UInt8])] = [("bin/busybox", 0o755, busybox)]
        // Its shell finds the other applets in itself.
        for name in ["sh", "sleep", "echo"] { files.append(("bin/\(name)", 0o755, busybox)) }
        let layer = TarArchive.make(files)
        let configuration: JSONValue = [
            "architecture": .string(PauseProgram.Architecture.current.rawValue), "os": "linux",
            "config": ["Cmd": ["sh"], "Env": ["PATH=/bin"]],
            "rootfs": ["type": "layers", "diff_ids": [.string(sha256(layer))]],
        ]
        func descriptor(_ bytes: [UInt8], _ type: String) -> JSONValue {
            [
                "mediaType": .string(type), "digest": .string(sha256(bytes)),
                "size": .integer(Int64(bytes.count)),
            ]
        }
        let manifest: JSONValue = [
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(configuration.json(), "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(layer, "application/vnd.oci.image.layer.v1.tar")],
        ]
        guard
            var entry = descriptor(manifest.json(), "application/vnd.oci.image.manifest.v1+json").objectValue
        else { return nil }
        entry["annotations"] = ["io.containerd.image.name": "docker.io/library/busybox:latest"]
        let index: JSONValue = ["schemaVersion": 2, "manifests": [.object(entry)]]
        let blobs = [layer, configuration.json(), manifest.json()].map { bytes in
            (name: "blobs/sha256/" + sha256(bytes).dropFirst(7), mode: 0o644, content: bytes)
        }
        return TarArchive.make([("index.json", 0o644, index.json())] + blobs)
    }
}
