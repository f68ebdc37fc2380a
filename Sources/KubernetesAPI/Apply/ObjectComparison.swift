import KubernetesJSON

/// What differs between two objects. A field is in one of the sets at most.
struct ObjectDifference {
    var added = FieldSet()
    var modified = FieldSet()
    var removed = FieldSet()

    var isEmpty: Bool { added.isEmpty && modified.isEmpty && removed.isEmpty }

    /// The difference without the fields that a request cannot set.
    func without(_ ignored: FieldSet) -> ObjectDifference {
        ObjectDifference(
            added: added.subtractingTrees(ignored), modified: modified.subtractingTrees(ignored),
            removed: removed.subtractingTrees(ignored))
    }
}

extension ObjectWalk {
    /// Compares two objects of a shape.
    func difference(from old: JSONValue, to new: JSONValue, _ shape: MergeSchema.Shape) -> ObjectDifference {
        let change = compare(old, new, shape)
        return ObjectDifference(
            added: change.added.children, modified: change.modified.children, removed: change.removed.children
        )
    }

    private struct Change {
        var added = Branch.none
        var modified = Branch.none
        var removed = Branch.none
    }

    /// The changes of the members of an object or the elements of a list.
    private struct Changes {
        var added: [FieldSet.Node] = []
        var modified: [FieldSet.Node] = []
        var removed: [FieldSet.Node] = []

        mutating func add(_ change: Change, at step: @autoclosure () -> FieldPath.Step) {
            Self.add(change.added, at: step, to: &added)
            Self.add(change.modified, at: step, to: &modified)
            Self.add(change.removed, at: step, to: &removed)
        }

        private static func add(
            _ branch: Branch, at step: () -> FieldPath.Step, to nodes: inout [FieldSet.Node]
        ) {
            if branch.isMember || !branch.children.isEmpty { nodes.append(branch.node(step())) }
        }

        var change: Change {
            Change(
                added: Branch(children: FieldSet(unsorted: added)),
                modified: Branch(children: FieldSet(unsorted: modified)),
                removed: Branch(children: FieldSet(unsorted: removed)))
        }
    }

    private func leafChange(_ old: JSONValue?, _ new: JSONValue?) -> Change {
        guard let old else { return Change(added: .leaf) }
        guard let new else { return Change(removed: .leaf) }
        return old == new ? Change() : Change(modified: .leaf)
    }

    /// - Precondition: At least one value is there.
    private func compare(_ old: JSONValue?, _ new: JSONValue?, _ shape: MergeSchema.Shape) -> Change {
        let isEmpty = (old?.isEmptyContainerOrNull ?? true) && (new?.isEmptyContainerOrNull ?? true)
        if isEmpty { return leafChange(old, new) }
        let views = (old.map { view($0, shape) }, new.map { view($0, shape) })
        var change: Change
        switch views {
        case (.leaf?, .leaf?), (.leaf?, nil), (nil, .leaf?): return leafChange(old, new)
        case (.object?, .object?), (.object?, nil), (nil, .object?):
            change = compare(old?.objectValue, new?.objectValue, shape)
        case (.list?, .list?), (.list?, nil), (nil, .list?):
            if old == new { return Change() }
            change = compare(old?.arrayValue ?? [], new?.arrayValue ?? [], shape)
        default:
            // A value that may be anything became another kind of thing: all that was in it is gone.
            change = Change(modified: .leaf)
            if let old, case .object = view(old, shape) { change.removed = compare(old, nil, shape).removed }
            if let new, case .object = view(new, shape) { change.added = compare(nil, new, shape).added }
            change.removed.isMember = false
            change.added.isMember = false
            return change
        }
        if old == nil { change.added.isMember = true }
        if new == nil { change.removed.isMember = true }
        return change
    }

    private func compare(_ old: JSONObject?, _ new: JSONObject?, _ shape: MergeSchema.Shape) -> Change {
        var changes = Changes()
        if let old {
            for (name, member) in old {
                let change = compare(member, new?[name], schema.member(name, of: shape).shape)
                changes.add(change, at: .field(name))
            }
        }
        if let new {
            for (name, member) in new where old?[name] == nil {
                let change = compare(nil, member, schema.member(name, of: shape).shape)
                changes.add(change, at: .field(name))
            }
        }
        return changes.change
    }

    private func compare(_ old: [JSONValue], _ new: [JSONValue], _ shape: MergeSchema.Shape) -> Change {
        let before = KeyedElements(old, shape, schema)
        let after = KeyedElements(new, shape, schema)
        let inner = element(shape)
        var changes = Changes()
        for step in before.order + after.order.filter({ before.elements[$0] == nil }) {
            let first = before.elements[step] ?? []
            let second = after.elements[step] ?? []
            var change = Change()
            // Several elements of one key are one leaf.
            switch (first.count > 1, second.count > 1) {
            case (false, false): change = compare(first.first, second.first, inner)
            case (true, true): if first != second { change.modified = .leaf }
            case (true, false):
                if let only = second.first { change = compare(nil, only, inner) }
                change.removed.isMember = true
            case (false, true):
                if let only = first.first { change = compare(only, nil, inner) }
                change.added.isMember = true
            }
            changes.add(change, at: step)
        }
        return changes.change
    }
}

/// The elements of a list by the steps that lead to them.
struct KeyedElements {
    /// Each step once, in the order of the list.
    private(set) var order: [FieldPath.Step] = []
    /// The steps of all elements.
    private(set) var steps: [FieldPath.Step] = []
    /// More than one element where the list holds a key several times.
    private(set) var elements: [FieldPath.Step: [JSONValue]] = [:]

    init(_ list: [JSONValue], _ shape: MergeSchema.Shape, _ schema: MergeSchema) {
        elements.reserveCapacity(list.count)
        for element in list {
            let step = schema.step(to: element, shape)
            steps.append(step)
            if elements[step] == nil { order.append(step) }
            elements[step, default: []].append(element)
        }
    }
}
