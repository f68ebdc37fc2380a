/// What is known of an object beside its bytes, as the database keeps it: a run of strings, each a
/// length (LEB128) and UTF-8; the maps and the owners begin with their count.
enum SideData {
    static func encode(_ object: StoredObject) -> [UInt8] {
        var out: [UInt8] = []
        put(object.uid, into: &out)
        put(object.labels, into: &out)
        put(object.fields, into: &out)
        put(object.owners.count, into: &out)
        for owner in object.owners { put(owner, into: &out) }
        return out
    }

    struct Decoded: Equatable {
        var uid: String
        var labels: [String: String]
        var fields: [String: String]
        var owners: [String]
    }

    /// Nil when the bytes are no side data.
    static func decode(_ bytes: [UInt8]) -> Decoded? {
        var rest = bytes[...]
        guard let uid = string(&rest), let labels = map(&rest), let fields = map(&rest),
            let count = number(&rest), count <= rest.count
        else { return nil }
        var owners: [String] = []
        for _ in 0..<count {
            guard let owner = string(&rest) else { return nil }
            owners.append(owner)
        }
        guard rest.isEmpty else { return nil }
        return Decoded(uid: uid, labels: labels, fields: fields, owners: owners)
    }

    private static func put(_ value: Int, into out: inout [UInt8]) {
        var value = UInt(bitPattern: value)
        while value >= 0x80 {
            out.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        out.append(UInt8(value))
    }

    private static func put(_ value: String, into out: inout [UInt8]) {
        put(value.utf8.count, into: &out)
        out.append(contentsOf: value.utf8)
    }

    private static func put(_ map: [String: String], into out: inout [UInt8]) {
        put(map.count, into: &out)
        for (key, value) in map {
            put(key, into: &out)
            put(value, into: &out)
        }
    }

    private static func number(_ rest: inout ArraySlice<UInt8>) -> Int? {
        var value: UInt = 0
        var shift: UInt = 0
        while let byte = rest.popFirst() {
            if shift > 28 { return nil }
            value |= UInt(byte & 0x7f) << shift
            if byte < 0x80 { return Int(value) }
            shift += 7
        }
        return nil
    }

    private static func string(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard let count = number(&rest), count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return String(validating: rest.prefix(count), as: UTF8.self)
    }

    private static func map(_ rest: inout ArraySlice<UInt8>) -> [String: String]? {
        guard let count = number(&rest), count <= rest.count else { return nil }
        var map: [String: String] = [:]
        for _ in 0..<count {
            guard let key = string(&rest), let value = string(&rest) else { return nil }
            map[key] = value
        }
        return map
    }
}
