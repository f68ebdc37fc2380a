/// What label keys and values may look like; the messages are upstream's.
enum LabelSyntax {
    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            return true
        default: return false
        }
    }

    /// Letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit.
    private static func isName(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        guard isAlphanumeric(first), isAlphanumeric(last) else { return false }
        return text.utf8.allSatisfy {
            isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
                || $0 == UInt8(ascii: ".")
        }
    }

    private static func isSubdomain(_ text: Substring) -> Bool {
        for label in text.split(separator: ".", omittingEmptySubsequences: false) {
            guard let first = label.utf8.first, let last = label.utf8.last else { return false }
            let isRight = label.utf8.allSatisfy {
                (isAlphanumeric($0) && !($0 >= 65 && $0 <= 90)) || $0 == UInt8(ascii: "-")
            }
            guard isRight, first != UInt8(ascii: "-"), last != UInt8(ascii: "-") else { return false }
        }
        return true
    }

    private static func regexError(_ message: String, _ pattern: String, _ examples: [String]) -> String {
        if examples.isEmpty { return "\(message) (regex used for validation is '\(pattern)')" }
        var text = message + " (e.g. "
        for (index, example) in examples.enumerated() {
            if index > 0 { text += " or " }
            text += "'\(example)', "
        }
        return text + "regex used for validation is '\(pattern)')"
    }

    /// What is wrong with a key: `[prefix/]name`.
    static func errors(inKey key: String) -> [String] {
        var errors: [String] = []
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        let name: Substring
        switch parts.count {
        case 1: name = parts[0]
        case 2:
            name = parts[1]
            let prefix = parts[0]
            if prefix.isEmpty {
                errors.append("prefix part must be non-empty")
            } else {
                if prefix.utf8.count > 253 { errors.append("prefix part must be no more than 253 bytes") }
                if !isSubdomain(prefix) {
                    errors.append(
                        "prefix part "
                            + regexError(
                                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                                    + "characters, '-' or '.', and must start and end with an alphanumeric "
                                    + "character",
                                #"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"#,
                                ["example.com"]))
                }
            }
        default:
            return [
                "a qualified name "
                    + regexError(
                        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
                            + "an alphanumeric character", "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
                        ["MyName", "my.name", "123-abc"])
                    + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        }
        if name.isEmpty {
            errors.append("name part must be non-empty")
        } else if name.utf8.count > 63 {
            errors.append("name part must be no more than 63 bytes")
        }
        if !isName(name) {
            errors.append(
                "name part "
                    + regexError(
                        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
                            + "an alphanumeric character", "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]",
                        ["MyName", "my.name", "123-abc"]))
        }
        return errors
    }

    /// What is wrong with a value.
    static func errors(inValue value: String) -> [String] {
        var errors: [String] = []
        if value.utf8.count > 63 { errors.append("must be no more than 63 bytes") }
        if !value.isEmpty, !isName(value[...]) {
            errors.append(
                regexError(
                    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
                        + "'.', and must start and end with an alphanumeric character",
                    "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", ["MyValue", "my_value", "12345"]))
        }
        return errors
    }
}
