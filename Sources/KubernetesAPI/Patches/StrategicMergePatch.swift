import KubernetesJSON
import SchemaLanguage

/// Strategic merge patches: merge patches that know which lists are merged, and by which key.
///
/// Directives: `$patch: replace|delete` in an object or an element, `$retainKeys` in an object, and beside a
/// list `$deleteFromPrimitiveList/name` and `$setElementOrder/name`.
public enum StrategicMergePatch {
    /// Applies a patch to an object of a type.
    public static func apply(
        _ patch: JSONValue, to value: JSONValue, _ type: SchemaType, registry: SchemaRegistry = .shared
    ) throws(PatchError) -> JSONValue {
        guard case .object(let changes) = patch else {
            throw PatchError(code: .malformed, message: "invalid JSON document")
        }
        let merge = StrategicMerge(registry: registry)
        return .object(try merge.object(value.objectValue ?? JSONObject(), changes, type))
    }
}

private struct StrategicMerge {
    let registry: SchemaRegistry

    private static let directive = "$patch"
    private static let retain = "$retainKeys"
    private static let deletePrefix = "$deleteFromPrimitiveList/"
    private static let orderPrefix = "$setElementOrder/"

    /// A directive of a form that upstream knows and refuses.
    private func badFormat(of directive: String) -> PatchError {
        PatchError(code: .malformed, message: "invalid patch format of \(directive)")
    }

    private func failed(_ message: String) -> PatchError { PatchError(code: .failed, message: message) }

    private func unknown(_ directive: JSONValue, _ object: JSONObject) -> PatchError {
        var object = object
        object[Self.directive] = directive
        return failed(
            "unknown patch type: \(GoValue.text(of: directive)) in map: \(GoValue.text(of: .object(object)))")
    }

    // MARK: Objects

    func object(
        _ original: JSONObject, _ patch: JSONObject, _ type: SchemaType?
    ) throws(PatchError) -> JSONObject {
        var patch = patch
        if let directive = patch.removeValue(forKey: Self.directive) {
            switch directive {
            case "replace": return patch
            case "delete": return JSONObject()
            default: throw unknown(directive, patch)
            }
        }
        var result = original
        if let retained = patch.removeValue(forKey: Self.retain) {
            guard case .array(let names) = retained else { throw badFormat(of: "retainKeys") }
            let keys = Set(names.compactMap(\.stringValue))
            for key in patch.keys
            where !key.hasPrefix("$") && patch[key]?.isNull == false && !keys.contains(key) {
                throw badFormat(of: "retainKeys")
            }
            for key in result.keys where !keys.contains(key) { result.removeValue(forKey: key) }
        }
        try orderedLists(&result, &patch, original, type)
        for (key, change) in patch {
            if key.hasPrefix(Self.deletePrefix) {
                try deleteElements(change, String(key.dropFirst(Self.deletePrefix.count)), &result)
                continue
            }
            if change.isNull {
                result.removeValue(forKey: key)
                continue
            }
            result[key] = try member(result[key], change, type?.field(key))
        }
        return result
    }

    private func member(
        _ original: JSONValue?, _ change: JSONValue, _ field: SchemaField?
    ) throws(PatchError) -> JSONValue? {
        switch (original, change) {
        case (.object(let members), .object(let changes)):
            if let field, field.declaration.strategies.contains("replace") { return change }
            switch field?.type {
            case .named(let name)?:
                return .object(try object(members, changes, registry.type(named: name)))
            case .map(.named(let name))?:
                return .object(try map(members, changes, registry.type(named: name)))
            default: return .object(try object(members, changes, nil))
            }
        case (.array(let elements), .array(let changes)):
            guard let field, mergesList(field) else { return change }
            return .array(try list(elements, changes, field))
        default: return stripped(change)
        }
    }

    /// A map whose values are structures.
    private func map(
        _ original: JSONObject, _ patch: JSONObject, _ type: SchemaType?
    ) throws(PatchError) -> JSONObject {
        var result = original
        for (key, change) in patch {
            if change.isNull {
                result.removeValue(forKey: key)
            } else if case .object(let members)? = result[key], case .object(let changes) = change {
                result[key] = .object(try object(members, changes, type))
            } else {
                result[key] = stripped(change)
            }
        }
        return result
    }

    private func mergesList(_ field: SchemaField) -> Bool { field.declaration.strategies.contains("merge") }

    /// What a patch adds where nothing was: without nulls and lists of directives; nil for what is a directive
    /// itself.
    private func stripped(_ value: JSONValue) -> JSONValue? {
        switch value {
        case .object(let object):
            if object[Self.directive] != nil { return nil }
            var result = JSONObject()
            for (key, member) in object {
                if member.isNull || key == Self.retain { continue }
                if key.hasPrefix(Self.deletePrefix) || key.hasPrefix(Self.orderPrefix) { continue }
                result[key] = stripped(member)
            }
            return .object(result)
        case .array(let elements): return .array(elements.compactMap(stripped))
        default: return value
        }
    }

    // MARK: Lists

