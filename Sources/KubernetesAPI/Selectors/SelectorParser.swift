/// Reads label selectors: requirements separated by commas (labels and selectors, "API").
struct SelectorParser {
    private enum Token: Hashable {
        case end
        case word(String)
        /// One of `) , ! == = > < != (`, or several such characters that mean nothing.
        case mark(String)

        var text: String {
            switch self {
            case .end: return ""
            case .word(let text), .mark(let text): return text
            }
        }
    }

    private var tokens: [Token] = []
    private var position = 0

    init(_ text: String) {
        let bytes = Array(text.utf8)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if Self.isSpace(byte) {
                index += 1
                continue
            }
            let start = index
            if Self.isMark(byte) {
                index += 1
                if index < bytes.count, bytes[index] == UInt8(ascii: "="),
                    byte == UInt8(ascii: "=") || byte == UInt8(ascii: "!")
                {
                    index += 1
                }
                tokens.append(.mark(String(decoding: bytes[start..<index], as: UTF8.self)))
                continue
            }
            while index < bytes.count, !Self.isSpace(bytes[index]), !Self.isMark(bytes[index]) { index += 1 }
            tokens.append(.word(String(decoding: bytes[start..<index], as: UTF8.self)))
        }
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    private static func isMark(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "="), UInt8(ascii: "!"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: ","),
            UInt8(ascii: ">"), UInt8(ascii: "<"):
            return true
        default: return false
        }
    }

    private var next: Token { position < tokens.count ? tokens[position] : .end }

    private mutating func take() -> Token {
        let token = next
        position += 1
        return token
    }

    private func unexpected(_ token: Token, _ expected: String) -> SelectorError {
        SelectorError(message: "found '\(token.text)', expected: \(expected)")
    }

    // MARK: Requirements

    mutating func requirements() throws(SelectorError) -> [LabelSelectorExpression] {
        var requirements: [LabelSelectorExpression] = []
        while true {
            switch next {
            case .end: return requirements
            case .word, .mark("!"): break
            case .mark: throw unexpected(next, "!, identifier, or 'end of string'")
            }
            do {
                requirements.append(try requirement())
            } catch {
                throw SelectorError(message: "unable to parse requirement: \(error.message)")
            }
            let separator = take()
            switch separator {
            case .end: return requirements
            case .mark(","):
                switch next {
                case .word, .mark("!"): continue
                default: throw unexpected(next, "identifier after ','")
                }
            default: throw unexpected(separator, "',' or 'end of string'")
            }
        }
    }

    private mutating func requirement() throws(SelectorError) -> LabelSelectorExpression {
        var isNegated = false
        if next == .mark("!") {
            isNegated = true
            position += 1
        }
        let token = take()
        guard case .word(let key) = token else { throw unexpected(token, "identifier") }
        let keyErrors = LabelSyntax.errors(inKey: key)
        if !keyErrors.isEmpty {
            let error = FieldError.invalid("<nil>", .string(key), keyErrors.joined(separator: "; "))
            throw SelectorError(message: error.description)
        }
        if next == .end || next == .mark(",") {
            return LabelSelectorExpression(
                key: key, operator: isNegated ? .doesNotExist : .exists, values: [])
        }
        let operation = try operation()
        let values: Set<String>
        switch operation {
        case .in, .notIn: values = try set()
        default: values = [try exactValue()]
        }
        let requirement = LabelSelectorExpression(key: key, operator: operation, values: values.sorted())
        let errors = requirement.validate()
        if !errors.isEmpty { throw SelectorError(message: errors.joinedMessage) }
        return requirement
    }

    private mutating func operation() throws(SelectorError) -> LabelSelectorExpression.Operator {
        let token = take()
        switch token {
        case .word("in"): return .in
        case .word("notin"): return .notIn
        case .mark("="): return .equals
        case .mark("=="): return .doubleEquals
        case .mark("!="): return .notEquals
        case .mark(">"): return .greaterThan
        case .mark("<"): return .lessThan
        default: throw unexpected(token, "in, notin, =, ==, !=, gt, lt")
        }
    }

    private mutating func exactValue() throws(SelectorError) -> String {
        if next == .end || next == .mark(",") { return "" }
        let token = take()
        guard case .word(let value) = token else { throw unexpected(token, "identifier") }
        return value
    }

    /// Values in parentheses; one that is left out is the empty text.
    private mutating func set() throws(SelectorError) -> Set<String> {
        let opening = take()
        guard opening == .mark("(") else {
            throw SelectorError(message: "found '\(opening.text)' expected: '('")
        }
        switch next {
        case .word, .mark(","), .mark(")"): break
        default: throw unexpected(next, "',', ')' or identifier")
        }
        var values: Set<String> = []
        while true {
            if case .word(let value) = next {
                values.insert(value)
                position += 1
            } else {
                guard next == .mark(",") || next == .mark(")") else {
                    throw unexpected(next, "',', or identifier")
                }
                values.insert("")
            }
            let separator = take()
            if separator == .mark(")") { return values }
            guard separator == .mark(",") else { throw unexpected(separator, "',' or ')'") }
        }
    }
}
