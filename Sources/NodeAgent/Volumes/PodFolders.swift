import CLinux
import ContainerRuntime
import Glibc

/// Where a pod's files are on the node.
package struct PodFolders: Sendable, Hashable {
    /// Persistent files: emptyDir volumes, hosts file, termination messages.
    package var root: String
    /// Files in memory: Secrets, ConfigMaps, tokens.
    package var memoryRoot: String
    /// Log files.
    package var logRoot: String

    package init(root: String, memoryRoot: String, logRoot: String) {
        self.root = root
        self.memoryRoot = memoryRoot
        self.logRoot = logRoot
    }

    package func pod(_ uid: String) -> String { "\(root)/\(uid)" }
    package func memory(_ uid: String) -> String { "\(memoryRoot)/\(uid)" }

    /// The folder of a pod's logs; the name is upstream's, which log collectors rely on.
    package func logs(namespace: String, name: String, uid: String) -> String {
        "\(logRoot)/\(namespace)_\(name)_\(uid)"
    }

    package func terminationMessage(_ uid: String, container: String, attempt: Int) -> String {
        "\(pod(uid))/containers/\(container)/\(attempt)"
    }

    /// Unmounts what is mounted in a pod's folders and removes them.
    package func remove(_ uid: String) throws(ContainerRuntimeError) {
        for folder in [pod(uid), memory(uid)] {
            for mount in RuntimeRemains.mounts(below: folder).reversed() {
                _ = swiftlet_unmount_lazily(mount)
            }
            try Files.remove(folder)
        }
    }

    /// Removes the logs of pods that have the uid.
    package func removeLogs(_ uid: String) {
        for name in Files.list(logRoot) where name.hasSuffix("_\(uid)") {
            try? Files.remove("\(logRoot)/\(name)")
        }
    }

    /// The uids of pods that have a folder.
    package func knownPods() -> Set<String> {
        Set(Files.list(root) + Files.list(memoryRoot))
    }
}
