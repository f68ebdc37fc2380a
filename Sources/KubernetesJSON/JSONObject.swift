/// The members of a JSON object, in the order in which they were put in.
///
/// Two objects are equal when they have the same members, in whatever order.
public struct JSONObject: Sendable, Hashable, Sequence, ExpressibleByDictionaryLiteral {
    struct Member: Sendable, Hashable {
        var key: String
        var value: JSONValue
    }

    private var members: [Member]
    /// Positions by key; kept only for objects too large to search one by one.
    private var positions: [String: Int]?
    private static let searchLimit = 12

    /// Makes an object without members.
    public init() {
        members = []
        positions = nil
    }

    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init()
        for (key, value) in elements { self[key] = value }
    }

    /// Makes an object of members; a later value replaces an earlier one of the same key.
    public init(_ elements: some Sequence<(key: String, value: JSONValue)>) {
        self.init()
        for (key, value) in elements { self[key] = value }
    }

    /// How many members there are.
    public var count: Int { members.count }
    /// Whether there are no members.
    public var isEmpty: Bool { members.isEmpty }
    /// The keys in order.
    public var keys: [String] { members.map(\.key) }
    /// The values in order.
    public var values: [JSONValue] { members.map(\.value) }

    private func position(of key: String) -> Int? {
        if let positions { return positions[key] }
        var index = 0
        while index < members.count {
            if members[index].key == key { return index }
            index += 1
        }
        return nil
    }

    /// The value of a key; setting nil removes the member.
    public subscript(key: String) -> JSONValue? {
        get {
            guard let index = position(of: key) else { return nil }
            return members[index].value
        }
        set {
            guard let newValue else {
                removeValue(forKey: key)
                return
            }
            updateValue(newValue, forKey: key)
        }
        _modify {
            let index = position(of: key)
            var value: JSONValue?
            if let index {
                // Taken out while it changes, so that it is not copied.
                value = members[index].value
                members[index].value = .null
            }
            defer {
                if let value {
                    if let index { members[index].value = value } else { append(value, forKey: key) }
                } else if index != nil {
                    removeValue(forKey: key)
                }
            }
            yield &value
        }
    }

    /// Sets the value of a key, in place if the key is there, else at the end.
    /// - Returns: The value that was replaced.
    @discardableResult
    public mutating func updateValue(_ value: JSONValue, forKey key: String) -> JSONValue? {
        if let index = position(of: key) {
            let old = members[index].value
            members[index].value = value
            return old
        }
        append(value, forKey: key)
        return nil
    }

    private mutating func append(_ value: JSONValue, forKey key: String) {
        members.append(Member(key: key, value: value))
        if positions != nil {
            positions?[key] = members.count - 1
        } else if members.count > Self.searchLimit {
            index()
        }
    }

    private mutating func index() {
        var table: [String: Int] = [:]
        table.reserveCapacity(members.count * 2)
        for (position, member) in members.enumerated() { table[member.key] = position }
        positions = table
    }

    /// Removes a member.
    /// - Returns: Its value, if it was there.
    @discardableResult
    public mutating func removeValue(forKey key: String) -> JSONValue? {
        guard let index = position(of: key) else { return nil }
        let member = members.remove(at: index)
        if positions != nil {
            positions = nil
            if members.count > Self.searchLimit { self.index() }
        }
        return member.value
    }

    /// Sorts the members by key, as upstream writes objects that it holds untyped.
    public mutating func sort() {
        members.sort { $0.key < $1.key }
        if positions != nil { index() }
    }

    public struct Iterator: IteratorProtocol {
        private var base: IndexingIterator<[Member]>

        init(_ members: [Member]) { base = members.makeIterator() }

        public mutating func next() -> (key: String, value: JSONValue)? {
            guard let member = base.next() else { return nil }
            return (member.key, member.value)
        }
    }

    public func makeIterator() -> Iterator { Iterator(members) }

    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        guard left.count == right.count else { return false }
        for (position, member) in left.members.enumerated() {
            let other = right.members[position]
            if other.key == member.key {
                if other.value != member.value { return false }
            } else if right[member.key] != member.value {
                return false
            }
        }
        return true
    }

    public func hash(into hasher: inout Hasher) {
        var sum = 0
        for member in members { sum ^= member.hashValue }
        hasher.combine(sum)
    }
}
