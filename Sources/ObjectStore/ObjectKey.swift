/// The store's logical clock: every mutation gets the next number, over all resources.
/// Served as `metadata.resourceVersion`.
public typealias Revision = UInt64

/// Where an object lives.
///
/// Keys order as upstream's etcd keys do (`namespace/name`, byte by byte), so that lists and their
/// continuation come in the order clients know.
public struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The group resource: `pods`, `deployments.apps`.
    public var resource: String
    /// Empty for objects of cluster scope.
    public var namespace: String
    /// The name, unique in its resource and namespace.
    public var name: String

    /// A key from its parts.
    public init(resource: String, namespace: String = "", name: String) {
        self.resource = resource
        self.namespace = namespace
        self.name = name
    }

    public static func < (a: ObjectKey, b: ObjectKey) -> Bool {
        if a.resource != b.resource { return a.resource < b.resource }
        if a.namespace != b.namespace { return namespace(a.namespace, precedes: b.namespace) }
        return a.name < b.name
    }

    /// In an etcd key a slash ends the namespace, and `-` sorts before it: `team-a` precedes `team`.
    static func namespace(_ a: String, precedes b: String) -> Bool {
        var left = a.utf8.makeIterator()
        var right = b.utf8.makeIterator()
        while true {
            let x = left.next()
            let y = right.next()
            if x == nil, y == nil { return false }
            let byteA = x ?? UInt8(ascii: "/")
            let byteB = y ?? UInt8(ascii: "/")
            if byteA != byteB { return byteA < byteB }
            if x == nil { return true }
            if y == nil { return false }
        }
    }

    public var description: String {
        namespace.isEmpty ? "\(resource) \"\(name)\"" : "\(resource) \"\(namespace)/\(name)\""
    }
}
