/// A kind whose empty fields mean something: the API server fills them in before it validates and stores.
public protocol Defaulting {
    /// Fills in every field that upstream fills in when nobody says otherwise; doing it twice changes nothing.
    ///
    /// Values that need more than the object itself (addresses, node ports, priorities, tokens) are not set here:
    /// they are the work of allocation and admission.
    mutating func applyDefaults()
}

/// A kind that has rules; the messages are upstream's, for clients compare them.
public protocol Validating {
    /// What is wrong with a new object, defaults applied and its name made; empty when nothing is.
    func validate() -> [FieldError]
    /// What is wrong with this object as the successor of another one; includes what is wrong with it by itself.
    func validateUpdate(from old: Self) -> [FieldError]
    /// What is wrong with this object when only its status was to change.
    func validateStatusUpdate(from old: Self) -> [FieldError]
}

extension Validating where Self: KubernetesObject {
    /// The rules on metadata, which hold for every kind.
    public func validateStatusUpdate(from old: Self) -> [FieldError] {
        metadata.validateUpdate(from: old.metadata)
    }
}

/// The path of a field within an object: `spec.ports[0].port`.
struct RulePath: Sendable, ExpressibleByStringLiteral {
    /// The path as text.
    let text: String

    init(_ text: String) { self.text = text }
    init(stringLiteral value: String) { text = value }

    /// A member of this field.
    func child(_ name: String) -> RulePath { RulePath(text.isEmpty ? name : text + "." + name) }
    /// An element of this list.
    func index(_ index: Int) -> RulePath { RulePath("\(text)[\(index)]") }
    /// An entry of this map.
    func key(_ key: String) -> RulePath { RulePath("\(text)[\(key)]") }
}

// MARK: - Collecting findings

extension [FieldError] {
    mutating func required(_ path: RulePath, _ detail: String = "") {
        append(.required(path.text, detail))
    }

    mutating func forbidden(_ path: RulePath, _ detail: String) {
        append(.forbidden(path.text, detail))
    }

    mutating func duplicate(_ path: RulePath, _ value: String) {
        append(.duplicate(path.text, .string(value)))
    }

    mutating func notFound(_ path: RulePath, _ value: String) {
        append(.notFound(path.text, .string(value)))
    }

    mutating func tooLong(_ path: RulePath, maximum: Int) {
        append(.tooLong(path.text, maximum: maximum))
    }

    mutating func tooMany(_ path: RulePath, _ count: Int, maximum: Int) {
        append(.tooMany(path.text, count, maximum: maximum))
    }

    mutating func invalid(_ path: RulePath, _ value: String, _ detail: String) {
        append(.invalid(path.text, .string(value), detail))
    }

    mutating func invalid(_ path: RulePath, _ value: Int, _ detail: String) {
        append(.invalid(path.text, .integer(Int64(value)), detail))
    }

    mutating func invalid(_ path: RulePath, _ value: Bool, _ detail: String) {
        append(.invalid(path.text, .bool(value), detail))
    }

    /// A value that is a structure; it is shown as Go prints it.
    mutating func invalid(_ path: RulePath, shown: String, _ detail: String) {
        append(FieldError(type: .invalid, field: path.text, shownValue: shown, detail: detail))
    }

    /// One finding for each message about the same value.
    mutating func invalid(_ path: RulePath, _ value: String, messages: [String]) {
        for message in messages { invalid(path, value, message) }
    }

    /// The value must be one of those supported, which are listed in the order given.
    mutating func requireOneOf(_ path: RulePath, _ value: String, _ supported: [String]) {
        if !supported.contains(value) { append(.notSupported(path.text, .string(value), supported)) }
    }

    /// Like `requireOneOf`, and an empty value is reported as missing.
    mutating func requireNamed(_ path: RulePath, _ value: String, _ supported: [String]) {
        if value.isEmpty { required(path) } else { requireOneOf(path, value, supported) }
    }

    /// The value may not be below 0.
    mutating func requireNonnegative(_ path: RulePath, _ value: Int) {
        if value < 0 { invalid(path, value, "must be greater than or equal to 0") }
    }

    /// The value must be within bounds, both included.
    mutating func requireRange(_ path: RulePath, _ value: Int, _ range: ClosedRange<Int>) {
        if !range.contains(value) { invalid(path, value, RuleText.range(range)) }
    }

    /// The value may not change.
    mutating func requireUnchanged(_ path: RulePath, _ new: String, _ old: String) {
        if new != old { invalid(path, new, RuleText.immutable) }
    }
}

/// Messages that many rules share.
enum RuleText {
    static let immutable = "field is immutable"
    static let ports = 1...65535

    static func range(_ range: ClosedRange<Int>) -> String {
        "must be between \(range.lowerBound) and \(range.upperBound), inclusive"
    }

    static func maximumLength(_ length: Int) -> String { "must be no more than \(length) characters" }

    /// The message of a value that does not have the form of a pattern.
    static func pattern(_ message: String, _ pattern: String, _ examples: String...) -> String {
        if examples.isEmpty { return "\(message) (regex used for validation is '\(pattern)')" }
        let list = examples.map { "'\($0)', " }.joined(separator: " or ")
        return "\(message) (e.g. \(list)regex used for validation is '\(pattern)')"
    }
}
