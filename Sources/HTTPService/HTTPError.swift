import Glibc
import NIOCore
import NIOPosix

/// What went wrong while speaking HTTP, on either side of the connection.
public struct HTTPError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure that callers tell apart.
    public enum Code: Sendable, Hashable {
        /// No connection could be made (refused, unreachable, unknown host, no such socket).
        case connectFailed
        /// The TLS handshake failed, or a certificate or key could not be used.
        case tls
        /// The other side closed the connection or reset the stream before the message was complete.
        case connectionClosed
        /// The other side sent something that is not HTTP.
        case malformed
        /// A body is larger than its reader accepts (answer 413).
        case bodyTooLarge
        /// Something did not happen in the time allowed for it.
        case timeout
        /// A listening socket could not be opened.
        case bindFailed
        /// The client or server was closed and takes no more work.
        case closed
        /// The configuration or the request cannot be used as it is.
        case invalid
    }

    /// The kind of failure.
    public var code: Code
    /// What was expected, what was found, what to do next.
    public var message: String
    /// The failure below this one, if there is one.
    public var cause: (any Error)?

    /// Describes a failure.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// Whether a listening socket could not be opened since somebody else has the address.
    public var isAddressInUse: Bool { code == .bindFailed && (cause as? IOError)?.errnoCode == EADDRINUSE }

    public var description: String {
        guard let cause else { return message }
        return "\(message): \(Self.words(cause))"
    }

    /// The system's words for its errors; the library's are for its developers.
    private static func words(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError where !error.connectionErrors.isEmpty:
            error.connectionErrors.map { words($0.error) }.joined(separator: "; ")
        default: "\(error)"
        }
    }
}
