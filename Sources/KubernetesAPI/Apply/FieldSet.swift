/// A set of fields and list elements of an object.
///
/// A path in the set says nothing about the paths below it: who owns a map does not own its entries.
public struct FieldSet: Sendable, Hashable {
    /// All paths that begin with one step.
    struct Node: Sendable, Hashable {
        var step: FieldPath.Step
        /// Whether the path that ends here is in the set.
        var isMember: Bool
        /// Longer paths, from here on.
        var children: FieldSet

        var isEmpty: Bool { !isMember && children.isEmpty }
    }

    /// Sorted by step, each once; none is empty.
    var nodes: [Node]

    /// Makes an empty set.
    public init() { nodes = [] }

    /// Makes a set of paths.
    public init(_ paths: some Sequence<FieldPath>) {
        nodes = []
        for path in paths { insert(path) }
    }

    /// Makes a set of nodes in any order, whose steps differ.
    init(unsorted nodes: [Node]) {
        self.nodes = nodes
        if !Self.isSorted(nodes) { self.nodes.sort { $0.step < $1.step } }
    }

    private static func isSorted(_ nodes: [Node]) -> Bool {
        for index in nodes.indices.dropFirst() where !(nodes[index - 1].step < nodes[index].step) {
            return false
        }
        return true
    }

    /// Whether there are no paths in the set.
    public var isEmpty: Bool { nodes.isEmpty }

    /// How many paths are in the set.
    public var count: Int {
        nodes.reduce(0) { $0 + ($1.isMember ? 1 : 0) + $1.children.count }
    }

    // MARK: Single paths

    /// Where the step is, or where it would have to be put in.
    private func position(of step: FieldPath.Step) -> (index: Int, isThere: Bool) {
        var low = 0
        var high = nodes.count
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle].step == step { return (middle, true) }
            if nodes[middle].step < step { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    func node(_ step: FieldPath.Step) -> Node? {
        let (index, isThere) = position(of: step)
        return isThere ? nodes[index] : nil
    }

    /// Adds a path. The path without steps, which is the object itself, is never in a set.
    public mutating func insert(_ path: FieldPath) { insert(path.steps[...]) }

    private mutating func insert(_ steps: ArraySlice<FieldPath.Step>) {
        guard let step = steps.first else { return }
        let (index, isThere) = position(of: step)
        if !isThere { nodes.insert(Node(step: step, isMember: false, children: FieldSet()), at: index) }
        if steps.count == 1 {
            nodes[index].isMember = true
        } else {
            nodes[index].children.insert(steps.dropFirst())
        }
    }

    /// Puts in a node whose step may be there already.
    mutating func insert(_ node: Node) {
        if let last = nodes.last, !(last.step < node.step) {
            let (index, isThere) = position(of: node.step)
            if isThere {
                nodes[index].isMember = nodes[index].isMember || node.isMember
                nodes[index].children = nodes[index].children.union(node.children)
            } else {
                nodes.insert(node, at: index)
            }
        } else {
            nodes.append(node)
        }
    }

    /// Whether the path is in the set.
    public func contains(_ path: FieldPath) -> Bool {
        var set = self
        for (index, step) in path.steps.enumerated() {
            guard let node = set.node(step) else { return false }
            if index == path.steps.count - 1 { return node.isMember }
            set = node.children
        }
        return false
    }

    /// All paths; those that end at a level come before those that go on.
    public var paths: [FieldPath] {
        var paths: [FieldPath] = []
        var prefix: [FieldPath.Step] = []
        collect(&paths, &prefix)
        return paths
    }

    private func collect(_ paths: inout [FieldPath], _ prefix: inout [FieldPath.Step]) {
        for node in nodes where node.isMember { paths.append(FieldPath(prefix + [node.step])) }
        for node in nodes where !node.children.isEmpty {
            prefix.append(node.step)
            node.children.collect(&paths, &prefix)
            prefix.removeLast()
        }
    }
}

// MARK: - Algebra

extension FieldSet {
    /// Walks two sets side by side and keeps what a rule makes of each pair of nodes.
    private static func zip(
        _ left: FieldSet, _ right: FieldSet, _ combine: (Node?, Node?) -> Node?
    ) -> FieldSet {
        var result = FieldSet()
        var (first, second) = (left.nodes.startIndex, right.nodes.startIndex)
        func keep(_ node: Node?) {
            if let node, !node.isEmpty { result.nodes.append(node) }
        }
        while first < left.nodes.endIndex || second < right.nodes.endIndex {
            if second == right.nodes.endIndex {
                keep(combine(left.nodes[first], nil))
                first += 1
            } else if first == left.nodes.endIndex {
                keep(combine(nil, right.nodes[second]))
                second += 1
            } else if left.nodes[first].step == right.nodes[second].step {
                keep(combine(left.nodes[first], right.nodes[second]))
                first += 1
                second += 1
            } else if left.nodes[first].step < right.nodes[second].step {
                keep(combine(left.nodes[first], nil))
                first += 1
            } else {
                keep(combine(nil, right.nodes[second]))
                second += 1
            }
        }
        return result
    }

    /// The paths that are in either set.
    public func union(_ other: FieldSet) -> FieldSet {
        if isEmpty { return other }
        if other.isEmpty { return self }
        return Self.zip(self, other) { left, right in
            guard var node = left, let right else { return left ?? right }
            node.isMember = node.isMember || right.isMember
            node.children = node.children.union(right.children)
            return node
        }
    }

    /// The paths that are in both sets.
    public func intersection(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return FieldSet() }
        return Self.zip(self, other) { left, right in
            guard var node = left, let right else { return nil }
            node.isMember = node.isMember && right.isMember
            node.children = node.children.intersection(right.children)
            return node
        }
    }

    /// The paths of this set that are not in the other.
    public func subtracting(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return self }
        return Self.zip(self, other) { left, right in
            guard var node = left, let right else { return left }
            if right.isMember { node.isMember = false }
            node.children = node.children.subtracting(right.children)
            return node
        }
    }

    /// The paths of this set that neither are in the other nor begin with a path that is.
    public func subtractingTrees(_ other: FieldSet) -> FieldSet {
        if isEmpty || other.isEmpty { return self }
        return Self.zip(self, other) { left, right in
            guard var node = left, let right else { return left }
            if right.isMember { return nil }
            node.children = node.children.subtractingTrees(right.children)
            return node
        }
    }
}

extension FieldSet: CustomStringConvertible {
    /// The paths, a line each.
    public var description: String { paths.map(\.description).joined(separator: "\n") }
}
