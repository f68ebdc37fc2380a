/// A pull parser over UTF-8 bytes: the caller asks for what it expects, and nothing else is built.
///
/// The reader accepts exactly RFC 8259 in strict UTF-8; every access is checked against the bounds of the
/// document, and nesting is limited, so no input can crash it. Keys are compared as bytes, with upper and lower
/// case distinct. As in the Kubernetes API, `null` stands for the zero value of whatever is expected.
///
///     guard try reader.beginObject() else { return }
///     while try reader.nextKey() {
///         if reader.isKey("name") { name = try reader.string(); continue }
///         try reader.skipValue()
///     }
public struct JSONReader: ~Copyable {
    /// The document.
    public let bytes: [UInt8]
    /// The offset of the next byte to read.
    public internal(set) var offset: Int
    /// How many arrays and objects are open.
    public internal(set) var depth: Int
    /// How many arrays and objects may be open at once.
    public let maximumDepth: Int
    /// The number of bytes of the current key, for a quick choice between keys.
    public internal(set) var keyLength: Int

    let end: Int
    var isFirst: Bool
    @usableFromInline var keyStart: Int
    /// The current key when its text holds escapes.
    @usableFromInline var escapedKey: [UInt8]?

    /// Collects duplicate keys while `value()` builds trees; see `JSONValue.init(json:duplicates:)`.
    var collectsDuplicates = false
    var duplicates: [String] = []

    /// Starts to read a document.
    /// - Parameters:
    ///   - bytes: The document, UTF-8.
    ///   - maximumDepth: How many arrays and objects may be open at once.
    public init(_ bytes: [UInt8], maximumDepth: Int = 200) {
        self.bytes = bytes
        self.end = bytes.count
        self.offset = 0
        self.depth = 0
        self.maximumDepth = maximumDepth
        self.keyLength = 0
        self.isFirst = true
        self.keyStart = 0
        self.escapedKey = nil
    }

    // MARK: Structure

    /// Enters an object.
    /// - Returns: False when the value is `null`, which is read; there are no keys then.
    public mutating func beginObject() throws(JSONError) -> Bool {
        try begin(UInt8(ascii: "{"), "object")
    }

    /// Enters an array.
    /// - Returns: False when the value is `null`, which is read; there are no elements then.
    public mutating func beginArray() throws(JSONError) -> Bool {
        try begin(UInt8(ascii: "["), "array")
    }

    private mutating func begin(_ opening: UInt8, _ expected: StaticString) throws(JSONError) -> Bool {
        skipSpace()
        guard offset < end else { throw endError() }
        if bytes[offset] == opening {
            offset += 1
            depth += 1
            if depth > maximumDepth {
                throw JSONError(code: .tooDeep, message: "exceeded max depth", offset: offset)
            }
            isFirst = true
            return true
        }
        if bytes[offset] == UInt8(ascii: "n") {
            try literal("null")
            return false
        }
        throw try mismatch(expected)
    }

    /// Moves to the next key of the object that was entered last, so that its value can be read.
    /// - Returns: False at the end of the object, which is left.
    public mutating func nextKey() throws(JSONError) -> Bool {
        skipSpace()
        guard offset < end else { throw endError() }
        var byte = bytes[offset]
        if byte == UInt8(ascii: "}") {
            offset += 1
            depth -= 1
            isFirst = false
            return false
        }
        if !isFirst {
            guard byte == UInt8(ascii: ",") else { throw unexpected("after object key:value pair") }
            offset += 1
            skipSpace()
            guard offset < end else { throw endError() }
            byte = bytes[offset]
        }
        guard byte == UInt8(ascii: "\"") else {
            throw unexpected("looking for beginning of object key string")
        }
        let token = try scanString()
        keyStart = token.start
        keyLength = token.length
        escapedKey = nil
        if token.hasEscape {
            let text = Array(try unescape(token).utf8)
            keyLength = text.count
            escapedKey = text
        }
        skipSpace()
        guard offset < end else { throw endError() }
        guard bytes[offset] == UInt8(ascii: ":") else { throw unexpected("after object key") }
        offset += 1
        isFirst = false
        return true
    }

    /// Moves to the next element of the array that was entered last, so that it can be read.
    /// - Returns: False at the end of the array, which is left.
    public mutating func nextElement() throws(JSONError) -> Bool {
        skipSpace()
        guard offset < end else { throw endError() }
        if bytes[offset] == UInt8(ascii: "]") {
            offset += 1
            depth -= 1
            isFirst = false
            return false
        }
        if !isFirst {
            guard bytes[offset] == UInt8(ascii: ",") else { throw unexpected("after array element") }
            offset += 1
            skipSpace()
            guard offset < end else { throw endError() }
            if bytes[offset] == UInt8(ascii: "]") { throw unexpected("looking for beginning of value") }
        }
        isFirst = false
        return true
    }

