/// Reads the words of one line.
struct LineScanner {
    private let bytes: [UInt8]
    private var index = 0
    private let line: Int

    init(_ bytes: [UInt8], line: Int) {
        self.bytes = bytes
        self.line = line
        skipSpace()
    }

    func error(_ message: String) -> SchemaError { SchemaError(message: message, line: line) }

    /// Whether only white space or a comment is left.
    var isAtEnd: Bool { index >= bytes.count || bytes[index] == UInt8(ascii: "#") }

    var startsQuote: Bool { index < bytes.count && bytes[index] == UInt8(ascii: "\"") }

    var startsWord: Bool {
        index < bytes.count && Self.isWord(bytes[index]) && !Self.isDigit(bytes[index])
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "$"), UInt8(ascii: ","):
            return true
        default: return false
        }
    }

    private mutating func skipSpace() {
        while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 || bytes[index] == 0x0D {
            index += 1
        }
    }

    mutating func word(_ expected: String) throws(SchemaError) -> String {
        let start = index
        while index < bytes.count, Self.isWord(bytes[index]) { index += 1 }
        guard index > start else { throw error("expected \(expected)") }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        skipSpace()
        return text
    }

    mutating func number() throws(SchemaError) -> Int {
        let start = index
        while index < bytes.count, Self.isDigit(bytes[index]) { index += 1 }
        guard let value = Int(String(decoding: bytes[start..<index], as: UTF8.self)), value < 1 << 29 else {
            throw error("expected a field number")
        }
        skipSpace()
        return value
    }

    /// Takes a mark if it comes next.
    mutating func take(_ mark: Unicode.Scalar) -> Bool {
        guard index < bytes.count, UInt32(bytes[index]) == mark.value else { return false }
        index += 1
        skipSpace()
        return true
    }

    /// A text in double quotes, with `\"` and `\\` for the two characters that need it.
    mutating func quoted() throws(SchemaError) -> String {
        guard startsQuote else { throw error("expected a text in quotes") }
        index += 1
        var text: [UInt8] = []
        while index < bytes.count {
            var byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\"") {
                skipSpace()
                guard let valid = String(validating: text, as: UTF8.self) else {
                    throw error("the text is not UTF-8")
                }
                return valid
            }
            if byte == UInt8(ascii: "\\"), index < bytes.count {
                byte = bytes[index]
                index += 1
            }
            text.append(byte)
        }
        throw error("the text lacks its closing quote")
    }

    /// What stands between the parenthesis that comes next and the one that closes it.
    mutating func parenthesised() throws(SchemaError) -> String {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "(") else { throw error("expected (") }
        index += 1
        let start = index
        var depth = 1
        var isQuoted = false
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if isQuoted {
                if byte == UInt8(ascii: "\\") { index += 1 }
                if byte == UInt8(ascii: "\"") { isQuoted = false }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isQuoted = true
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                guard depth == 0 else { continue }
                let text = String(decoding: bytes[start..<(index - 1)], as: UTF8.self)
                skipSpace()
                return text
            default: break
            }
        }
        throw error("expected )")
    }
}
