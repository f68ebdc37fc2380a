/// A value that can be read from and written as JSON.
public protocol JSONCodable: Sendable, Hashable {
    /// The zero value: what `null` or an absent field stands for.
    init()
    /// Reads one value.
    init(reading reader: inout JSONReader) throws(JSONError)
    /// Writes one value.
    func write(to writer: inout JSONWriter)
}

extension JSONCodable {
    /// Reads a whole document.
    public init(json: [UInt8]) throws(JSONError) {
        var reader = JSONReader(json)
        try self.init(reading: &reader)
        try reader.finish()
    }

    /// The value as compact JSON in UTF-8.
    public func json() -> [UInt8] {
        var writer = JSONWriter(capacity: 512)
        write(to: &writer)
        return writer.bytes
    }

    /// Reads the value from a tree.
    public init(_ value: JSONValue) throws(JSONError) {
        try self.init(json: value.json())
    }

    /// The value as a tree. Infinite numbers, which JSON lacks, become `null`.
    public var jsonValue: JSONValue {
        do {
            return try JSONValue(json: json())
        } catch {
            // What a writer wrote is JSON; only a tree deeper than the reader's limit gets here.
            return .null
        }
    }
}
