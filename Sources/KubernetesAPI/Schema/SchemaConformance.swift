import KubernetesJSON
import SchemaLanguage

/// Compares a tree with the schema: unknown fields are named and removed, values of a wrong type are an error.
public enum SchemaConformance {
    /// What a tree and the schema disagree about, in upstream's words.
    public struct Report: Sendable, Hashable {
        /// `unknown field "spec.foo"`, `duplicate field "spec.foo"`, in the order of the document.
        public var problems: [String] = []
        /// The first value of a wrong type: `json: cannot unmarshal string into Go struct field …`.
        public var typeError: String?
        /// The same as upstream says it of a strategic merge patch, whose outcome it does not read as JSON.
        public var restoreError: String?

        /// Makes a report without complaints.
        public init() {}

        /// All problems as the error of a strict request.
        public var strictError: String? {
            problems.isEmpty ? nil : "strict decoding error: " + problems.joined(separator: ", ")
        }
    }

    /// Removes what the schema does not have and reports it.
    /// - Parameters:
    ///   - value: The object; afterwards it holds only fields of the schema.
    ///   - type: The type of the object.
    ///   - duplicates: Paths of keys that the document held more than once.
    public static func prune(
        _ value: inout JSONValue, _ type: SchemaType, duplicates: [String] = [],
        registry: SchemaRegistry = .shared
    ) -> Report {
        var check = ConformanceCheck(registry: registry)
        let path = ConformancePath(steps: [], owner: type.upstreamName)
        check.structure(&value, type, path)
        var report = Report()
        // One message a path: a client that repeats a key in every element is told once each, not twice.
        for duplicate in duplicates { report.problems.append("duplicate field \(GoText.quoted(duplicate))") }
        report.problems += check.unknown.map { "unknown field \(GoText.quoted($0))" }
        report.typeError = check.typeError
        report.restoreError = check.restoreError ?? check.typeError.map { "error decoding from json: \($0)" }
        return report
    }
}

/// Where a value is: `spec.ports[0]`, and the struct and the field names that a type error shows.
private struct ConformancePath {
    /// Keys and indices; `[0]` for an index.
    var steps: [String]
    /// The struct that holds the field which is looked at.
    var owner: String
    /// The path as Go's decoder counts it: fields of structs, but neither indices nor keys of maps.
    var names: String = ""

    func field(_ name: String, of owner: String) -> ConformancePath {
        ConformancePath(steps: steps + [name], owner: owner, names: names.isEmpty ? name : "\(names).\(name)")
    }

    func element(_ index: Int) -> ConformancePath { member("[\(index)]") }

    func member(_ key: String) -> ConformancePath {
        ConformancePath(steps: steps + [key], owner: owner, names: names)
    }

    /// `spec.ports[0].targetPort`
    var text: String {
        var text = ""
        for step in steps {
            if !text.isEmpty, !step.hasPrefix("[") { text += "." }
            text += step
        }
        return text
    }
}

private struct ConformanceCheck {
    let registry: SchemaRegistry
    var unknown: [String] = []
    var typeError: String?
    var restoreError: String?

    private mutating func mismatch(_ value: JSONValue, _ path: ConformancePath, _ goType: String) {
        guard typeError == nil else { return }
        restoreError = Self.restoreError(value, goType)
        let found: String
        switch value {
        case .null: found = "null"
        case .bool: found = "bool"
        case .string: found = "string"
        case .array: found = "array"
        case .object: found = "object"
        case .integer(let number): found = "number \(number)"
        case .number(let number): found = "number \(JSONValue.number(number))"
        }
        // The number itself is shown only where another number would have been right.
        let isNumberType = goType.hasPrefix("int")
        let shown = found.hasPrefix("number") && !isNumberType ? "number" : found
        let field = path.names.isEmpty ? "value" : "struct field \(path.owner).\(path.names)"
        typeError = "json: cannot unmarshal \(shown) into Go \(field) of type \(goType)"
    }

    /// What Go's converter of trees into structs says.
    private static func restoreError(_ value: JSONValue, _ goType: String) -> String {
        let found: String
        switch value {
        case .null: found = "invalid"
        case .bool: found = "bool"
        case .string: found = "string"
        case .array: found = "slice"
        case .object: found = "map"
        case .integer: found = "int64"
        case .number: found = "float64"
        }
        switch goType {
        case "string":
            return found == "int64" ? "cannot convert int64 to string" : "unrecognized type: string"
        case "int32", "int64":
            return found == "float64"
                ? "cannot convert float64 to \(goType)" : "unrecognized type: \(goType)"
        case "bool", "float64": return "unrecognized type: \(goType)"
        default: break
        }
        if goType.hasPrefix("[]") { return "cannot restore slice from \(found)" }
        if goType.hasPrefix("map[") { return "cannot restore map from \(found)" }
        return "cannot restore struct from: \(found)"
    }

