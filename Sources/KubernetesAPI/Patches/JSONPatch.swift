import KubernetesJSON

/// JSON patches (RFC 6902): a list of operations at JSON pointers (RFC 6901).
public enum JSONPatch {
    /// The most operations that one patch may hold, as upstream.
    public static let maximumOperations = 10000
    /// How many bytes `copy` operations may add, as upstream: each may double the object.
    public static let maximumCopySize = 3 * 1024 * 1024
    /// How deep a patch may nest an object.
    public static let maximumDepth = 400

    /// Applies all operations, or none.
    public static func apply(_ patch: JSONValue, to value: JSONValue) throws(PatchError) -> JSONValue {
        guard case .array(let operations) = patch else {
            throw PatchError(
                code: .malformed,
                message: "error decoding patch: json: cannot unmarshal \(patch.jsonKind) into Go value "
                    + "of type []handlers.jsonPatchOp")
        }
        if operations.count > maximumOperations {
            throw PatchError(
                code: .tooLarge,
                message: "The allowed maximum operations in a JSON patch is \(maximumOperations), "
                    + "got \(operations.count)")
        }
        for operation in operations { try checkForm(of: operation) }
        var result = value
        var copied = 0
        for operation in operations { try apply(operation: operation, to: &result, &copied) }
        return result
    }

    /// The names of what an operation may hold.
    public static let members: Set<String> = ["op", "path", "from", "value"]

    /// What has the wrong type is no patch; what is missing only shows when the operation is carried out.
    private static func checkForm(of operation: JSONValue) throws(PatchError) {
        func refuse(_ value: JSONValue, _ place: String) -> PatchError {
            PatchError(
                code: .malformed,
                message: "error decoding patch: json: cannot unmarshal \(value.jsonKind) into Go \(place)")
        }
        if operation.isNull { return }
        guard let object = operation.objectValue else {
            throw refuse(operation, "value of type handlers.jsonPatchOp")
        }
        for name in ["op", "path", "from"] {
            guard let member = object[name], !member.isNull, member.stringValue == nil else { continue }
            throw refuse(member, "struct field jsonPatchOp.\(name) of type string")
        }
    }

    private static func apply(
        operation: JSONValue, to value: inout JSONValue, _ copied: inout Int
    ) throws(PatchError) {
        let name = operation["op"]?.stringValue ?? "unknown"
        guard let text = operation["path"]?.stringValue else {
            throw PatchError(code: .rejected, message: "\(name) operation failed to decode path")
        }
        let path = try pointer(text)
        // A value that is not given is null, as upstream has it.
        let operand = operation["value"] ?? .null
        switch name {
        case "add":
            try checkDepth(operand, at: path)
            try add(operand, at: path[...], in: &value, text)
        case "replace":
            _ = try find(path, in: value, text)
            try checkDepth(operand, at: path)
            if path.isEmpty {
                value = operand
            } else {
                try replace(operand, at: path[...], in: &value, text)
            }
        case "remove": _ = try remove(at: path[...], in: &value, text)
        case "test":
            let found = (try? find(path, in: value, text)) ?? .null
            if !isEqual(found, operand) {
                throw PatchError(code: .rejected, message: "testing value \(text) failed: found \(found)")
            }
        case "move", "copy":
            guard let from = operation["from"]?.stringValue else {
                throw PatchError(code: .rejected, message: "\(name) operation failed to decode from")
            }
            let source = try pointer(from)
            let moved: JSONValue
            if name == "copy" {
                moved = try find(source, in: value, from)
                copied += size(moved)
                guard copied <= maximumCopySize else {
                    throw PatchError(
                        code: .rejected,
                        message: "Unable to complete the copy, the accumulated size increase of copy is "
                            + "\(copied), exceeding the limit \(maximumCopySize)")
                }
            } else {
                if path.count > source.count, path.starts(with: source) {
                    throw PatchError(code: .rejected, message: "cannot move \(from) into itself at \(text)")
                }
                moved = try remove(at: source[...], in: &value, from)
            }
            try checkDepth(moved, at: path)
            try add(moved, at: path[...], in: &value, text)
        default: throw PatchError(code: .rejected, message: "Unexpected kind: \(name)")
        }
    }

    private static func isEqual(_ left: JSONValue, _ right: JSONValue) -> Bool {
        if let left = left.doubleValue, let right = right.doubleValue { return left == right }
        return left == right
    }

    // MARK: Limits

    /// Everything that walks a tree does so by recursion.
    private static func checkDepth(_ value: JSONValue, at path: [String]) throws(PatchError) {
        guard isWithin(maximumDepth - path.count, value) else {
            throw PatchError(
                code: .rejected, message: "the patched object is nested deeper than \(maximumDepth) levels")
        }
    }

    private static func isWithin(_ depth: Int, _ value: JSONValue) -> Bool {
        guard depth > 0 else { return false }
        switch value {
        case .array(let elements): return elements.allSatisfy { isWithin(depth - 1, $0) }
        case .object(let object): return object.allSatisfy { isWithin(depth - 1, $0.value) }
        default: return true
        }
    }

