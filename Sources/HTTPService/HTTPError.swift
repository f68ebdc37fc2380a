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

    /// The system's number (`errno`) for what went wrong, here or in a library; of attempts at several addresses, the
    /// first one's. Nil if it was not the system that failed.
    public static func systemNumber(of error: any Error) -> Int32? {
        switch error {
        case let error as HTTPError: error.cause.flatMap(systemNumber)
        case let error as NIOConnectionError:
            error.connectionErrors.first.flatMap { systemNumber(of: $0.error) }
        case let error as IOError: error.errnoCode
        default: nil
        }
    }

    /// Whether a listening socket could not be opened since somebody else has the address.
    public var isAddressInUse: Bool { code == .bindFailed && Self.systemNumber(of: self) == EADDRINUSE }

    public var description: String {
        guard let cause else { return message }
        // The system's words for its errors; the library's are for its developers.
        let words = Self.systemNumber(of: cause).map { String(cString: strerror($0)) } ?? "\(cause)"
        return "\(message): \(words)"
    }
}
