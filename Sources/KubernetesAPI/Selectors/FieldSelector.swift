/// Which fields an object must have: `metadata.name=web,spec.nodeName!=`. All requirements must hold.
public struct FieldSelector: Sendable, Hashable, CustomStringConvertible {
    /// A condition on one field.
    public struct Requirement: Sendable, Hashable {
        /// The path of the field.
        public var field: String
        /// The value to compare with.
        public var value: String
        /// Whether the field must have the value, or must not.
        public var mustEqual: Bool

        /// Makes a condition of its parts.
        public init(field: String, value: String, mustEqual: Bool = true) {
            self.field = field
            self.value = value
            self.mustEqual = mustEqual
        }
    }

    /// The requirements in the order of the text.
    public var requirements: [Requirement]

    /// Selects everything.
    public static let everything = FieldSelector([])

    /// Makes a selector of requirements.
    public init(_ requirements: [Requirement]) { self.requirements = requirements }

    /// Reads text such as `metadata.name=web,status.phase!=Running`. A backslash takes the meaning from `,`, `=`
    /// and `\` in a value.
    public static func parse(_ text: String) throws(SelectorError) -> FieldSelector {
        var requirements: [Requirement] = []
        for part in terms(Array(text.utf8)) {
            if part.isEmpty { continue }
            let shown = String(decoding: part, as: UTF8.self)
            guard let (field, mustEqual, value) = split(part) else {
                throw SelectorError(message: "invalid selector: '\(shown)'; can't understand '\(shown)'")
            }
            requirements.append(Requirement(field: field, value: try unescape(value), mustEqual: mustEqual))
        }
        return FieldSelector(requirements)
    }

    /// Whether every object is selected.
    public var selectsEverything: Bool { requirements.isEmpty }

    /// Whether an object with these values of selectable fields is selected; an absent one is empty.
    public func matches(_ fields: [String: String]) -> Bool {
        for requirement in requirements
        where (fields[requirement.field, default: ""] == requirement.value) != requirement.mustEqual {
            return false
        }
        return true
    }

    /// The value that a field must have, if it must have one.
    public func exactValue(of field: String) -> String? {
        requirements.first { $0.field == field && $0.mustEqual }?.value
    }

    public var description: String {
        requirements.map { "\($0.field)\($0.mustEqual ? "=" : "!=")\(Self.escape($0.value))" }.joined(
            separator: ",")
    }

    // MARK: Text

    private static func terms(_ bytes: [UInt8]) -> [[UInt8]] {
        var terms: [[UInt8]] = [[]]
        var isEscaped = false
        for byte in bytes {
            if byte == UInt8(ascii: ","), !isEscaped {
                terms.append([])
                continue
            }
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            terms[terms.count - 1].append(byte)
        }
        return terms
    }

    /// Splits at the first `!=`, `==` or `=`.
    private static func split(_ bytes: [UInt8]) -> (String, Bool, [UInt8])? {
        guard let index = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        var end = index
        var start = index + 1
        let mustEqual = !(index > 0 && bytes[index - 1] == UInt8(ascii: "!"))
        if !mustEqual {
            end -= 1
        } else if start < bytes.count, bytes[start] == UInt8(ascii: "=") {
            start += 1
        }
        let field = String(decoding: bytes[..<end], as: UTF8.self)
        return (field, mustEqual, Array(bytes[start...]))
    }

    private static func unescape(_ bytes: [UInt8]) throws(SelectorError) -> String {
        var output: [UInt8] = []
        var isEscaped = false
        for byte in bytes {
            let isSpecial =
                byte == UInt8(ascii: ",") || byte == UInt8(ascii: "=") || byte == UInt8(ascii: "\\")
            if isEscaped {
                guard isSpecial else {
                    let shown = String(decoding: [UInt8(ascii: "\\"), byte], as: UTF8.self)
                    throw SelectorError(message: "invalid escape sequence: \(GoText.quoted(shown))")
                }
                output.append(byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if isSpecial {
                let shown = String(decoding: [byte], as: UTF8.self)
                throw SelectorError(message: "invalid field selector: unescaped \(shown) in value")
            } else {
                output.append(byte)
            }
        }
        if isEscaped { throw SelectorError(message: "invalid field selector: unfinished escape") }
        return String(decoding: output, as: UTF8.self)
    }

    private static func escape(_ value: String) -> String {
        var output = ""
        // Not by characters: a comma with an accent on it would be one, and still end the value.
        for scalar in value.unicodeScalars {
            if scalar == "," || scalar == "=" || scalar == "\\" { output += "\\" }
            output.unicodeScalars.append(scalar)
        }
        return output
    }
}
