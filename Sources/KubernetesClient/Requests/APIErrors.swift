import HTTPService
import KubernetesAPI
import KubernetesJSON

/// How to read what is not a success.
enum APIErrors {
    /// The error that a response stands for: the Status in its body, or one made of what there is.
    static func error(status: Int, reason: String, body: [UInt8], request: HTTPRequest) -> APIError {
        if body.first == UInt8(ascii: "{") {
            do throws(JSONError) {
                var found = try Status(json: body)
                if found.code == 0 { found.code = status }
                if !found.message.isEmpty || !found.reason.isEmpty { return APIError(status: found) }
            } catch {
                // Not a Status after all: say what can be said.
            }
        }
        let text = String(decoding: body.prefix(1024), as: UTF8.self)
        return APIError(
            status: Status(
                status: "Failure",
                message:
                    "the server answered \(status) \(reason) to \(request.method.rawValue) \(request.path)\(text.isEmpty ? "" : ": \(text)")",
                reason: Self.reason(status), code: status))
    }

    /// The reason (metav1.StatusReason) that goes with a code.
    static func reason(_ code: Int) -> String {
        switch code {
        case 400: "BadRequest"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "NotFound"
        case 405: "MethodNotAllowed"
        case 406: "NotAcceptable"
        case 409: "Conflict"
        case 410: "Gone"
        case 413: "RequestEntityTooLarge"
        case 415: "UnsupportedMediaType"
        case 422: "Invalid"
        case 429: "TooManyRequests"
        case 503: "ServiceUnavailable"
        case 504: "Timeout"
        case 500...: "InternalError"
        default: "Unknown"
        }
    }
}

/// Whether an object is missing (404).
public func isNotFound(_ error: any Error) -> Bool { code(error) == 404 }

/// Whether an object was there already (409, AlreadyExists).
public func isAlreadyExists(_ error: any Error) -> Bool {
    code(error) == 409 && (error as? APIError)?.status.reason == "AlreadyExists"
}

/// Whether somebody else wrote the object first (409, Conflict).
public func isConflict(_ error: any Error) -> Bool {
    code(error) == 409 && (error as? APIError)?.status.reason != "AlreadyExists"
}

/// Whether a revision is not available any more (410).
public func isExpired(_ error: any Error) -> Bool { code(error) == 410 }

private func code(_ error: any Error) -> Int? { (error as? APIError)?.status.code }