    /// Lists with a wanted order: merged here, so that the order is applied to the outcome.
    private func orderedLists(
        _ result: inout JSONObject, _ patch: inout JSONObject, _ original: JSONObject, _ type: SchemaType?
    ) throws(PatchError) {
        for key in patch.keys where key.hasPrefix(Self.orderPrefix) {
            guard case .array(let order)? = patch.removeValue(forKey: key) else {
                throw badFormat(of: "setElementOrder list")
            }
            let name = String(key.dropFirst(Self.orderPrefix.count))
            guard let field = type?.field(name), mergesList(field) else {
                throw badFormat(of: "setElementOrder list")
            }
            let change = patch.removeValue(forKey: name)
            if let change, change.isNull {
                result.removeValue(forKey: name)
                continue
            }
            let mergeKey = field.declaration.mergeKey
            let existing = result[name]?.arrayValue ?? []
            var merged = existing
            if case .array(let changes)? = change {
                for element in changes where element[Self.directive] == nil {
                    guard position(of: element, in: order, mergeKey) != nil else {
                        throw failed(
                            "The order in patch list:\n\(GoValue.text(of: .array(changes)))\n doesn't match "
                                + "$setElementOrder list:\n\(GoValue.text(of: .array(order)))\n")
                    }
                }
                merged =
                    existing.isEmpty
                    ? stripped(change ?? .null)?.arrayValue ?? [] : try list(existing, changes, field)
            }
            if merged.isEmpty, result[name] == nil { continue }
            result[name] = .array(arrange(merged, by: order, server: existing, mergeKey))
        }
    }

    private func deleteElements(
        _ value: JSONValue, _ name: String, _ result: inout JSONObject
    ) throws(PatchError) {
        guard case .array(let removed) = value else {
            throw badFormat(of: "primitive list")
        }
        guard case .array(let elements)? = result[name] else { return }
        result[name] = .array(elements.filter { !removed.contains($0) })
    }

    private func list(
        _ original: [JSONValue], _ patch: [JSONValue], _ field: SchemaField
    ) throws(PatchError) -> [JSONValue] {
        guard let mergeKey = field.declaration.mergeKey else {
            var merged = original
            for element in patch where !merged.contains(element) { merged.append(element) }
            return arrange(merged, by: patch, server: original, nil)
        }
        var elementType: SchemaType?
        if case .array(.named(let name)) = field.type { elementType = registry.type(named: name) }

        var merged = original
        var changes: [JSONObject] = []
        var replaces = false
        for element in patch {
            guard case .object(var change) = element else {
                throw failed("list element types are not identical: \(GoValue.text(of: .array(patch)))")
            }
            switch change.removeValue(forKey: Self.directive) {
            case nil: changes.append(change)
            case "replace"?: replaces = true
            case "delete"?:
                guard let key = change[mergeKey] else { throw keyless(change, mergeKey) }
                merged.removeAll { $0[mergeKey] == key }
            case "merge"?: throw failed("merging lists cannot yet be specified in the patch")
            case let directive?: throw unknown(directive, change)
            }
        }
        if replaces { return changes.compactMap { stripped(.object($0)) } }
        for change in changes {
            guard let key = change[mergeKey] else { throw keyless(change, mergeKey) }
            if let index = merged.firstIndex(where: { $0[mergeKey] == key }) {
                merged[index] = .object(
                    try object(merged[index].objectValue ?? JSONObject(), change, elementType))
            } else if let element = stripped(.object(change)) {
                merged.append(element)
            }
        }
        return arrange(merged, by: patch, server: original, mergeKey)
    }

    private func keyless(_ object: JSONObject, _ key: String) -> PatchError {
        failed("map: \(GoValue.text(of: .object(object))) does not contain declared merge key: \(key)")
    }

    // MARK: Order

    private func position(of element: JSONValue, in list: [JSONValue], _ mergeKey: String?) -> Int? {
        guard let mergeKey else { return list.firstIndex(of: element) }
        guard let key = element[mergeKey] else { return nil }
        return list.firstIndex { $0[mergeKey] == key }
    }

    /// Puts a merged list in order: elements of the patch in the patch's order, the others in the server's, and
    /// one of the others before one of the patch only if the server had both in that order.
    private func arrange(
        _ merged: [JSONValue], by order: [JSONValue], server: [JSONValue], _ mergeKey: String?
    ) -> [JSONValue] {
        struct Placed {
            var element: JSONValue
            var order: Int?
            var server: Int?
        }
        let placed = merged.map {
            Placed(
                element: $0, order: position(of: $0, in: order, mergeKey),
                server: position(of: $0, in: server, mergeKey))
        }
        let patched = placed.filter { $0.order != nil }.sorted { ($0.order ?? 0) < ($1.order ?? 0) }
        let others = placed.filter { $0.order == nil }.sorted { ($0.server ?? .max) < ($1.server ?? .max) }
        var result: [JSONValue] = []
        var next = 0
        for other in others {
            while next < patched.count {
                if let mine = other.server, let theirs = patched[next].server, mine < theirs { break }
                result.append(patched[next].element)
                next += 1
            }
            result.append(other.element)
        }
        return result + patched[next...].map(\.element)
    }
}