    mutating func structure(_ value: inout JSONValue, _ type: SchemaType, _ path: ConformancePath) {
        if value.isNull { return }
        guard case .object(var object) = value else {
            mismatch(value, path, goName(type))
            return
        }
        value = .null
        for key in object.keys {
            if type.kind != nil, key == "kind" || key == "apiVersion" {
                if let member = object[key], member.stringValue == nil, !member.isNull {
                    mismatch(member, path.field(key, of: type.upstreamName), "string")
                }
                continue
            }
            let inner = path.field(key, of: type.upstreamName)
            guard let field = type.field(key) else {
                unknown.append(inner.text)
                object.removeValue(forKey: key)
                continue
            }
            guard var member = object[key] else { continue }
            object[key] = .null
            self.member(&member, field.type, inner)
            object[key] = member
        }
        value = .object(object)
    }

    private mutating func member(_ value: inout JSONValue, _ type: FieldType, _ path: ConformancePath) {
        if value.isNull { return }
        switch type {
        case .named(let name):
            if let inner = registry.type(named: name) { structure(&value, inner, path) }
        case .array(let element):
            guard case .array(var elements) = value else {
                mismatch(value, path, goName(type))
                return
            }
            value = .null
            for index in elements.indices { member(&elements[index], element, path.element(index)) }
            value = .array(elements)
        case .map(let element):
            guard case .object(var members) = value else {
                mismatch(value, path, goName(type))
                return
            }
            value = .null
            for key in members.keys {
                guard var inner = members[key] else { continue }
                member(&inner, element, path.member(key))
                members[key] = inner
            }
            value = .object(members)
        default: scalar(value, type, path)
        }
    }

    private mutating func scalar(_ value: JSONValue, _ type: FieldType, _ path: ConformancePath) {
        let isRight: Bool
        switch type {
        case .string: isRight = value.stringValue != nil
        case .bool: isRight = value.boolValue != nil
        case .int32: isRight = value.integerValue.map { Int32(exactly: $0) != nil } ?? false
        case .int64: isRight = value.integerValue != nil
        case .double: isRight = value.doubleValue != nil
        case .bytes:
            if let text = value.stringValue {
                if typeError == nil, Base64.decode(text) == nil {
                    typeError = "illegal base64 data at input byte \(Self.base64ErrorOffset(text))"
                }
                return
            }
            isRight = false
        case .intOrString:
            isRight =
                value.stringValue != nil || (value.integerValue.map { Int32(exactly: $0) != nil } ?? false)
            if !isRight {
                // Decoded by a function of its own, which knows nothing of the field it is in.
                mismatch(value, ConformancePath(steps: [], owner: ""), "int32")
                return
            }
        case .quantity:
            guard typeError == nil else { return }
            switch value {
            case .string, .integer, .number:
                do {
                    _ = try Quantity(value)
                } catch {
                    typeError = error.message
                }
                return
            default: isRight = false
            }
        case .time:
            guard let text = value.stringValue else {
                isRight = false
                break
            }
            if typeError == nil, Time(text) == nil { typeError = Self.timeError(text) }
            return
        case .microTime:
            guard let text = value.stringValue else {
                isRight = false
                break
            }
            if typeError == nil, MicroTime(text) == nil { typeError = Self.timeError(text) }
            return
        case .duration:
            guard let text = value.stringValue else {
                isRight = false
                break
            }
            if typeError == nil, MetaDuration(text) == nil {
                typeError = "time: invalid duration \(GoText.quoted(text))"
            }
            return
        case .raw, .array, .map, .named: return
        }
        if !isRight { mismatch(value, path, goName(type)) }
    }

    /// How Go's time package begins to complain; what follows depends on where its parser stopped.
    private static func timeError(_ text: String) -> String {
        let shown = GoText.quoted(text)
        return "parsing time \(shown) as \"2006-01-02T15:04:05Z07:00\": cannot parse \(shown) as \"2006\""
    }

    private static func base64ErrorOffset(_ text: String) -> Int {
        var offset = 0
        for byte in text.utf8 {
            switch byte {
            case 65...90, 97...122, 48...57, 43, 47, 10, 13: offset += 1
            default: return offset
            }
        }
        return offset
    }

    // MARK: Go's names of types

    private func goName(_ type: SchemaType) -> String {
        let version = type.definitionName.split(separator: ".").dropLast().last ?? "v1"
        return "\(version).\(type.upstreamName)"
    }

    private func goName(_ type: FieldType) -> String {
        switch type {
        case .string, .time, .microTime, .duration: return "string"
        case .int32, .intOrString: return "int32"
        case .int64: return "int64"
        case .bool: return "bool"
        case .double: return "float64"
        case .bytes: return "[]uint8"
        case .quantity: return "resource.Quantity"
        case .raw: return "runtime.RawExtension"
        case .array(let element): return "[]" + goName(element)
        case .map(let element): return "map[string]" + goName(element)
        case .named(let name): return registry.type(named: name).map(goName) ?? name
        }
    }
}
