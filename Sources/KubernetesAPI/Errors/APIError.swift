/// A request that failed, as the Status the client is told; codes, reasons and messages are upstream's.
public struct APIError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the client is told.
    public var status: Status

    /// Makes an error of a Status.
    public init(status: Status) { self.status = status }

    /// Makes an error of its parts.
    public init(code: Int, reason: String, message: String, details: StatusDetails? = nil) {
        status = Status(status: "Failure", message: message, reason: reason, details: details, code: code)
    }

    /// The HTTP status.
    public var code: Int { status.code }
    /// The outcome in one word for programs.
    public var reason: String { status.reason }
    public var description: String { status.message }

    /// Whether the object is not there.
    public var isNotFound: Bool { reason == "NotFound" }
    /// Whether the object is there already.
    public var isAlreadyExists: Bool { reason == "AlreadyExists" }
    /// Whether the object was changed in between.
    public var isConflict: Bool { reason == "Conflict" }
    /// Whether the version asked for is no longer kept.
    public var isExpired: Bool { reason == "Expired" || reason == "Gone" }
}

// MARK: - About an object

extension APIError {
    private static func details(_ kind: ResourceKind, _ name: String) -> StatusDetails {
        StatusDetails(name: name, group: kind.group, kind: kind.plural)
    }

    /// The object is not there.
    public static func notFound(_ kind: ResourceKind, _ name: String) -> APIError {
        APIError(
            code: 404, reason: "NotFound", message: "\(kind.groupResource) \(GoText.quoted(name)) not found",
            details: details(kind, name))
    }

    /// An object of that name is there already.
    public static func alreadyExists(_ kind: ResourceKind, _ name: String) -> APIError {
        APIError(
            code: 409, reason: "AlreadyExists",
            message: "\(kind.groupResource) \(GoText.quoted(name)) already exists",
            details: details(kind, name))
    }

    /// No free name was found for a generated one.
    public static func generatedNameConflict(_ kind: ResourceKind, _ name: String) -> APIError {
        APIError(
            code: 409, reason: "AlreadyExists",
            message: "\(kind.groupResource) \(GoText.quoted(name)) already exists, "
                + "the server was not able to generate a unique name for the object",
            details: details(kind, name))
    }

    /// The message of a conflict with a change in between.
    public static let modifiedMessage =
        "the object has been modified; please apply your changes to the latest version and try again"

    /// The object was changed in between, or is not what the request requires.
    public static func conflict(
        _ kind: ResourceKind, _ name: String, _ message: String = modifiedMessage
    ) -> APIError {
        APIError(
            code: 409, reason: "Conflict",
            message:
                "Operation cannot be fulfilled on \(kind.groupResource) \(GoText.quoted(name)): \(message)",
            details: details(kind, name))
    }

    /// Others manage fields that an apply sets.
    public static func applyConflict(_ message: String, causes: [StatusCause]) -> APIError {
        APIError(code: 409, reason: "Conflict", message: message, details: StatusDetails(causes: causes))
    }

    /// The object breaks rules of its kind.
    public static func invalid(_ kind: ResourceKind, _ name: String, _ errors: [FieldError]) -> APIError {
        let causes = errors.map { StatusCause(reason: $0.type.rawValue, message: $0.body, field: $0.field) }
        return APIError(
            code: 422, reason: "Invalid",
            message: "\(kind.groupKind) \(GoText.quoted(name)) is invalid: \(errors.joinedMessage)",
            details: StatusDetails(name: name, group: kind.group, kind: kind.kind, causes: causes))
    }

    /// The user may not do this. Without a name the message speaks of the resource.
    public static func forbidden(_ kind: ResourceKind, _ name: String, _ message: String) -> APIError {
        var subject = kind.groupResource
        if !name.isEmpty { subject += " \(GoText.quoted(name))" }
        return APIError(
            code: 403, reason: "Forbidden",
            message: kind.plural.isEmpty && name.isEmpty
                ? "forbidden: \(message)" : "\(subject) is forbidden: \(message)",
            details: details(kind, name))
    }

