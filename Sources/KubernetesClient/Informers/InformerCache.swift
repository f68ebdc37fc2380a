public import KubernetesAPI

/// What an informer tells its subscribers.
public enum InformerEvent<Object: KubernetesObject>: Sendable {
    case added(Object)
    case updated(old: Object, new: Object)
    /// The object as it was last known.
    case deleted(Object)
    /// Everything that existed at the beginning has been told.
    case synced
}

/// The name of an object: what work queues hold.
public struct NamespacedName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Empty for objects of cluster scope.
    public var namespace: String
    /// The name, unique in its kind and namespace.
    public var name: String

    /// A name from its parts.
    public init(namespace: String = "", name: String) {
        self.namespace = namespace
        self.name = name
    }

    /// The name of an object.
    public init(_ object: some KubernetesObject) {
        self.init(namespace: object.metadata.namespace, name: object.metadata.name)
    }

    public static func < (a: NamespacedName, b: NamespacedName) -> Bool {
        (a.namespace, a.name) < (b.namespace, b.name)
    }

    public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
}

/// Under which values an index shows an object: its owners' uids, its node, a label.
public typealias Indexer<Object> = @Sendable (Object) -> [String]

/// The objects that an informer knows, as a value.
package struct InformerCache<Object: KubernetesObject>: Sendable {
    private var objects: [NamespacedName: Object] = [:]
    private var indexers: [String: Indexer<Object>] = [:]
    private var indexes: [String: [String: Set<NamespacedName>]] = [:]
    package private(set) var resourceVersion = ""
    package private(set) var hasSynced = false

    package init() {}

    package var count: Int { objects.count }

    package func get(_ name: NamespacedName) -> Object? { objects[name] }

    /// In the order of their names.
    package func list(namespace: String?) -> [Object] {
        objects.filter { namespace == nil || $0.key.namespace == namespace }
            .sorted { $0.key < $1.key }.map(\.value)
    }

    package func list(index: String, value: String) -> [Object] {
        (indexes[index]?[value] ?? []).sorted().compactMap { objects[$0] }
    }

    // MARK: Changes

    /// Takes in a whole list and says how it differs from what was known.
    package mutating func replace(
        with items: [Object], resourceVersion: String
    ) -> [InformerEvent<Object>] {
        self.resourceVersion = resourceVersion
        var events: [InformerEvent<Object>] = []
        var gone = Set(objects.keys)
        for item in items {
            gone.remove(NamespacedName(item))
            if let event = put(item) { events.append(event) }
        }
        for name in gone.sorted() {
            if let old = remove(name) { events.append(.deleted(old)) }
        }
        if !hasSynced {
            hasSynced = true
            events.append(.synced)
        }
        return events
    }

    /// Takes in an event of a watch.
    package mutating func apply(_ event: ObjectEvent<Object>) -> InformerEvent<Object>? {
        if let version = event.resourceVersion, !version.isEmpty { resourceVersion = version }
        switch event {
        case .added(let object), .modified(let object):
            return put(object)
        case .deleted(let object):
            // The last state is the one in the event; a deletion can change it too.
            return remove(NamespacedName(object)).map { _ in .deleted(object) }
        case .bookmark, .error:
            return nil
        }
    }

    private mutating func put(_ object: Object) -> InformerEvent<Object>? {
        let name = NamespacedName(object)
        guard let old = objects.updateValue(object, forKey: name) else {
            for (index, indexer) in indexers {
                for value in indexer(object) { indexes[index, default: [:]][value, default: []].insert(name) }
            }
            return .added(object)
        }
        // After listing anew most objects are what they were.
        if old.metadata.resourceVersion == object.metadata.resourceVersion,
            old.metadata.uid == object.metadata.uid
        {
            return nil
        }
        for (index, indexer) in indexers {
            let before = Set(indexer(old))
            let after = Set(indexer(object))
            for value in before.subtracting(after) { unindex(name, index, value) }
            for value in after.subtracting(before) {
                indexes[index, default: [:]][value, default: []].insert(name)
            }
        }
        return .updated(old: old, new: object)
    }

    private mutating func remove(_ name: NamespacedName) -> Object? {
        guard let old = objects.removeValue(forKey: name) else { return nil }
        for (index, indexer) in indexers {
            for value in Set(indexer(old)) { unindex(name, index, value) }
        }
        return old
    }

    private mutating func unindex(_ name: NamespacedName, _ index: String, _ value: String) {
        indexes[index]?[value]?.remove(name)
        if indexes[index]?[value]?.isEmpty == true { indexes[index]?[value] = nil }
    }

    /// Adds an index over all objects, present and to come. One of that name already there stays.
    package mutating func addIndexer(_ index: String, _ indexer: @escaping Indexer<Object>) {
        guard indexers[index] == nil else { return }
        indexers[index] = indexer
        for (name, object) in objects {
            for value in indexer(object) { indexes[index, default: [:]][value, default: []].insert(name) }
        }
    }
}
