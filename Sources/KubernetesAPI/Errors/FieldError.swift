import KubernetesJSON

/// What is wrong with one field of an object; the messages are upstream's.
public struct FieldError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The class of the failure; the raw value is the reason in the causes of a Status.
    public enum FailureType: String, Sendable, Hashable {
        case notFound = "FieldValueNotFound"
        case required = "FieldValueRequired"
        case duplicate = "FieldValueDuplicate"
        case invalid = "FieldValueInvalid"
        case notSupported = "FieldValueNotSupported"
        case forbidden = "FieldValueForbidden"
        case tooLong = "FieldValueTooLong"
        case tooMany = "FieldValueTooMany"
        case tooFew = "FieldValueTooFew"
        case tooShort = "FieldValueTooShort"
        case typeInvalid = "FieldValueTypeInvalid"
        case internalError = "InternalError"

        /// The class in words.
        public var text: String {
            switch self {
            case .notFound: return "Not found"
            case .required: return "Required value"
            case .duplicate: return "Duplicate value"
            case .invalid, .typeInvalid: return "Invalid value"
            case .notSupported: return "Unsupported value"
            case .forbidden: return "Forbidden"
            case .tooLong: return "Too long"
            case .tooMany: return "Too many"
            case .tooFew: return "Too few"
            case .tooShort: return "Too short"
            case .internalError: return "Internal error"
            }
        }
    }

    /// The class of the failure.
    public var type: FailureType
    /// The path: `spec.ports[0].port`.
    public var field: String
    /// The value that was found; nil when it is not shown.
    public var badValue: JSONValue?
    /// The value as upstream prints it where that is not JSON: `[]string{"10.96.0.7"}`; it wins over `badValue`.
    public var shownValue: String?
    /// What is expected.
    public var detail: String

    /// Makes an error of its parts.
    public init(
        type: FailureType, field: String, badValue: JSONValue? = nil, shownValue: String? = nil,
        detail: String = ""
    ) {
        self.type = type
        self.field = field
        self.badValue = badValue
        self.shownValue = shownValue
        self.detail = detail
    }

    /// The message without the field.
    public var body: String {
        var text = type.text
        switch type {
        case .required, .forbidden, .tooLong, .tooShort, .internalError: break
        default:
            if let shownValue {
                text += ": \(shownValue)"
                break
            }
            switch badValue {
            case nil: break
            case .string(let value)?: text += ": \(GoText.quoted(value))"
            case .some(let value): text += ": \(value)"
            }
        }
        return detail.isEmpty ? text : "\(text): \(detail)"
    }

    /// The message: `spec.replicas: Invalid value: -1: must be greater than or equal to 0`.
    public var description: String { "\(field): \(body)" }
}

// MARK: - Factories

extension FieldError {
    /// A value that must be there is not.
    public static func required(_ field: String, _ detail: String = "") -> FieldError {
        FieldError(type: .required, field: field, detail: detail)
    }

    /// A value is malformed or out of bounds.
    public static func invalid(_ field: String, _ value: JSONValue, _ detail: String) -> FieldError {
        FieldError(type: .invalid, field: field, badValue: value, detail: detail)
    }

    /// A value is of another type than the field.
    public static func typeInvalid(_ field: String, _ value: JSONValue, _ detail: String) -> FieldError {
        FieldError(type: .typeInvalid, field: field, badValue: value, detail: detail)
    }

    /// A value is none of those known.
    public static func notSupported(_ field: String, _ value: JSONValue, _ supported: [String]) -> FieldError
    {
        let list = supported.map(GoText.quoted).joined(separator: ", ")
        return FieldError(
            type: .notSupported, field: field, badValue: value,
            detail: supported.isEmpty ? "" : "supported values: \(list)")
    }

    /// A value that must be unique is not.
    public static func duplicate(_ field: String, _ value: JSONValue) -> FieldError {
        FieldError(type: .duplicate, field: field, badValue: value)
    }

    /// A value names something that is not there.
    public static func notFound(_ field: String, _ value: JSONValue) -> FieldError {
        FieldError(type: .notFound, field: field, badValue: value)
    }

    /// A value is not allowed here and now.
    public static func forbidden(_ field: String, _ detail: String) -> FieldError {
        FieldError(type: .forbidden, field: field, detail: detail)
    }

    /// A text is longer than so many bytes.
    public static func tooLong(_ field: String, maximum: Int) -> FieldError {
        let unit = maximum == 1 ? "byte" : "bytes"
        let detail = maximum < 0 ? "value is too long" : "may not be more than \(maximum) \(unit)"
        return FieldError(type: .tooLong, field: field, detail: detail)
    }

    /// A list has more elements than allowed.
    public static func tooMany(_ field: String, _ count: Int, maximum: Int) -> FieldError {
        let unit = maximum == 1 ? "item" : "items"
        let detail = maximum < 0 ? "has too many items" : "must have at most \(maximum) \(unit)"
        return FieldError(
            type: .tooMany, field: field, badValue: count < 0 ? nil : .integer(Int64(count)), detail: detail)
    }

    /// Something went wrong that is not the user's doing.
    public static func internalError(_ field: String, _ detail: String) -> FieldError {
        FieldError(type: .internalError, field: field, detail: detail)
    }
}

extension [FieldError] {
    /// All messages as upstream joins them: one alone, several in brackets, each only once.
    public var joinedMessage: String {
        var messages: [String] = []
        for error in self where !messages.contains(error.description) { messages.append(error.description) }
        if messages.count == 1 { return messages[0] }
        return "[\(messages.joined(separator: ", "))]"
    }
}

/// Text as Go prints it.
package enum GoText {
    /// A number with six decimals (`%f`).
    package static func decimal(_ value: Double) -> String {
        guard value.isFinite, value.magnitude < 9e12 else { return value < 0 ? "-Inf" : "+Inf" }
        let millionths = Int((value.magnitude * 1_000_000).rounded(.toNearestOrEven))
        let fraction = "\(millionths % 1_000_000)"
        let zeros = String(repeating: "0", count: 6 - fraction.utf8.count)
        return "\(value < 0 ? "-" : "")\(millionths / 1_000_000).\(zeros)\(fraction)"
    }

    /// The text in double quotes with escapes (strconv.Quote).
    package static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case "\u{07}": output += "\\a"
            case "\u{08}": output += "\\b"
            case "\u{0B}": output += "\\v"
            case "\u{0C}": output += "\\f"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    let digits = String(scalar.value, radix: 16)
                    output += "\\x" + (digits.count < 2 ? "0" : "") + digits
                } else {
                    output.unicodeScalars.append(scalar)
                }
            }
        }
        return output + "\""
    }
}
