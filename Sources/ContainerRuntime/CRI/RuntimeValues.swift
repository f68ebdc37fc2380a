/// What is put into a sandbox: the message of the Container Runtime Interface itself.
package typealias SandboxConfiguration = Runtime_V1_PodSandboxConfig
/// What a container is made of: the message of the Container Runtime Interface itself.
package typealias ContainerConfiguration = Runtime_V1_ContainerConfig

/// The labels that every sandbox and container of a pod carries, by which they are found again.
public enum RuntimeLabel {
    public static let podName = "io.kubernetes.pod.name"
    public static let podNamespace = "io.kubernetes.pod.namespace"
    public static let podUID = "io.kubernetes.pod.uid"
    public static let containerName = "io.kubernetes.container.name"
}

/// Which runtime answers.
public struct RuntimeVersion: Sendable, Hashable {
    public var name: String
    public var version: String

    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}

/// Whether the runtime can run pods: both conditions of CRI'"'"'s `Status`.
public struct RuntimeReadiness: Sendable, Hashable {
    public var isRuntimeReady: Bool
    public var isNetworkReady: Bool
    /// What the runtime says about a condition that does not hold.
    public var message: String

    public init(isRuntimeReady: Bool, isNetworkReady: Bool, message: String = "") {
        self.isRuntimeReady = isRuntimeReady
        self.isNetworkReady = isNetworkReady
        self.message = message
    }
}

/// A sandbox as the runtime sees it.
public struct SandboxObservation: Sendable, Hashable {
    public var id: String
    public var podName: String
    public var podNamespace: String
    public var podUID: String
    /// How many sandboxes the pod had before this one.
    public var attempt: Int
    /// False after a stop, and after a reboot.
    public var isReady: Bool
    /// Nanoseconds since 1970.
    public var createdAt: Int64
    /// The pod'"'"'s addresses, the first one first; only `sandboxStatus` fills them, a list does not.
    public var addresses: [String]
    public var labels: [String: String]
    public var annotations: [String: String]

    public init(
        id: String, podName: String, podNamespace: String, podUID: String, attempt: Int = 0, isReady: Bool,
        createdAt: Int64 = 0, addresses: [String] = [], labels: [String: String] = [:],
        annotations: [String: String] = [:]
    ) {
        self.id = id
        self.podName = podName
        self.podNamespace = podNamespace
        self.podUID = podUID
        self.attempt = attempt
        self.isReady = isReady
        self.createdAt = createdAt
        self.addresses = addresses
        self.labels = labels
        self.annotations = annotations
    }
}

/// A container as the runtime sees it.
public struct ContainerObservation: Sendable, Hashable {
    public enum State: Sendable, Hashable { case created, running, exited, unknown }

    public var id: String
    public var name: String
    /// How many containers of this name the pod had before this one.
    public var attempt: Int
    public var sandboxID: String
    public var state: State
    /// Nanoseconds since 1970; zero when it has not happened, and in a list.
    public var createdAt: Int64
    public var startedAt: Int64
    public var finishedAt: Int64
    public var exitCode: Int
    /// `Completed`, `Error`, `OOMKilled`, … when it has ended.
    public var reason: String
    public var message: String
    /// The image as it was asked for.
    public var image: String
    /// The image as it was found: a digest reference.
    public var imageReference: String
    public var labels: [String: String]
    public var annotations: [String: String]
    public var logPath: String

    public init(
        id: String, name: String, attempt: Int = 0, sandboxID: String = "", state: State,
        createdAt: Int64 = 0,
        startedAt: Int64 = 0, finishedAt: Int64 = 0, exitCode: Int = 0, reason: String = "",
        message: String = "", image: String = "", imageReference: String = "", labels: [String: String] = [:],
        annotations: [String: String] = [:], logPath: String = ""
    ) {
        self.id = id
        self.name = name
        self.attempt = attempt
        self.sandboxID = sandboxID
        self.state = state
        self.createdAt = createdAt
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.exitCode = exitCode
        self.reason = reason
        self.message = message
        self.image = image
        self.imageReference = imageReference
        self.labels = labels
        self.annotations = annotations
        self.logPath = logPath
    }
}

/// What a command in a container did.
public struct ExecResult: Sendable, Hashable {
    public var exitCode: Int
    public var output: [UInt8]
    public var errorOutput: [UInt8]

    public init(exitCode: Int, output: [UInt8] = [], errorOutput: [UInt8] = []) {
        self.exitCode = exitCode
        self.output = output
        self.errorOutput = errorOutput
    }
}

/// An image in the runtime'"'"'s store.
public struct ImageObservation: Sendable, Hashable {
    /// The digest of its configuration.
    public var id: String
    public var tags: [String]
    public var digests: [String]
    /// Bytes on disk.
    public var size: Int
    /// The numeric user it runs as, when it names one.
    public var userID: Int64?
    /// The user name it runs as, when it names one by name.
    public var userName: String

    public init(
        id: String, tags: [String] = [], digests: [String] = [], size: Int = 0, userID: Int64? = nil,
        userName: String = ""
    ) {
        self.id = id
        self.tags = tags
        self.digests = digests
        self.size = size
        self.userID = userID
        self.userName = userName
    }
}

/// Credentials for a registry.
public struct RegistryCredentials: Sendable, Hashable {
    public var userName: String
    public var password: String
    /// Where they are for, such as `registry.example.com`.
    public var server: String

    public init(userName: String, password: String, server: String = "") {
        self.userName = userName
        self.password = password
        self.server = server
    }
}

/// Which of a streaming connection'"'"'s channels are wanted.
public struct StreamChannels: Sendable, Hashable {
    public var stdin: Bool
    public var stdout: Bool
    public var stderr: Bool
    public var tty: Bool

    public init(stdin: Bool, stdout: Bool, stderr: Bool, tty: Bool) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.tty = tty
    }
}

/// Something that happened to a container without being asked for.
public enum RuntimeEvent: Sendable, Hashable {
    /// The main process of a container or of a sandbox ended; `id` is the one or the other'"'"'s.
    case exited(id: String, exitCode: Int)
    /// The kernel killed a process for lack of memory.
    case outOfMemory(id: String)
    /// Events may have been missed (the connection was new or lost): look at everything again.
    case mayHaveMissed
}
