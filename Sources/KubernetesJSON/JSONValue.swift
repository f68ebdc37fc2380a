/// Any JSON value.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// A whole number that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

// MARK: - Access

extension JSONValue {
    /// The member of an object; nil when this is no object or lacks the key. Setting makes an object of any
    /// value that is not one; setting nil removes the member.
    public subscript(key: String) -> JSONValue? {
        get {
            guard case .object(let object) = self else { return nil }
            return object[key]
        }
        _modify {
            var object = JSONObject()
            var replaced: JSONValue?
            if case .object(let existing) = self { object = existing } else { replaced = self }
            // Released while the member changes, so that it is not copied.
            self = .null
            defer {
                if let replaced, object.isEmpty { self = replaced } else { self = .object(object) }
            }
            yield &object[key]
        }
    }

    /// The element of an array; nil when this is no array or the index is outside.
    public subscript(index: Int) -> JSONValue? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    /// The value at a path of keys; nil when there is none.
    public func value(at path: String...) -> JSONValue? {
        var current: JSONValue = self
        for key in path {
            guard let next = current[key] else { return nil }
            current = next
        }
        return current
    }

    /// The text, if this is a string.
    public var stringValue: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    /// The number, if this is a whole one.
    public var integerValue: Int? {
        switch self {
        case .integer(let value): return Int(value)
        case .number(let value): return Int(exactly: value)
        default: return nil
        }
    }

    /// The number, if this is one.
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): return Double(value)
        case .number(let value): return value
        default: return nil
        }
    }

    /// The truth value, if this is one.
    public var boolValue: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The elements, if this is an array.
    public var arrayValue: [JSONValue]? {
        if case .array(let value) = self { return value }
        return nil
    }

    /// The members, if this is an object.
    public var objectValue: JSONObject? {
        if case .object(let value) = self { return value }
        return nil
    }

    /// Whether this is `null`.
    public var isNull: Bool {
        if case .null = self { return true }
        return false
    }
}

// MARK: - Literals

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (key, value) in elements { object[key] = value }
        self = .object(object)
    }
}

// MARK: - Reading and writing

extension JSONReader {
    /// Reads any value as a tree. A later member replaces an earlier one of the same key.
    public mutating func value() throws(JSONError) -> JSONValue {
        switch try peek() {
        case .null:
            try literal("null")
            return .null
        case .bool: return .bool(try bool())
        case .string: return .string(try string())
        case .number: return try numberValue()
        case .array: return .array(try arrayValue())
        case .object: return .object(try objectValue())
        }
    }

    private mutating func numberValue() throws(JSONError) -> JSONValue {
        let start = offset
        let token = try scanNumber()
        if token.isInteger, let value = integer(in: token.range) { return .integer(Int64(value)) }
        let text = String(decoding: bytes[token.range], as: UTF8.self)
        guard let value = Double(text), value.isFinite else {
            throw JSONError(code: .outOfRange, message: "number \(text) is out of range", offset: start)
        }
        // 1.0 and 1e3 are the same numbers as 1 and 1000, and are written like them.
        if let whole = Int64(exactly: value), value.magnitude < 1e15 { return .integer(whole) }
        return .number(value)
    }

    private mutating func arrayValue() throws(JSONError) -> [JSONValue] {
        _ = try beginArray()
        var elements: [JSONValue] = []
        while try nextElement() {
            let mark = duplicates.count
            elements.append(try value())
            if duplicates.count > mark { prefixDuplicates(from: mark, with: "[\(elements.count - 1)]") }
        }
        return elements
    }

    private mutating func objectValue() throws(JSONError) -> JSONObject {
        _ = try beginObject()
        var object = JSONObject()
        while try nextKey() {
            let key = try keyString()
            let mark = duplicates.count
            let member = try value()
            if duplicates.count > mark { prefixDuplicates(from: mark, with: ".\(key)") }
            if object.updateValue(member, forKey: key) != nil, collectsDuplicates {
                duplicates.append(".\(key)")
            }
        }
        return object
    }

    private mutating func prefixDuplicates(from mark: Int, with step: String) {
        for index in mark..<duplicates.count { duplicates[index] = step + duplicates[index] }
    }
}

extension JSONValue: JSONCodable {
    public init() { self = .null }

    public init(reading reader: inout JSONReader) throws(JSONError) {
        self = try reader.value()
    }

    /// Reads a document and names the keys that an object in it holds more than once, as paths like
    /// `spec.ports[0].port`.
    public init(json: [UInt8], duplicates: inout [String]) throws(JSONError) {
        var reader = JSONReader(json)
        reader.collectsDuplicates = true
        self = try reader.value()
        try reader.finish()
        duplicates = reader.duplicates.map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 }
    }

    public func write(to writer: inout JSONWriter) {
        switch self {
        case .null: writer.null()
        case .bool(let value): writer.bool(value)
        case .integer(let value): writer.int(Int(value))
        case .number(let value): writer.double(value)
        case .string(let value): writer.string(value)
        case .array(let elements):
            writer.beginArray()
            for element in elements { element.write(to: &writer) }
            writer.endArray()
        case .object(let object):
            writer.beginObject()
            for (key, value) in object {
                writer.key(key)
                value.write(to: &writer)
            }
            writer.endObject()
        }
    }
}

extension JSONValue: CustomStringConvertible {
    /// The value as compact JSON.
    public var description: String { String(decoding: json(), as: UTF8.self) }
}