    /// Whether the current key is this one.
    @inlinable @inline(__always)
    public func isKey(_ name: StaticString) -> Bool {
        guard name.utf8CodeUnitCount == keyLength else { return false }
        return keyEquals(name.utf8Start, name.utf8CodeUnitCount)
    }

    @usableFromInline
    func keyEquals(_ name: UnsafePointer<UInt8>, _ count: Int) -> Bool {
        if let escapedKey { return escapedKey.elementsEqual(UnsafeBufferPointer(start: name, count: count)) }
        var index = 0
        while index < count {
            if bytes[keyStart + index] != name[index] { return false }
            index += 1
        }
        return true
    }

    /// The current key.
    public func keyString() throws(JSONError) -> String {
        if let escapedKey { return String(decoding: escapedKey, as: UTF8.self) }
        return try text(StringToken(start: keyStart, length: keyLength, hasEscape: false, isASCII: false))
    }

    /// Checks that nothing but white space follows.
    public mutating func finish() throws(JSONError) {
        skipSpace()
        if offset < end { throw unexpected("after top-level value") }
    }

    // MARK: What comes next

    /// The JSON type of the next value.
    public enum ValueType: Sendable, Hashable {
        case null, bool, number, string, array, object
    }

    /// The JSON type of the next value, judged by its first byte.
    public mutating func peek() throws(JSONError) -> ValueType {
        skipSpace()
        guard offset < end else { throw endError() }
        switch bytes[offset] {
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw unexpected("looking for beginning of value")
        }
    }

    /// Reads `null` if it comes next.
    /// - Returns: Whether it did.
    public mutating func readNull() throws(JSONError) -> Bool {
        skipSpace()
        guard offset < end, bytes[offset] == UInt8(ascii: "n") else { return false }
        try literal("null")
        return true
    }

    // MARK: Skipping

    /// Checks and passes over one value.
    public mutating func skipValue() throws(JSONError) {
        switch try peek() {
        case .null: try literal("null")
        case .bool: _ = try bool()
        case .number: _ = try scanNumber()
        case .string:
            let token = try scanString()
            if token.hasEscape || !token.isASCII { _ = try text(token) }
        case .array:
            _ = try beginArray()
            while try nextElement() { try skipValue() }
        case .object:
            _ = try beginObject()
            while try nextKey() {
                if escapedKey == nil { try checkKey() }
                try skipValue()
            }
        }
    }

    private func checkKey() throws(JSONError) {
        var index = keyStart
        let limit = keyStart + keyLength
        while index < limit {
            if bytes[index] >= 0x80 {
                _ = try keyString()
                return
            }
            index += 1
        }
    }

    /// Checks and passes over one value.
    /// - Returns: Where its text is in `bytes`.
    public mutating func rawValue() throws(JSONError) -> Range<Int> {
        skipSpace()
        let start = offset
        try skipValue()
        return start..<offset
    }

    // MARK: Bytes

    @inline(__always)
    mutating func skipSpace() {
        while offset < end {
            let byte = bytes[offset]
            guard byte <= 0x20, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            offset += 1
        }
    }

    mutating func literal(_ word: StaticString) throws(JSONError) {
        var index = 0
        while index < word.utf8CodeUnitCount {
            guard offset < end else { throw endError() }
            guard bytes[offset] == word.utf8Start[index] else {
                let expected = Character(Unicode.Scalar(word.utf8Start[index]))
                throw unexpected("in literal \(word) (expecting '\(expected)')")
            }
            offset += 1
            index += 1
        }
    }
}

// MARK: - Errors

extension JSONReader {
    func endError() -> JSONError {
        JSONError(code: .unexpectedEnd, message: "unexpected end of JSON input", offset: end)
    }

    func unexpected(_ context: String) -> JSONError {
        let byte = offset < end ? bytes[offset] : 0
        let shown: String
        switch byte {
        case UInt8(ascii: "'"): shown = "'\\''"
        case 0x0A: shown = "'\\n'"
        case 0x0D: shown = "'\\r'"
        case 0x09: shown = "'\\t'"
        case 0x20..<0x7F: shown = "'\(Character(Unicode.Scalar(byte)))'"
        default:
            let digits = String(byte, radix: 16)
            shown = "'\\x\(digits.utf8.count < 2 ? "0" : "")\(digits)'"
        }
        return JSONError(code: .syntax, message: "invalid character \(shown) \(context)", offset: offset)
    }

    /// The error for a value of another type than expected; the value is passed over.
    mutating func mismatch(_ expected: StaticString) throws(JSONError) -> JSONError {
        let start = offset
        let found = try peek()
        return JSONError(code: .typeMismatch, message: "expected \(expected), found \(found)", offset: start)
    }

    /// An error about the value that was read last: its text is not what the type requires.
    public func invalidValue(_ message: String) -> JSONError {
        JSONError(code: .invalidValue, message: message, offset: offset)
    }
}
