/// What went wrong in the container runtime room, in words for the person who runs Swiftlet.
public struct ContainerRuntimeError: Error, Sendable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// A program that is needed is not installed.
        case missingProgram
        /// Neither OCI runtime can run a container here.
        case noUsableRuntime
        /// containerd could not be started, or ended again and again.
        case containerdFailed
        /// A file or folder cannot be read or written.
        case io
        /// A file is no image archive, or a damaged one.
        case badArchive
        /// An image reference is not well formed.
        case badReference
        /// The image registry's port cannot be opened.
        case registryFailed
    }

    public var code: Code
    /// What was expected, what was found, what to do next.
    public var message: String
    public var cause: (any Error)?

    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { cause.map { "\(message) (\($0))" } ?? message }
}
