import Glibc

/// Why a cluster could not be started, looked at or taken down.
public struct ClusterError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: Sendable, Equatable {
        case notRoot
        case alreadyRunning
        case notRunning
        case portInUse
        case programMissing
        case kernelFeatureMissing
        case badConfiguration
        case kubeconfig
        case startFailed
        case system
    }

    public var code: Code
    /// What was expected, what was found, and what to do next.
    public var message: String
    /// The failure underneath, if there is one.
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The failure of the system call that has just been made, told by `errno`.
    static func system(_ what: String) -> ClusterError {
        ClusterError(.system, "Could not \(what): \(String(cString: strerror(errno))).")
    }

    public var description: String {
        guard let cause else { return message }
        return "\(message) (\(cause))"
    }
}
