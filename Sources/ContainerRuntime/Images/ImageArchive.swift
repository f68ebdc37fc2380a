import Crypto
import Glibc
import KubernetesJSON

/// One archive of images in a file, as `docker save`, `buildah push oci-archive:` and the like write it: an
/// OCI image layout in a tar file, or Docker's older format.
public struct ImageArchive: Sendable {
    /// Where a blob's bytes are.
    package enum Location: Sendable, Hashable {
        case file(offset: Int, size: Int)
        case memory([UInt8])

        package var size: Int {
            switch self {
            case .file(_, let size): size
            case .memory(let bytes): bytes.count
            }
        }
    }

    /// An image in the archive: what it is called and the blob that describes it.
    public struct Image: Sendable, Hashable {
        /// As normalised by `ImageReference`, such as `docker.io/library/web:1.0`.
        public var reference: String
        /// The digest of its manifest or index.
        public var digest: String
        /// The type of that manifest or index.
        package var mediaType: String
        /// Bytes of manifest, configuration and layers together.
        public var size: Int
    }

    /// The archive's file.
    public let path: String
    public private(set) var images: [Image] = []
    package private(set) var blobs: [String: Location] = [:]
    /// The type that a manifest is served with, by digest.
    package private(set) var manifestTypes: [String: String] = [:]

    static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
    static let ociIndex = "application/vnd.oci.image.index.v1+json"
    static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"

    /// Opens an archive and checks that every image in it is complete.
    public init(path: String) throws(ContainerRuntimeError) {
        self.path = path
        let file = try FileReader(path)
        if file.size >= 2, try file.read(0, 2) == [0x1f, 0x8b] {
            throw ContainerRuntimeError(
                .badArchive,
                "\(path) is compressed with gzip; an image archive is expected as plain tar: gunzip it.")
        }
        let tar: TarArchive
        do {
            tar = try TarArchive(size: file.size) { (offset, count) throws(ContainerRuntimeError) in
                try file.read(offset, count)
            }
        } catch {
            throw ContainerRuntimeError(.badArchive, "\(path): \(error.message)")
        }
        if tar.file("index.json") != nil {
            try readLayout(tar, file)
        }
        // `docker save` writes both; the older one knows the names when the layout lacks them.
        if images.isEmpty, tar.file("manifest.json") != nil {
            try readDockerArchive(tar, file)
        }
        guard !images.isEmpty else {
            throw ContainerRuntimeError(
                .badArchive,
                "\(path) holds no named image: expected is an OCI image layout (index.json) with names in its "
                    + "annotations, or an archive made by `docker save NAME`.")
        }
    }

    // MARK: - OCI image layout

    private mutating func readLayout(_ tar: TarArchive, _ file: FileReader) throws(ContainerRuntimeError) {
        for (name, member) in tar.members where name.hasPrefix("blobs/sha256/") && member.kind == .file {
            blobs["sha256:" + name.dropFirst("blobs/sha256/".count)] =
                .file(offset: member.offset, size: member.size)
        }
        let index = try json(tar, file, "index.json")
        for entry in index["manifests"]?.arrayValue ?? [] {
            let annotations = entry["annotations"]
            guard let digest = entry["digest"]?.stringValue else { continue }
            let mediaType = entry["mediaType"]?.stringValue ?? Self.ociManifest
            let name =
                annotations?["io.containerd.image.name"]?.stringValue
                ?? annotations?["org.opencontainers.image.ref.name"]?.stringValue
            guard let name, let reference = try? ImageReference(parsing: name) else { continue }
            let size = try complete(digest, mediaType, file)
            images.append(Image(reference: "\(reference)", digest: digest, mediaType: mediaType, size: size))
        }
    }

    /// Checks that a manifest or index and all that it names is in the archive; returns the size of it all.
    /// An index may name platforms that the archive leaves out, as long as one is there.
    private mutating func complete(
        _ digest: String, _ mediaType: String, _ file: FileReader, depth: Int = 0
    ) throws(ContainerRuntimeError) -> Int {
        guard let location = blobs[digest], depth < 3 else {
            throw ContainerRuntimeError(.badArchive, "\(path) is incomplete: \(digest) is missing.")
        }
        let manifest = try parse(try read(location, file), digest)
        manifestTypes[digest] = manifest["mediaType"]?.stringValue ?? mediaType
        if let children = manifest["manifests"]?.arrayValue {
            var total = location.size
            var found = 0
            for child in children {
                guard let name = child["digest"]?.stringValue, blobs[name] != nil else { continue }
                total += try complete(
                    name, child["mediaType"]?.stringValue ?? Self.ociManifest, file, depth: depth + 1)
                found += 1
            }
            guard found > 0 else {
                throw ContainerRuntimeError(
                    .badArchive, "\(path) is incomplete: no platform of \(digest) is in it.")
            }
            return total
        }
        var total = location.size
        let parts = [manifest["config"]].compactMap { $0 } + (manifest["layers"]?.arrayValue ?? [])
        for part in parts {
            guard let name = part["digest"]?.stringValue, let blob = blobs[name] else {
                throw ContainerRuntimeError(
                    .badArchive,
                    "\(path) is incomplete: \(part["digest"]?.stringValue ?? "a layer") is missing.")
            }
            total += blob.size
        }
        return total
    }

