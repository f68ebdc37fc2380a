/// What went wrong with certificates, keys and tokens.
public struct PKIError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure that callers tell apart.
    public enum Code: Sendable, Hashable {
        /// A file could not be read or written.
        case file
        /// A certificate, key or token is not what it should be.
        case malformed
        /// A certificate and a key do not belong together.
        case mismatch
        /// A certificate was not issued by the authority, or not for this purpose.
        case untrusted
        /// A certificate or token is not valid yet, or not any more.
        case expired
        /// A token was signed by somebody else, or changed.
        case badSignature
        /// A token was made by another issuer.
        case wrongIssuer
        /// A token was made for somebody else.
        case wrongAudience
        /// Something could not be created.
        case creation
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

    public var description: String {
        guard let cause else { return message }
        return "\(message): \(cause)"
    }
}