    /// The resource does not support this action.
    public static func methodNotAllowed(_ kind: ResourceKind, _ action: String) -> APIError {
        APIError(
            code: 405, reason: "MethodNotAllowed",
            message: "\(action) is not supported on resources of kind \(GoText.quoted(kind.groupResource))",
            details: details(kind, ""))
    }

    /// The action took too long inside the server and may be tried again.
    public static func serverTimeout(_ kind: ResourceKind, _ action: String, retryAfter seconds: Int)
        -> APIError
    {
        var details = details(kind, "")
        details.retryAfterSeconds = seconds
        return APIError(
            code: 500, reason: "ServerTimeout",
            message:
                "The \(action) operation against \(kind.groupResource) could not be completed at this time, "
                + "please try again.", details: details)
    }
}

// MARK: - About the request

extension APIError {
    /// The request makes no sense.
    public static func badRequest(_ message: String) -> APIError {
        APIError(code: 400, reason: "BadRequest", message: message)
    }

    /// A patch cannot be applied as it is: the answer to a failed JSON patch.
    public static let rejectedPatch = APIError(
        code: 422, reason: "Invalid",
        message: "the server rejected our request due to an error in our request")

    /// Nobody knows who the user is.
    public static func unauthorized(_ message: String = "Unauthorized") -> APIError {
        APIError(code: 401, reason: "Unauthorized", message: message)
    }

    /// Nothing is served at the path.
    public static let resourceNotFound = APIError(
        code: 404, reason: "NotFound", message: "the server could not find the requested resource",
        details: StatusDetails())

    /// The path does not allow this HTTP method.
    public static let methodNotAllowed = APIError(
        code: 405, reason: "MethodNotAllowed",
        message: "the server does not allow this method on the requested resource", details: StatusDetails())

    /// The version asked for is no longer kept; lists and watches start again.
    public static func expired(_ message: String) -> APIError {
        APIError(code: 410, reason: "Expired", message: message)
    }

    /// What was asked for is gone for good.
    public static func gone(_ message: String) -> APIError {
        APIError(code: 410, reason: "Gone", message: message)
    }

    /// The body is of a type the server does not read.
    public static func unsupportedMediaType(_ accepted: [String]) -> APIError {
        APIError(
            code: 415, reason: "UnsupportedMediaType",
            message: "the body of the request was in an unknown format - accepted media types include: "
                + accepted.joined(separator: ", "))
    }

    /// The client accepts no type the server writes.
    public static func notAcceptable(_ offered: [String]) -> APIError {
        notAcceptable("only the following media types are accepted: " + offered.joined(separator: ", "))
    }

    /// What is there cannot be written as the client wants it.
    public static func notAcceptable(_ message: String) -> APIError {
        APIError(code: 406, reason: "NotAcceptable", message: message)
    }

    /// The body is too large.
    public static func requestEntityTooLarge(_ message: String) -> APIError {
        APIError(
            code: 413, reason: "RequestEntityTooLarge", message: "Request entity too large: \(message)")
    }

    /// The request took too long.
    public static func timeout(_ message: String, retryAfter seconds: Int = 0) -> APIError {
        APIError(
            code: 504, reason: "Timeout", message: "Timeout: \(message)",
            details: StatusDetails(retryAfterSeconds: seconds))
    }

    /// There are too many requests.
    public static func tooManyRequests(_ message: String, retryAfter seconds: Int = 1) -> APIError {
        APIError(
            code: 429, reason: "TooManyRequests", message: message,
            details: StatusDetails(retryAfterSeconds: seconds))
    }

    /// The server, or what it needs, is not there for now.
    public static func serviceUnavailable(_ message: String) -> APIError {
        APIError(code: 503, reason: "ServiceUnavailable", message: message)
    }

    /// The server failed.
    public static func internalError(_ message: String) -> APIError {
        APIError(
            code: 500, reason: "InternalError", message: "Internal error occurred: \(message)",
            details: StatusDetails(causes: [StatusCause(message: message)]))
    }
}