    /// About how many bytes a value takes as JSON.
    private static func size(_ value: JSONValue) -> Int {
        switch value {
        case .null, .bool: 4
        case .integer, .number: 8
        case .string(let text): text.utf8.count + 2
        case .array(let elements): elements.reduce(2) { $0 + size($1) + 1 }
        case .object(let object): object.reduce(2) { $0 + $1.key.utf8.count + size($1.value) + 4 }
        }
    }

    // MARK: Pointers

    private static func pointer(_ text: String) throws(PatchError) -> [String] {
        if text.isEmpty { return [] }
        guard text.hasPrefix("/") else {
            throw PatchError(code: .rejected, message: "a path begins with /, found \(text)")
        }
        return text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map(unescape)
    }

    private static func unescape(_ token: Substring) -> String {
        guard token.contains("~") else { return String(token) }
        var output = ""
        var isEscaped = false
        for character in token {
            if isEscaped {
                output += character == "1" ? "/" : character == "0" ? "~" : "~\(character)"
                isEscaped = false
            } else if character == "~" {
                isEscaped = true
            } else {
                output.append(character)
            }
        }
        return isEscaped ? output + "~" : output
    }

    private static func missing(_ path: String) -> PatchError {
        PatchError(code: .rejected, message: "there is nothing at \(path)")
    }

    /// An index into an array; negative ones count from its end, as upstream's do.
    private static func index(_ token: String, limit: Int, _ path: String) throws(PatchError) -> Int {
        guard let index = Int(token), index >= -limit, index < limit else {
            throw PatchError(code: .rejected, message: "\(token) is no index at \(path)")
        }
        return index < 0 ? index + limit : index
    }

    private static func find(_ path: [String], in value: JSONValue, _ text: String) throws(PatchError)
        -> JSONValue
    {
        var current = value
        for token in path {
            switch current {
            case .object(let object):
                guard let member = object[token] else { throw missing(text) }
                current = member
            case .array(let elements): current = elements[try index(token, limit: elements.count, text)]
            default: throw missing(text)
            }
        }
        return current
    }

    // MARK: Changes

    private static func add(
        _ operand: JSONValue, at path: ArraySlice<String>, in value: inout JSONValue, _ text: String
    ) throws(PatchError) {
        guard let token = path.first else {
            value = operand
            return
        }
        switch value {
        case .object(var object):
            if path.count == 1 {
                object[token] = operand
            } else {
                guard var member = object[token] else { throw missing(text) }
                try add(operand, at: path.dropFirst(), in: &member, text)
                object[token] = member
            }
            value = .object(object)
        case .array(var elements):
            if path.count == 1 {
                if token == "-" {
                    elements.append(operand)
                } else {
                    elements.insert(operand, at: try index(token, limit: elements.count + 1, text))
                }
            } else {
                let position = try index(token, limit: elements.count, text)
                try add(operand, at: path.dropFirst(), in: &elements[position], text)
            }
            value = .array(elements)
        default: throw missing(text)
        }
    }

    private static func replace(
        _ operand: JSONValue, at path: ArraySlice<String>, in value: inout JSONValue, _ text: String
    ) throws(PatchError) {
        guard let token = path.first else {
            value = operand
            return
        }
        switch value {
        case .object(var object):
            guard var member = object[token] else { throw missing(text) }
            try replace(operand, at: path.dropFirst(), in: &member, text)
            object[token] = member
            value = .object(object)
        case .array(var elements):
            let position = try index(token, limit: elements.count, text)
            try replace(operand, at: path.dropFirst(), in: &elements[position], text)
            value = .array(elements)
        default: throw missing(text)
        }
    }

    private static func remove(
        at path: ArraySlice<String>, in value: inout JSONValue, _ text: String
    ) throws(PatchError) -> JSONValue {
        guard let token = path.first else {
            let removed = value
            value = .null
            return removed
        }
        let removed: JSONValue
        switch value {
        case .object(var object):
            guard var member = object[token] else { throw missing(text) }
            if path.count == 1 {
                removed = member
                object.removeValue(forKey: token)
            } else {
                removed = try remove(at: path.dropFirst(), in: &member, text)
                object[token] = member
            }
            value = .object(object)
        case .array(var elements):
            let position = try index(token, limit: elements.count, text)
            if path.count == 1 {
                removed = elements.remove(at: position)
            } else {
                removed = try remove(at: path.dropFirst(), in: &elements[position], text)
            }
            value = .array(elements)
        default: throw missing(text)
        }
        return removed
    }
}

extension JSONValue {
    /// What JSON calls a value of this sort, in Go's messages.
    package var jsonKind: String {
        switch self {
        case .null: "null"
        case .bool: "bool"
        case .string: "string"
        case .integer, .number: "number"
        case .array: "array"
        case .object: "object"
        }
    }
}
