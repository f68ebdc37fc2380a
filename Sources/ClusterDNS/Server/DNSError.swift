/// Why the DNS server could not do what it was asked for.
public struct DNSError: Error, Sendable {
    public enum Code: Sendable, Hashable {
        /// The configuration cannot be right.
        case invalidConfiguration
        /// An address cannot be listened on.
        case cannotListen
        /// A question to explain cannot be read.
        case invalidQuestion
    }

    public let code: Code
    /// What was expected, what was found and what to do.
    public let message: String
    public let cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }
}

extension DNSError: CustomStringConvertible {
    public var description: String { cause.map { "\(message): \($0)" } ?? message }
}
