import Glibc
import Logging
import Synchronization

/// The images this machine has of its own: a folder of archives, served to containerd by `ImageRegistry`.
///
/// The folder is the truth: an archive copied into it by hand counts as much as one that was loaded.
public final class ImageFolder: Sendable {
    /// An archive is read again when its size or time of change differs.
    private struct Signature: Hashable, Sendable {
        let size: Int
        let seconds: Int
        let nanoseconds: Int
    }
    private struct Entry: Sendable {
        let signature: Signature
        /// Nil when the file is no image archive.
        let archive: ImageArchive?
    }

    public let path: String
    private let logger: Logger
    private let entries = Mutex<[String: Entry]>([:])

    public init(path: String, logger: Logger) throws(ContainerRuntimeError) {
        self.path = path
        self.logger = logger
        try Files.createFolder(path)
    }

    /// Copies an archive into the folder, after checking that it is complete; an archive of the same image is
    /// replaced. Returns the references of the images in it.
    ///
    /// Throws `badArchive` when the file is no image archive or something is missing in it.
    @discardableResult
    public func load(_ file: String) throws(ContainerRuntimeError) -> [String] {
        let archive = try ImageArchive(path: file)
        let references = archive.images.map(\.reference)
        guard let first = references.first else { return [] }
        try Self.copy(file, to: "\(path)/\(Self.fileName(first))")
        return references
    }

    /// Writes the pause image into the folder unless it is there already.
    public func addPauseImage() throws(ContainerRuntimeError) {
        let file = "\(path)/\(Self.fileName(PauseImage.reference))"
        let archive = PauseImage.archive()
        if Files.exists(file), try Files.read(file) == archive { return }
        try Files.write(archive, to: file)
    }

    /// Every image in the folder, sorted by reference.
    public func images() -> [ImageArchive.Image] {
        archives().flatMap(\.images).sorted { $0.reference < $1.reference }
    }

    /// Whether the folder has an image.
    public func has(_ image: ImageReference) -> Bool {
        digest(
            registry: image.registry, repository: image.repository,
            reference: image.digest ?? image.tag ?? "latest") != nil
    }

    // MARK: - What the registry asks

    /// The digest that a reference stands for. `localhost/web:1.0`, which is how builders name an image
    /// without a registry, also answers to `web:1.0`.
    package func digest(registry: String, repository: String, reference: String) -> String? {
        let archives = archives()
        if ImageReference.isDigest(reference) {
            return archives.contains { $0.manifestTypes[reference] != nil } ? reference : nil
        }
        var names = ["\(registry)/\(repository):\(reference)"]
        if registry == "docker.io", repository.hasPrefix("library/") {
            names.append("localhost/\(repository.dropFirst("library/".count)):\(reference)")
        }
        for name in names {
            for archive in archives {
                if let image = archive.images.first(where: { $0.reference == name }) { return image.digest }
            }
        }
        return nil
    }

    /// Where a blob lies, and its type when it is a manifest.
    package func blob(_ digest: String) -> (
        path: String, location: ImageArchive.Location, mediaType: String?
    )? {
        for archive in archives() {
            if let location = archive.blobs[digest] {
                return (archive.path, location, archive.manifestTypes[digest])
            }
        }
        return nil
    }

    // MARK: - The folder

    private func archives() -> [ImageArchive] {
        entries.withLock { entries in
            var current: [String: Entry] = [:]
            for name in Files.list(path) where name.hasSuffix(".tar") {
                let file = "\(path)/\(name)"
                var status = stat()
                guard stat(file, &status) == 0 else { continue }
                let signature = Signature(
                    size: Int(status.st_size), seconds: status.st_mtim.tv_sec,
                    nanoseconds: status.st_mtim.tv_nsec)
                if let known = entries[name], known.signature == signature {
                    current[name] = known
                    continue
                }
                do {
                    current[name] = Entry(signature: signature, archive: try ImageArchive(path: file))
                } catch {
                    logger.warning("Left out of the local images: \(error)")
                    current[name] = Entry(signature: signature, archive: nil)
                }
            }
            entries = current
            return current.sorted { $0.key < $1.key }.compactMap(\.value.archive)
        }
    }

    private static func fileName(_ reference: String) -> String {
        let safe = reference.utf8.map { byte -> UInt8 in
            switch byte {
            case 48...57, 65...90, 97...122, 45, 46: byte
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: safe, as: UTF8.self) + ".tar"
    }

    /// Copies beside the target first, so that a reader never sees half an archive.
    private static func copy(_ source: String, to target: String) throws(ContainerRuntimeError) {
        let temporary = "\(target).\(getpid()).part"
        let input = open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else {
            throw ContainerRuntimeError(.io, "Cannot read \(source): \(errorText(errno)).")
        }
        defer { close(input) }
        let output = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard output >= 0 else {
            throw ContainerRuntimeError(.io, "Cannot write \(temporary): \(errorText(errno)).")
        }
        defer { close(output) }
        while true {
            let count = sendfile(output, input, nil, 1 << 30)
            if count == 0 { break }
            guard count > 0 || errno == EINTR else {
                let reason = errorText(errno)
                unlink(temporary)
                throw ContainerRuntimeError(.io, "Cannot copy \(source) to \(target): \(reason).")
            }
        }
        guard rename(temporary, target) == 0 else {
            let reason = errorText(errno)
            unlink(temporary)
            throw ContainerRuntimeError(.io, "Cannot write \(target): \(reason).")
        }
    }
}
