/// What names may look like (RFC 1123, RFC 1035 and upstream's own forms). Each function returns what is wrong.
enum NameRules {
    typealias Rule = @Sendable (String) -> [String]

    private static func isLower(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
    }
    private static func isUpper(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
    }
    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }
    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isLower(byte) || isUpper(byte) || isDigit(byte)
    }
    private static func isAny(_ byte: UInt8, of characters: StaticString) -> Bool {
        characters.withUTF8Buffer { $0.contains(byte) }
    }

    private static func isLabel(
        _ text: Substring, first: (UInt8) -> Bool, also: StaticString = "-"
    ) -> Bool {
        guard let start = text.utf8.first, let end = text.utf8.last else { return false }
        guard first(start), isLower(end) || isDigit(end) else { return false }
        return text.utf8.allSatisfy { isLower($0) || isDigit($0) || isAny($0, of: also) }
    }

    private static func isSubdomain(_ text: String) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false)
            .allSatisfy { isLabel($0) { isLower($0) || isDigit($0) } }
    }

    private static let labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    private static let underscorePattern = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
    private static let ends = "and must start and end with an alphanumeric character"

    /// A DNS label: lower case letters, digits and `-`, 63 characters at most.
    static let label: Rule = { value in
        var messages: [String] = []
        if value.utf8.count > 63 { messages.append(RuleText.maximumLength(63)) }
        guard !isLabel(value[...], first: { isLower($0) || isDigit($0) }) else { return messages }
        if isSubdomain(value) {
            messages.append("must not contain dots")
        } else {
            messages.append(
                RuleText.pattern(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \(ends)",
                    labelPattern, "my-name", "123-abc"))
        }
        return messages
    }

    /// A DNS name: labels joined by dots, 253 characters at most.
    static let subdomain: Rule = { value in
        var messages: [String] = []
        if value.utf8.count > 253 { messages.append(RuleText.maximumLength(253)) }
        if !isSubdomain(value) {
            messages.append(
                RuleText.pattern(
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
                        + ends, labelPattern + "(\\." + labelPattern + ")*", "example.com"))
        }
        return messages
    }

    /// `*.` before a DNS name.
    static let wildcardSubdomain: Rule = { value in
        var messages: [String] = []
        if value.utf8.count > 253 { messages.append(RuleText.maximumLength(253)) }
        if !value.hasPrefix("*.") || !isSubdomain(String(value.dropFirst(2))) {
            messages.append(
                RuleText.pattern(
                    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which "
                        + "must consist of lower case alphanumeric characters, '-' or '.' and end with an "
                        + "alphanumeric character",
                    "\\*\\." + labelPattern + "(\\." + labelPattern + ")*", "*.example.com"))
        }
        return messages
    }

    /// A DNS name whose labels may also hold underscores, as search domains do.
    static let searchDomain: Rule = { value in
        var messages: [String] = []
        if value.utf8.count > 253 { messages.append(RuleText.maximumLength(253)) }
        let isRight = value.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            let rest = label.first == "_" ? label.dropFirst() : label
            return isLabel(rest, first: { isLower($0) || isDigit($0) }, also: "-_")
        }
        if !isRight {
            messages.append(
                RuleText.pattern(
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or "
                        + "'.', \(ends)", underscorePattern + "(\\." + underscorePattern + ")*", "example.com"
                ))
        }
        return messages
    }

    /// A DNS label that begins with a letter, as Services are named (RFC 1035).
    static let serviceLabel: Rule = { value in
        var messages: [String] = []
        if value.utf8.count > 63 { messages.append(RuleText.maximumLength(63)) }
        if !isLabel(value[...], first: isLower) {
            messages.append(
                RuleText.pattern(
                    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                        + "alphabetic character, and end with an alphanumeric character",
                    "[a-z]([-a-z0-9]*[a-z0-9])?", "my-name", "abc-123"))
        }
        return messages
    }

    /// A name that becomes a step of a path, as roles are named.
    static let pathSegment: Rule = { value in
        if value == "." || value == ".." { return ["may not be '\(value)'"] }
        return ["/", "%"].filter { value.contains($0) }.map { "may not contain '\($0)'" }
    }

    /// `[prefix/]name`, as label keys, conditions and finalizers are named.
    static let qualified: Rule = { LabelSyntax.errors(inKey: $0) }

    /// The name of a container's port: 15 lower case letters, digits and `-`, with a letter among them.
    static let portName: Rule = { value in
        var messages: [String] = []
        if value.utf8.count > 15 { messages.append(RuleText.maximumLength(15)) }
        if value.isEmpty || !value.utf8.allSatisfy({ isLower($0) || isDigit($0) || $0 == UInt8(ascii: "-") })
        {
            messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        if !value.utf8.contains(where: isLower) { messages.append("must contain at least one letter (a-z)") }
        if value.contains("--") { messages.append("must not contain consecutive hyphens") }
        if value.hasPrefix("-") || value.hasSuffix("-") {
            messages.append("must not begin or end with a hyphen")
        }
        return messages
    }

    /// The key of a ConfigMap or Secret, which can be a file's name.
    static let configKey: Rule = { value in
        var messages: [String] = []
        if value.utf8.count > 253 { messages.append(RuleText.maximumLength(253)) }
        if value.isEmpty || !value.utf8.allSatisfy({ isLetterOrDigit($0) || isAny($0, of: "-._") }) {
            messages.append(
                RuleText.pattern(
                    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                    "[-._a-zA-Z0-9]+", "key.name", "KEY_NAME", "key-name"))
        }
        if value == "." || value == ".." {
            messages.append("must not be '\(value)'")
        } else if value.hasPrefix("..") {
            messages.append("must not start with '..'")
        }
        return messages
    }

    /// The name of an environment variable: printable ASCII without `=` (KEP-4369).
    static let environmentVariable: Rule = { value in
        if value.isEmpty { return ["environment variable name must be non-empty"] }
        if value.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "=") }) { return [] }
        return [
            "a valid environment variable name must consist only of printable ASCII characters other than '='"
        ]
    }

    /// The name of an HTTP header.
    static let headerName: Rule = { value in
        if !value.isEmpty, value.utf8.allSatisfy({ isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }) {
            return []
        }
        return [
            RuleText.pattern(
                "a valid HTTP header must consist of alphanumeric characters or '-'", "[-A-Za-z0-9]+",
                "X-Header-Name")
        ]
    }

    /// A percentage such as `25%`.
    static let percentage: Rule = { value in
        if value.hasSuffix("%"), value.utf8.count > 1, value.utf8.dropLast().allSatisfy(isDigit) { return [] }
        return [
            RuleText.pattern(
                "a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%",
                "93%")
        ]
    }

    /// Whether the text has the form of a kernel parameter's name.
    static func isKernelParameter(_ name: String) -> Bool {
        guard name.utf8.count <= 253 else { return false }
        return name.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "." || $0 == "/" })
            .allSatisfy { isLabel($0, first: { isLower($0) || isDigit($0) }, also: "-_") }
    }

    /// `acme.io/foo`: a path behind a domain, as controllers are named.
    static func domainPrefixedPath(_ path: RulePath, _ value: String) -> [FieldError] {
        var errors: [FieldError] = []
        if value.isEmpty {
            errors.required(path)
            return errors
        }
        let parts = value.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let domain = parts.first, let rest = parts.last, !domain.isEmpty,
            !rest.isEmpty
        else {
            errors.invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")")
            return errors
        }
        errors.require(subdomain, path, String(domain))
        if !rest.utf8.allSatisfy({ isLetterOrDigit($0) || isAny($0, of: "/-._~%!$&'()*+,;=:") }) {
            errors.invalid(
                path, String(rest),
                RuleText.pattern("Invalid path", #"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"#))
        }
        return errors
    }

    /// The name of a domain of at least two labels, perhaps with a dot at the end.
    static func fullyQualifiedDomain(_ path: RulePath, _ name: String) -> [FieldError] {
        var errors: [FieldError] = []
        if name.isEmpty {
            errors.required(path)
            return errors
        }
        let domain = name.hasSuffix(".") ? String(name.dropLast()) : name
        let messages = subdomain(domain)
        if !messages.isEmpty {
            errors.invalid(path, domain, messages.joined(separator: ","))
            return errors
        }
        let labels = domain.split(separator: ".")
        if labels.count < 2 {
            errors.invalid(path, domain, "should be a domain with at least two segments separated by dots")
        } else if let wrong = labels.first(where: { $0.utf8.count > 63 }) {
            errors.invalid(path, String(wrong), label(String(wrong)).joined(separator: ","))
        }
        return errors
    }
}

extension [FieldError] {
    /// The value must follow a rule on names.
    mutating func require(_ rule: NameRules.Rule, _ path: RulePath, _ value: String) {
        invalid(path, value, messages: rule(value))
    }
}