    // MARK: - docker save

    /// The older format names files, not digests: the manifest that a registry would serve is made here.
    private mutating func readDockerArchive(
        _ tar: TarArchive, _ file: FileReader
    ) throws(ContainerRuntimeError) {
        for entry in try json(tar, file, "manifest.json").arrayValue ?? [] {
            guard let configName = entry["Config"]?.stringValue, let config = tar.file(configName) else {
                throw ContainerRuntimeError(
                    .badArchive, "\(path) is incomplete: an image's Config is missing.")
            }
            var layers: [JSONValue] = []
            for layer in entry["Layers"]?.arrayValue ?? [] {
                guard let name = layer.stringValue, let member = tar.file(name) else {
                    throw ContainerRuntimeError(.badArchive, "\(path) is incomplete: a layer is missing.")
                }
                layers.append(try add(member, file, layerType(member, file)))
            }
            let manifest: JSONValue = [
                "schemaVersion": 2, "mediaType": .string(Self.dockerManifest),
                "config": try add(config, file, "application/vnd.docker.container.image.v1+json"),
                "layers": .array(layers),
            ]
            let bytes = manifest.json()
            let digest = sha256(bytes)
            blobs[digest] = .memory(bytes)
            let size = try complete(digest, Self.dockerManifest, file)
            for tag in entry["RepoTags"]?.arrayValue ?? [] {
                guard let name = tag.stringValue, let reference = try? ImageReference(parsing: name) else {
                    continue
                }
                images.append(
                    Image(
                        reference: "\(reference)", digest: digest, mediaType: Self.dockerManifest, size: size)
                )
            }
        }
    }

    private func layerType(_ member: TarArchive.Member, _ file: FileReader) throws(ContainerRuntimeError)
        -> String
    {
        let isCompressed = try file.read(member.offset, min(2, member.size)) == [0x1f, 0x8b]
        return "application/vnd.docker.image.rootfs.diff.tar" + (isCompressed ? ".gzip" : "")
    }

    private mutating func add(
        _ member: TarArchive.Member, _ file: FileReader, _ mediaType: String
    ) throws(ContainerRuntimeError) -> JSONValue {
        let digest = try file.digest(member.offset, member.size)
        blobs[digest] = .file(offset: member.offset, size: member.size)
        return [
            "mediaType": .string(mediaType), "digest": .string(digest), "size": .integer(Int64(member.size)),
        ]
    }

    // MARK: - Reading

    private func json(_ tar: TarArchive, _ file: FileReader, _ name: String) throws(ContainerRuntimeError)
        -> JSONValue
    {
        guard let member = tar.file(name), member.size <= 16 << 20 else {
            throw ContainerRuntimeError(.badArchive, "\(path): \(name) is missing or too large.")
        }
        return try parse(try file.read(member.offset, member.size), name)
    }

    private func read(_ location: Location, _ file: FileReader) throws(ContainerRuntimeError) -> [UInt8] {
        switch location {
        case .memory(let bytes): return bytes
        case .file(let offset, let size):
            guard size <= 16 << 20 else {
                throw ContainerRuntimeError(.badArchive, "\(path): a manifest of \(size) bytes is too large.")
            }
            return try file.read(offset, size)
        }
    }

    private func parse(_ bytes: [UInt8], _ name: String) throws(ContainerRuntimeError) -> JSONValue {
        do {
            return try JSONValue(json: bytes)
        } catch {
            throw ContainerRuntimeError(.badArchive, "\(path): \(name) is no JSON.", cause: error)
        }
    }
}

/// `sha256:` and the hexadecimal digest of the bytes.
package func sha256(_ bytes: [UInt8]) -> String {
    var hash = SHA256()
    bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    return hexDigest(hash.finalize())
}

private func hexDigest(_ digest: SHA256.Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = Array("sha256:".utf8)
    for byte in digest {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
}

/// Positioned reads of one file.
private final class FileReader {
    let size: Int
    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(ContainerRuntimeError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else {
            throw ContainerRuntimeError(.io, "Cannot read \(path): \(errorText(errno)).")
        }
        size = Int(status.st_size)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func read(_ offset: Int, _ count: Int) throws(ContainerRuntimeError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, count))
        var filled = 0
        while filled < bytes.count {
            let result = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + filled }, $0.count - filled, offset + filled)
            }
            if result < 0, errno == EINTR { continue }
            guard result >= 0 else {
                throw ContainerRuntimeError(.io, "Cannot read \(path): \(errorText(errno)).")
            }
            guard result > 0 else { break }
            filled += result
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }

    func digest(_ offset: Int, _ size: Int) throws(ContainerRuntimeError) -> String {
        var hash = SHA256()
        var done = 0
        while done < size {
            let chunk = try read(offset + done, min(size - done, 1 << 20))
            guard !chunk.isEmpty else { break }
            chunk.withUnsafeBytes { hash.update(bufferPointer: $0) }
            done += chunk.count
        }
        return hexDigest(hash.finalize())
    }
}
