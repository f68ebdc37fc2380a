import KubernetesAPI

/// An object as the garbage collector sees it.
package struct OwnedObject: Sendable, Equatable {
    package var kind: ResourceKind
    package var namespace: String
    package var name: String
    package var uid: String
    package var owners: [OwnerReference]
    package var finalizers: [String]
    package var isDeleting: Bool

    package init(_ object: some KubernetesObject) { self.init(type(of: object).resource, object.metadata) }

    package init(_ kind: ResourceKind, _ metadata: ObjectMeta) {
        self.kind = kind
        namespace = metadata.namespace
        name = metadata.name
        uid = metadata.uid
        owners = metadata.ownerReferences
        finalizers = metadata.finalizers
        isDeleting = metadata.deletionTimestamp != nil
    }

    /// Deleted in the foreground: it stays until what it blocks on is gone.
    var waitsForDependents: Bool { isDeleting && finalizers.contains(Finalizer.foreground) }
    /// Deleted without its dependants: they are to be let go first.
    var orphansDependents: Bool { isDeleting && finalizers.contains(Finalizer.orphan) }
}

/// The finalizers by which a deletion's `propagationPolicy` is kept.
enum Finalizer {
    static let foreground = "foregroundDeletion"
    static let orphan = "orphan"
}

/// What the garbage collector is to do.
package enum CollectorAction: Sendable, Equatable {
    /// Delete an object none of whose owners is left.
    case delete(OwnedObject, foreground: Bool)
    /// Take references to owners that are gone off an object that has another owner.
    case dropOwners(OwnedObject, uids: Set<String>)
    case removeFinalizer(OwnedObject, String)
    /// Tell that an object names an owner where it cannot be: namespaces do not own each other's objects.
    case report(OwnedObject, owner: OwnerReference)
    /// An owner that was never seen: ask the server whether it exists.
    case verify(owner: OwnerReference, namespace: String)
}

/// Who owns whom, and what follows when an owner goes (metadata.ownerReferences, garbage collection).
///
/// It holds every object that has or may have dependants. It is told of each change and answers with what to
/// do; it does nothing itself.
package struct OwnerGraph: Sendable {
    private var objects: [String: OwnedObject] = [:]
    private var dependents: [String: Set<String>] = [:]
    /// Owners that do not exist, and the namespaces in which they do not.
    private var absent: [String: Set<String>] = [:]

    package init() {}

    /// Notes an object as it now is.
    package mutating func observe(_ object: OwnedObject) -> [CollectorAction] {
        let before = objects[object.uid]
        if let before { unlink(before) }
        objects[object.uid] = object
        absent[object.uid] = nil
        for owner in object.owners { dependents[owner.uid, default: []].insert(object.uid) }
        var actions = judge(object)
        actions += progress(of: object)
        // An owner that was just let go of may have waited for that.
        let owners = Set(object.owners.map(\.uid)).union(before?.owners.map(\.uid) ?? [])
        for owner in owners.sorted() {
            if let owner = objects[owner] { actions += progress(of: owner) }
        }
        return actions
    }

    /// Notes that an object is gone.
    package mutating func remove(uid: String) -> [CollectorAction] {
        guard let object = objects.removeValue(forKey: uid) else { return [] }
        unlink(object)
        let left = dependents[uid] ?? []
        let namespaces = left.compactMap { objects[$0]?.namespace }
            .filter { object.namespace.isEmpty || object.namespace == $0 }
        if !namespaces.isEmpty { absent[uid] = Set(namespaces) }
        var actions = left.compactMap { objects[$0] }.sorted { $0.uid < $1.uid }.flatMap { judge($0) }
        for owner in object.owners {
            if let owner = objects[owner.uid] { actions += progress(of: owner) }
            if dependents[owner.uid] == nil { absent[owner.uid] = nil }
        }
        return actions
    }

    /// Notes the server's answer that an owner does not exist, for dependants in a namespace.
    package mutating func confirmAbsent(ownerUID uid: String, namespace: String) -> [CollectorAction] {
        guard objects[uid] == nil, let left = dependents[uid] else { return [] }
        absent[uid, default: []].insert(namespace)
        return left.compactMap { objects[$0] }.filter { $0.namespace == namespace }.sorted { $0.uid < $1.uid }
            .flatMap { judge($0) }
    }

    private mutating func unlink(_ object: OwnedObject) {
        for owner in object.owners {
            dependents[owner.uid]?.remove(object.uid)
            if dependents[owner.uid]?.isEmpty == true { dependents[owner.uid] = nil }
        }
    }

    /// What the state of its owners means for an object.
    private func judge(_ object: OwnedObject) -> [CollectorAction] {
        guard !object.owners.isEmpty, !object.isDeleting else { return [] }
        var actions: [CollectorAction] = []
        var gone: Set<String> = []
        var waiting: Set<String> = []
        var solid = 0
        for reference in object.owners {
            if let owner = objects[reference.uid] {
                if !owner.namespace.isEmpty, owner.namespace != object.namespace {
                    actions.append(.report(object, owner: reference))
                    // Where an object without a namespace would have its owner, nobody can look.
                    if object.namespace.isEmpty { solid += 1 } else { gone.insert(reference.uid) }
                } else if owner.waitsForDependents {
                    waiting.insert(reference.uid)
                } else {
                    solid += 1
                }
            } else if absent[reference.uid]?.contains(object.namespace) == true {
                gone.insert(reference.uid)
            } else {
                solid += 1
                actions.append(.verify(owner: reference, namespace: object.namespace))
            }
        }
        if solid > 0 {
            let dropped = gone.union(waiting)
            if !dropped.isEmpty { actions.append(.dropOwners(object, uids: dropped)) }
        } else {
            let hasDependents = !(dependents[object.uid] ?? []).isEmpty
            actions.append(.delete(object, foreground: !waiting.isEmpty && hasDependents))
        }
        return actions
    }

    /// What an owner that is being deleted waits for.
    private func progress(of owner: OwnedObject) -> [CollectorAction] {
        let left = (dependents[owner.uid] ?? []).compactMap { objects[$0] }
            .filter { owner.namespace.isEmpty || owner.namespace == $0.namespace }.sorted { $0.uid < $1.uid }
        if owner.orphansDependents {
            if left.isEmpty { return [.removeFinalizer(owner, Finalizer.orphan)] }
            return left.map { .dropOwners($0, uids: [owner.uid]) }
        }
        guard owner.waitsForDependents else { return [] }
        let blocking = left.filter { dependent in
            dependent.owners.contains { $0.uid == owner.uid && $0.blockOwnerDeletion == true }
        }
        if blocking.isEmpty { return [.removeFinalizer(owner, Finalizer.foreground)] }
        return left.flatMap { judge($0) }
    }
}
