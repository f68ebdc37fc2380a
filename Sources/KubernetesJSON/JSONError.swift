/// Why bytes could not be read as JSON, or as the type that was asked for.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The class of the failure.
    public enum Code: Sendable, Hashable {
        /// The bytes are not JSON (RFC 8259).
        case syntax
        /// The bytes end before the value does.
        case unexpectedEnd
        /// The bytes are not UTF-8.
        case invalidUTF8
        /// Arrays and objects are nested deeper than the reader allows.
        case tooDeep
        /// The value is JSON of another type than the one asked for.
        case typeMismatch
        /// The number does not fit the type asked for.
        case outOfRange
        /// The text of a string is not what the type requires (a time, a quantity, base64 …).
        case invalidValue
    }

    /// The class of the failure.
    public var code: Code
    /// What was expected and what was found.
    public var message: String
    /// Where, in bytes from the beginning of the document.
    public var offset: Int

    /// Makes an error from its parts.
    public init(code: Code, message: String, offset: Int) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    public var description: String { "\(message) (at byte \(offset))" }
}
