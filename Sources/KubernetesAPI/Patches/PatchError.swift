/// Why a patch cannot be applied.
public struct PatchError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The class of the failure.
    public enum Code: Sendable, Hashable {
        /// The patch itself makes no sense: the answer is 400.
        case malformed
        /// The patch does not fit the object: the answer is 422.
        case rejected
        /// The patch holds more than it may: the answer is 413.
        case tooLarge
        /// The patch stumbled over what upstream has no class for: the answer is 500.
        case failed
    }

    /// The class of the failure.
    public var code: Code
    /// What was expected and what was found.
    public var message: String

    /// Makes an error of its parts.
    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
