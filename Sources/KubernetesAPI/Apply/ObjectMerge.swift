import KubernetesJSON

extension ObjectWalk {
    /// The object with what a configuration says laid over it. Nothing is removed, also not by null, which is a
    /// value like others.
    func merging(_ configuration: JSONValue, into live: JSONValue, _ shape: MergeSchema.Shape) -> JSONValue {
        if live.isEmptyContainerOrNull, configuration.isEmptyContainerOrNull { return configuration }
        switch (view(live, shape), view(configuration, shape)) {
        case (.object, .object):
            var result = live.objectValue ?? JSONObject()
            for (name, member) in configuration.objectValue ?? JSONObject() {
                if let old = result[name] {
                    result[name] = merging(member, into: old, schema.member(name, of: shape).shape)
                } else {
                    result[name] = member
                }
            }
            return .object(result)
        case (.list, .list):
            return .array(list(live.arrayValue ?? [], configuration.arrayValue ?? [], shape))
        default: return configuration
        }
    }

    /// Elements that both lists have come in the order of the configuration. Those that only one has stay behind
    /// what comes before them there; the live ones first where both would fit.
    private func list(
        _ live: [JSONValue], _ configuration: [JSONValue], _ shape: MergeSchema.Shape
    ) -> [JSONValue] {
        let old = KeyedElements(live, shape, schema)
        let new = KeyedElements(configuration, shape, schema)
        let inner = element(shape)
        var result: [JSONValue] = []
        result.reserveCapacity(max(live.count, configuration.count))
        /// Elements that both have and that are not placed, in the order of the configuration.
        var awaited = new.order.filter { old.elements[$0] != nil }[...]
        var position = 0

        func place(_ step: FieldPath.Step) {
            if awaited.first == step { awaited.removeFirst() }
            guard let element = new.elements[step]?.first else { return }
            let others = old.elements[step] ?? []
            // Several live elements of the key: none of them is the one to merge with.
            if others.count == 1 {
                result.append(merging(element, into: others[0], inner))
            } else {
                result.append(element)
            }
        }

        for step in new.order {
            // What stands in the live list before the next element that both have.
            while position < live.count {
                let current = old.steps[position]
                if new.elements[current] == nil {
                    result.append(live[position])
                } else if current == step || current == awaited.first {
                    break
                } else if awaited.isEmpty {
                    // Placed before; from here on the two lists take turns.
                    position += 1
                    break
                }
                position += 1
            }
            place(step)
            if position < live.count, old.steps[position] == step { position += 1 }
        }
        while position < live.count {
            if new.elements[old.steps[position]] == nil { result.append(live[position]) }
            position += 1
        }
        return result
    }
}
