import KubernetesJSON

/// Reads, compares and merges objects as server-side apply does, by the shapes of their types.
struct ObjectWalk: Sendable {
    let schema: MergeSchema

    /// The paths that begin with one step, the step itself not told.
    struct Branch {
        /// Whether the path that ends with the step is among them.
        var isMember = false
        /// What goes on behind the step.
        var children = FieldSet()

        static let none = Branch()
        static let leaf = Branch(isMember: true)

        func node(_ step: FieldPath.Step) -> FieldSet.Node {
            FieldSet.Node(step: step, isMember: isMember, children: children)
        }
    }

    /// How a value and its shape go together.
    enum View {
        /// Taken as one.
        case leaf
        /// An object whose members are told apart, or null in its place.
        case object
        /// A list whose elements are told apart, or null in its place.
        case list
    }

    func view(_ value: JSONValue, _ shape: MergeSchema.Shape) -> View {
        switch shape {
        case .scalar, .atomic, .atomicList: return .leaf
        case .any:
            if case .object = value { return .object }
            return .leaf
        case .structure, .map:
            switch value {
            case .object, .null: return .object
            default: return .leaf
            }
        case .set, .keyed:
            switch value {
            case .array, .null: return .list
            default: return .leaf
            }
        }
    }

    /// What the elements of a list are.
    func element(_ shape: MergeSchema.Shape) -> MergeSchema.Shape {
        switch shape {
        case .set(let element), .keyed(_, let element), .atomicList(let element): return element
        default: return .any
        }
    }

    // MARK: Fields of an object

    /// All fields and list elements that an object has: what an applied configuration claims.
    func fields(of value: JSONValue, _ shape: MergeSchema.Shape) -> Branch {
        switch view(value, shape) {
        case .leaf: return .leaf
        case .object:
            guard case .object(let object) = value else { return .none }
            var nodes: [FieldSet.Node] = []
            nodes.reserveCapacity(object.count)
            for (name, member) in object {
                let (inner, isDeclared) = schema.member(name, of: shape)
                var branch = fields(of: member, inner)
                // What has nothing in it, and the entries of maps, are claimed themselves.
                if !isDeclared || member.isEmptyObjectOrNull { branch.isMember = true }
                let node = branch.node(.field(name))
                if !node.isEmpty { nodes.append(node) }
            }
            return Branch(children: FieldSet(unsorted: nodes))
        case .list:
            guard case .array(let elements) = value else { return .none }
            var children = FieldSet()
            var seen: [FieldPath.Step: Int] = [:]
            let steps = elements.map { schema.step(to: $0, shape) }
            if elements.count > 1 { for step in steps { seen[step, default: 0] += 1 } }
            let inner = element(shape)
            for (step, element) in zip(steps, elements) {
                // Elements of the same key cannot be told apart, so that nothing inside them is owned.
                var branch = seen[step, default: 1] > 1 ? .leaf : fields(of: element, inner)
                branch.isMember = true
                children.insert(branch.node(step))
            }
            return Branch(children: children)
        }
    }

    // MARK: Removing

    /// The value without the fields and elements of a set; nil if nothing is left of it.
    func removing(_ items: FieldSet, from value: JSONValue, _ shape: MergeSchema.Shape) -> JSONValue? {
        if items.isEmpty { return value }
        switch value {
        case .object(let object):
            guard case .object = view(value, shape) else { return value }
            var result = JSONObject()
            for (name, member) in object {
                guard let node = items.node(.field(name)) else {
                    result[name] = member
                    continue
                }
                if node.isMember { continue }
                result[name] = removing(node.children, from: member, schema.member(name, of: shape).shape)
            }
            return result.isEmpty ? nil : .object(result)
        case .array(let elements):
            guard case .list = view(value, shape) else { return value }
            var result: [JSONValue] = []
            let inner = self.element(shape)
            for element in elements {
                guard let node = items.node(schema.step(to: element, shape)) else {
                    result.append(element)
                    continue
                }
                if node.isMember { continue }
                if let rest = removing(node.children, from: element, inner) { result.append(rest) }
            }
            return result.isEmpty ? nil : .array(result)
        default: return value
        }
    }

    /// The set with all declared fields that lead to its paths: who owns `spec.replicas` owns `spec`, though who
    /// owns a label does not own the labels.
    func withDeclaredParents(_ set: FieldSet, _ shape: MergeSchema.Shape) -> FieldSet {
        var result = FieldSet()
        result.nodes.reserveCapacity(set.nodes.count)
        for var node in set.nodes {
            let inner: MergeSchema.Shape
            switch node.step {
            case .field(let name):
                let (member, isDeclared) = schema.member(name, of: shape)
                inner = member
                if isDeclared { node.isMember = true }
            default: inner = element(shape)
            }
            node.children = withDeclaredParents(node.children, inner)
            result.nodes.append(node)
        }
        return result
    }
}

extension JSONValue {
    var isEmptyObjectOrNull: Bool {
        switch self {
        case .null: return true
        case .object(let object): return object.isEmpty
        default: return false
        }
    }

    /// Whether there is nothing in it to tell apart.
    var isEmptyContainerOrNull: Bool {
        if case .array(let elements) = self { return elements.isEmpty }
        return isEmptyObjectOrNull
    }
}
