import Netlink

/// Why pods cannot be connected.
public struct PodNetworkError: Error, Sendable, CustomStringConvertible {
    /// What is the matter.
    public enum Code: Sendable, Hashable {
        /// A file could not be read or written; the errno value.
        case file(path: String, errno: Int32)
        /// The kernel refused something.
        case kernel(NetlinkError)
        /// CNI plugins are not installed.
        case missingPlugins([String])
        /// The machine has no address that could be the node's.
        case noAddress
        /// The kernel does not tell any more what others change.
        case notTold
    }

    public let code: Code
    /// What was expected, what was found, and what to do.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String {
        switch code {
        case .kernel(let error): "\(message): \(error)"
        case .file, .missingPlugins, .noAddress, .notTold: message
        }
    }
}
