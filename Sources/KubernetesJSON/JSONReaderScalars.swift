/// Strings, numbers and truth values.
extension JSONReader {
    struct StringToken {
        var start: Int
        var length: Int
        var hasEscape: Bool
        var isASCII: Bool
    }

    // MARK: Strings

    /// Reads a string; `null` is the empty string.
    public mutating func string() throws(JSONError) -> String {
        skipSpace()
        guard offset < end else { throw endError() }
        if bytes[offset] == UInt8(ascii: "\"") {
            let token = try scanString()
            return try text(token)
        }
        if bytes[offset] == UInt8(ascii: "n") {
            try literal("null")
            return ""
        }
        throw try mismatch("string")
    }

    /// Passes over a string whose opening quote comes next; checks escapes and control characters.
    mutating func scanString() throws(JSONError) -> StringToken {
        let start = offset + 1
        var index = start
        var hasEscape = false
        var high: UInt8 = 0
        while index < end {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                offset = index + 1
                return StringToken(
                    start: start, length: index - start, hasEscape: hasEscape, isASCII: high < 0x80)
            }
            if byte == UInt8(ascii: "\\") {
                hasEscape = true
                index += 1
                guard index < end else { break }
                switch bytes[index] {
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
                    UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                    index += 1
                case UInt8(ascii: "u"):
                    index += 1
                    var digits = 0
                    while digits < 4 {
                        guard index < end else { throw endError() }
                        guard hexValue(bytes[index]) != nil else {
                            offset = index
                            throw unexpected("in \\u hexadecimal character escape")
                        }
                        index += 1
                        digits += 1
                    }
                default:
                    offset = index
                    throw unexpected("in string escape code")
                }
                continue
            }
            if byte < 0x20 {
                offset = index
                throw unexpected("in string literal")
            }
            high |= byte
            index += 1
        }
        throw endError()
    }

    func text(_ token: StringToken) throws(JSONError) -> String {
        if token.hasEscape { return try unescape(token) }
        if token.length == 0 { return "" }
        let slice = bytes[token.start..<(token.start + token.length)]
        if token.isASCII { return String(decoding: slice, as: UTF8.self) }
        guard let text = String(validating: slice, as: UTF8.self) else { throw utf8Error(token) }
        return text
    }

    private func utf8Error(_ token: StringToken) -> JSONError {
        JSONError(code: .invalidUTF8, message: "invalid UTF-8 in string", offset: token.start)
    }

    func unescape(_ token: StringToken) throws(JSONError) -> String {
        var output: [UInt8] = []
        output.reserveCapacity(token.length)
        var index = token.start
        let limit = token.start + token.length
        while index < limit {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                output.append(byte)
                continue
            }
            let escape = bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0C)
            case UInt8(ascii: "u"):
                var scalar = hexUnit(at: index)
                index += 4
                if scalar >= 0xD800, scalar < 0xDC00, index + 6 <= limit,
                    bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u")
                {
                    let low = hexUnit(at: index + 2)
                    if low >= 0xDC00, low < 0xE000 {
                        scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                        index += 6
                    }
                }
                // A surrogate without its other half becomes the replacement character.
                let character = Unicode.Scalar(scalar) ?? "\u{FFFD}"
                output.append(contentsOf: UTF8.encode(character) ?? UTF8.encodedReplacementCharacter)
            default: output.append(escape)
            }
        }
        guard let text = String(validating: output, as: UTF8.self) else { throw utf8Error(token) }
        return text
    }

    /// The value of four hexadecimal digits that `scanString` has checked.
    private func hexUnit(at index: Int) -> UInt32 {
        var value: UInt32 = 0
        for position in index..<(index + 4) {
            value = value << 4 | UInt32(hexValue(bytes[position]) ?? 0)
        }
        return value
    }

    private func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): return byte - UInt8(ascii: "A") + 10
        default: return nil
        }
    }

    /// Reads base64 text; `null` is empty.
    public mutating func base64() throws(JSONError) -> [UInt8] {
        let text = try string()
        guard let decoded = Base64.decode(text) else { throw invalidValue("illegal base64 data") }
        return decoded
    }

    // MARK: Truth values

    /// Reads `true` or `false`; `null` is false.
    public mutating func bool() throws(JSONError) -> Bool {
        skipSpace()
        guard offset < end else { throw endError() }
        switch bytes[offset] {
        case UInt8(ascii: "t"):
            try literal("true")
            return true
        case UInt8(ascii: "f"):
            try literal("false")
            return false
        case UInt8(ascii: "n"):
            try literal("null")
            return false
        default: throw try mismatch("boolean")
        }
    }

    // MARK: Numbers

    /// Reads a whole number; `null` is 0.
    public mutating func int() throws(JSONError) -> Int {
        skipSpace()
        guard offset < end else { throw endError() }
        let first = bytes[offset]
        if first == UInt8(ascii: "n") {
            try literal("null")
            return 0
        }
        guard first == UInt8(ascii: "-") || (first >= UInt8(ascii: "0") && first <= UInt8(ascii: "9")) else {
            throw try mismatch("number")
        }
        let start = offset
        let token = try scanNumber()
        if token.isInteger, let value = integer(in: token.range) { return value }
        let text = String(decoding: bytes[token.range], as: UTF8.self)
        // 1.0 and 1e3 are whole numbers too.
        if let double = Double(text), let value = Int(exactly: double), !token.isInteger { return value }
        throw JSONError(
            code: .outOfRange, message: "cannot read number \(text) as an integer", offset: start)
    }

    /// Reads a whole number of 32 bits; `null` is 0.
    public mutating func int32() throws(JSONError) -> Int {
        let value = try int()
        guard Int32(exactly: value) != nil else {
            throw JSONError(
                code: .outOfRange, message: "cannot read number \(value) as an int32", offset: offset)
        }
        return value
    }

    /// Reads a number; `null` is 0.
    public mutating func double() throws(JSONError) -> Double {
        if try readNull() { return 0 }
        guard try peek() == .number else { throw try mismatch("number") }
        let start = offset
        let token = try scanNumber()
        let text = String(decoding: bytes[token.range], as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw JSONError(code: .outOfRange, message: "number \(text) is out of range", offset: start)
        }
        return value
    }

    struct NumberToken {
        var range: Range<Int>
        var isInteger: Bool
    }

    /// Passes over a number (RFC 8259, section 6).
    mutating func scanNumber() throws(JSONError) -> NumberToken {
        let start = offset
        var isInteger = true
        if bytes[offset] == UInt8(ascii: "-") { offset += 1 }
        guard offset < end else { throw endError() }
        if bytes[offset] == UInt8(ascii: "0") {
            offset += 1
        } else {
            try scanDigits("in numeric literal")
        }
        if offset < end, bytes[offset] == UInt8(ascii: ".") {
            isInteger = false
            offset += 1
            try scanDigits("after decimal point in numeric literal")
        }
        if offset < end, bytes[offset] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            offset += 1
            if offset < end, bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-") {
                offset += 1
            }
            try scanDigits("in exponent of numeric literal")
        }
        return NumberToken(range: start..<offset, isInteger: isInteger)
    }

    private mutating func scanDigits(_ context: String) throws(JSONError) {
        guard offset < end else { throw endError() }
        let start = offset
        while offset < end, bytes[offset] >= UInt8(ascii: "0"), bytes[offset] <= UInt8(ascii: "9") {
            offset += 1
        }
        if offset == start { throw unexpected(context) }
    }

    func integer(in range: Range<Int>) -> Int? {
        var index = range.lowerBound
        let isNegative = bytes[index] == UInt8(ascii: "-")
        if isNegative { index += 1 }
        var value = 0
        while index < range.upperBound {
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int(bytes[index]) - 0x30
            let (sum, carry) = shifted.subtractingReportingOverflow(digit)
            if overflow || carry { return nil }
            value = sum
            index += 1
        }
        // Summed up as a negative number, since the smallest one has no positive counterpart.
        if isNegative { return value }
        return value == Int.min ? nil : -value
    }

    // MARK: Collections of scalars

    /// Reads an array of strings; `null` is empty.
    public mutating func strings() throws(JSONError) -> [String] {
        var values: [String] = []
        guard try beginArray() else { return values }
        while try nextElement() { values.append(try string()) }
        return values
    }

    /// Reads an array of whole numbers; `null` is empty.
    public mutating func ints() throws(JSONError) -> [Int] {
        var values: [Int] = []
        guard try beginArray() else { return values }
        while try nextElement() { values.append(try int()) }
        return values
    }

    /// Reads an object whose values are strings; `null` is empty.
    public mutating func stringMap() throws(JSONError) -> [String: String] {
        var values: [String: String] = [:]
        guard try beginObject() else { return values }
        while try nextKey() {
            let key = try keyString()
            values[key] = try string()
        }
        return values
    }
}
