import CLinux
import ContainerRuntime
import Glibc
import KubernetesAPI
import KubernetesClient
import Synchronization

/// Makes a pod's volumes and keeps those made of API objects current.
package struct VolumeManager: Sendable {
    package var client: KubernetesClient
    package var folders: PodFolders
    package var clock: AgentClock
    private let tokens = TokenCache()

    package init(client: KubernetesClient, folders: PodFolders, clock: AgentClock) {
        self.client = client
        self.folders = folders
        self.clock = clock
    }

    /// Makes or refreshes all volumes of a pod; returns their folders by volume name.
    ///
    /// Throws `ContainerConfigurationError` with upstream's words, naming the volume.
    package func prepare(_ facts: DownwardAPI) async throws -> [String: String] {
        var paths: [String: String] = [:]
        for volume in facts.pod.spec.volumes {
            do {
                paths[volume.name] = try await prepare(volume, facts)
            } catch {
                throw ContainerConfigurationError(
                    "MountVolume.SetUp failed for volume \"\(volume.name)\" : \(Self.text(error))")
            }
        }
        return paths
    }

    private static func text(_ error: any Error) -> String {
        (error as? APIError)?.status.message ?? "\(error)"
    }

    private func prepare(_ volume: Volume, _ facts: DownwardAPI) async throws -> String {
        let pod = facts.pod
        let group = pod.spec.securityContext?.fsGroup
        let inMemory = "\(folders.memory(pod.metadata.uid))/volumes/\(volume.name)"
        if let source = volume.hostPath { return try hostPath(source) }
        if let source = volume.emptyDir { return try emptyDirectory(source, volume.name, pod, group: group) }
        var files = VolumeFiles()
        if let source = volume.configMap {
            try await add(
                configMap: source.name, items: source.items, mode: source.defaultMode ?? 0o644,
                optional: source.optional ?? false, pod.metadata.namespace, to: &files)
        } else if let source = volume.secret {
            try await add(
                secret: source.secretName, items: source.items, mode: source.defaultMode ?? 0o644,
                optional: source.optional ?? false, pod.metadata.namespace, to: &files)
        } else if let source = volume.downwardAPI {
            try files.add(source.items, mode: source.defaultMode ?? 0o644, facts: facts)
        } else if let source = volume.projected {
            try await add(source, facts, to: &files)
        } else {
            throw ContainerConfigurationError(
                "no volume plugin matched: this kind of volume is not supported here")
        }
        try files.write(to: inMemory, group: group)
        return inMemory
    }

    // MARK: - Folders

    private func emptyDirectory(
        _ source: EmptyDirVolumeSource, _ name: String, _ pod: Pod, group: Int?
    ) throws -> String {
        let path = "\(folders.pod(pod.metadata.uid))/volumes/\(name)"
        let isNew = !Files.isFolder(path)
        try Files.createFolder(path)
        if source.medium == "Memory",
            !RuntimeRemains.mounts(below: folders.pod(pod.metadata.uid)).contains(path)
        {
            // mount -t tmpfs -o size=…,mode=1777 tmpfs PATH
            let size = source.sizeLimit.map { ",size=\($0.value)" } ?? ""
            let result = swiftlet_mount(
                "tmpfs", path, "tmpfs", UInt(MS_NOSUID | MS_NODEV), "mode=1777\(size)")
            guard result == 0 else {
                throw ContainerConfigurationError("mounting tmpfs on \(path): \(errorText(-result))")
            }
        }
        if isNew {
            chmod(path, 0o777)
            if let group {
                chown(path, uid_t.max, gid_t(truncatingIfNeeded: group))
                chmod(path, 0o2777)
            }
        }
        return path
    }

    private func hostPath(_ source: HostPathVolumeSource) throws -> String {
        var status = stat()
        let exists = stat(source.path, &status) == 0
        let kind = status.st_mode & S_IFMT
        func refuse(_ what: String) -> ContainerConfigurationError {
            ContainerConfigurationError("hostPath type check failed: \(source.path) is not \(what)")
        }
        switch source.type ?? "" {
        case "DirectoryOrCreate":
            if !exists {
                try Files.createFolder(source.path)
            } else if kind != S_IFDIR {
                throw refuse("a directory")
            }
        case "Directory": if !exists || kind != S_IFDIR { throw refuse("a directory") }
        case "FileOrCreate":
            if !exists {
                try Files.write([], to: source.path)
            } else if kind != S_IFREG {
                throw refuse("a file")
            }
        case "File": if !exists || kind != S_IFREG { throw refuse("a file") }
        case "Socket": if !exists || kind != S_IFSOCK { throw refuse("a socket file") }
        case "CharDevice": if !exists || kind != S_IFCHR { throw refuse("a character device") }
        case "BlockDevice": if !exists || kind != S_IFBLK { throw refuse("a block device") }
        // With no type nothing is checked; a folder is made where nothing is, as Docker did.
        default: if !exists { try Files.createFolder(source.path) }
        }
        return source.path
    }

    // MARK: - API objects

    private func add(
        configMap name: String, items: [KeyToPath], mode: Int, optional: Bool, _ namespace: String,
        to files: inout VolumeFiles
    ) async throws {
        do {
            let map = try await client.get(ConfigMap.self, name: name, namespace: namespace)
            let data = map.data.mapValues { Array($0.utf8) }.merging(map.binaryData) { text, _ in text }
            try files.add(data, items: items, mode: mode, optional: optional)
        } catch  where isNotFound(error) && optional {
            return
        }
    }

    private func add(
        secret name: String, items: [KeyToPath], mode: Int, optional: Bool, _ namespace: String,
        to files: inout VolumeFiles
    ) async throws {
        do {
            let secret = try await client.get(Secret.self, name: name, namespace: namespace)
            try files.add(secret.data, items: items, mode: mode, optional: optional)
        } catch  where isNotFound(error) && optional {
            return
        }
    }

    private func add(
        _ source: ProjectedVolumeSource, _ facts: DownwardAPI, to files: inout VolumeFiles
    ) async throws {
        let mode = source.defaultMode ?? 0o644
        let namespace = facts.pod.metadata.namespace
        for projection in source.sources {
            if let map = projection.configMap {
                try await add(
                    configMap: map.name, items: map.items, mode: mode, optional: map.optional ?? false,
                    namespace,
                    to: &files)
            } else if let secret = projection.secret {
                try await add(
                    secret: secret.name, items: secret.items, mode: mode, optional: secret.optional ?? false,
                    namespace, to: &files)
            } else if let fields = projection.downwardAPI {
                try files.add(fields.items, mode: mode, facts: facts)
            } else if let token = projection.serviceAccountToken {
                let text = try await serviceAccountToken(token, facts.pod)
                try files.add(token.path, Array(text.utf8), mode: mode)
            } else {
                throw ContainerConfigurationError("a source of this kind is not supported here")
            }
        }
    }

    /// A token bound to the pod; asked for again when four fifths of its time are over.
    private func serviceAccountToken(_ projection: ServiceAccountTokenProjection, _ pod: Pod) async throws
        -> String
    {
        let account = pod.spec.serviceAccountName.isEmpty ? "default" : pod.spec.serviceAccountName
        let key = TokenCache.Key(pod: pod.metadata.uid, account: account, audience: projection.audience)
        let now = Int(clock.wallNanoseconds() / 1_000_000_000)
        if let token = tokens.get(key, now: now) { return token }
        let seconds = projection.expirationSeconds ?? 3600
        var request = TokenRequest()
        request.spec.audiences = projection.audience.isEmpty ? [] : [projection.audience]
        request.spec.expirationSeconds = seconds
        request.spec.boundObjectRef = BoundObjectReference(
            kind: "Pod", apiVersion: "v1", name: pod.metadata.name, uid: pod.metadata.uid)
        let answer: TokenRequest = try await client.createSubresource(
            of: ServiceAccount.self, name: account, namespace: pod.metadata.namespace, subresource: "token",
            body: request)
        tokens.set(key, answer.status.token, refreshAt: now + seconds * 4 / 5)
        return answer.status.token
    }

    /// Forgets what belonged to a pod.
    package func forget(_ uid: String) { tokens.forget(uid) }

    // MARK: - Mounts

    /// A container's mounts: volumes, hosts file, termination message.
    package func mounts(
        _ container: Container, attempt: Int, facts: DownwardAPI, volumes: [String: String],
        variables: [(name: String, value: String)], hosts: String
    ) throws -> [ContainerMount] {
        let uid = facts.pod.metadata.uid
        let values = Dictionary(variables.map { ($0.name, $0.value) }) { _, last in last }
        var mounts: [ContainerMount] = []
        for mount in container.volumeMounts {
            guard let base = volumes[mount.name] else {
                throw ContainerConfigurationError(
                    "volume \"\(mount.name)\" of the mount at \(mount.mountPath) not found")
            }
            let subPath =
                mount.subPathExpr.isEmpty ? mount.subPath : Expansion.expand(mount.subPathExpr) { values[$0] }
            let path = subPath.isEmpty ? base : try Self.inside(base, subPath)
            mounts.append(
                ContainerMount(
                    containerPath: mount.mountPath.hasPrefix("/") ? mount.mountPath : "/\(mount.mountPath)",
                    hostPath: path, isReadOnly: mount.readOnly, propagation: mount.mountPropagation ?? "None")
            )
        }
        if !mounts.contains(where: { $0.containerPath == "/etc/hosts" }) {
            mounts.append(ContainerMount(containerPath: "/etc/hosts", hostPath: hosts))
        }
        let messagePath = container.terminationMessagePath
        if !messagePath.isEmpty {
            let file = folders.terminationMessage(uid, container: container.name, attempt: attempt)
            if let slash = file.lastIndex(of: "/") { try Files.createFolder(String(file[..<slash])) }
            // Whatever user the container runs as may write its message.
            try Files.write([], to: file, mode: 0o666)
            mounts.append(ContainerMount(containerPath: messagePath, hostPath: file))
        }
        return mounts
    }

    /// A path inside a volume; made when it is missing. Symbolic links must not lead out of the volume.
    private static func inside(_ base: String, _ subPath: String) throws -> String {
        guard !subPath.hasPrefix("/"), !subPath.split(separator: "/").contains("..") else {
            throw ContainerConfigurationError(
                "subPath \"\(subPath)\" must be relative and must not contain '..'")
        }
        let path = "\(base)/\(subPath)"
        if !Files.exists(path) { try Files.createFolder(path) }
        guard let real = realPath(path), let root = realPath(base), real == root || real.hasPrefix(root + "/")
        else {
            throw ContainerConfigurationError("subPath \"\(subPath)\" leads out of the volume")
        }
        return real
    }

    private static func realPath(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}

/// Tokens by pod, until they are to be renewed.
private final class TokenCache: Sendable {
    struct Key: Hashable, Sendable {
        var pod: String
        var account: String
        var audience: String
    }
    private let entries = Mutex<[Key: (token: String, refreshAt: Int)]>([:])

    func get(_ key: Key, now: Int) -> String? {
        entries.withLock { entries in entries[key].flatMap { $0.refreshAt > now ? $0.token : nil } }
    }
    func set(_ key: Key, _ token: String, refreshAt: Int) {
        entries.withLock { $0[key] = (token, refreshAt) }
    }
    func forget(_ pod: String) {
        entries.withLock { entries in entries = entries.filter { $0.key.pod != pod } }
    }
}
