/// The query of a URL: names and values in the order in which they were sent, decoded.
public struct QueryItems: Sendable, Hashable, ExpressibleByDictionaryLiteral, CustomStringConvertible {
    /// One `name=value`.
    public struct Item: Sendable, Hashable {
        /// The decoded name.
        public var name: String
        /// The decoded value, empty when there was no `=`.
        public var value: String

        /// One `name=value`.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// All items in order.
    public var items: [Item]

    /// A query of these items.
    public init(_ items: [Item] = []) {
        self.items = items
    }

    public init(dictionaryLiteral elements: (String, String)...) {
        items = elements.map { Item(name: $0, value: $1) }
    }

    /// Reads what stands behind the `?` of a URL. Items that are not valid percent-encoding are left as they are.
    public init(parsing text: some StringProtocol) {
        items = text.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let decoded = parts.map { PercentEncoding.decode($0, plusIsSpace: true) ?? String($0) }
            return Item(name: decoded.first ?? "", value: decoded.count > 1 ? decoded[1] : "")
        }
    }

    /// The value of the first item called `name`.
    public func first(_ name: String) -> String? {
        items.first { $0.name == name }?.value
    }

    /// The values of all items called `name`.
    public func all(_ name: String) -> [String] {
        items.compactMap { $0.name == name ? $0.value : nil }
    }

    /// Whether there is an item called `name`.
    public func contains(_ name: String) -> Bool {
        items.contains { $0.name == name }
    }

    /// Adds an item at the end.
    public mutating func append(_ name: String, _ value: String) {
        items.append(Item(name: name, value: value))
    }

    /// Replaces all items called `name` by one at the end, or by none if `value` is nil.
    public mutating func set(_ name: String, _ value: String?) {
        items.removeAll { $0.name == name }
        if let value { append(name, value) }
    }

    /// Whether there is no item.
    public var isEmpty: Bool { items.isEmpty }

    /// The encoded form, without the `?`.
    public var description: String {
        items.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }
            .joined(separator: "&")
    }
}
