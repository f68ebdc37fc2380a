import KubernetesJSON
import SchemaLanguage

/// Reads messages by the schema.
struct ProtobufDecoder {
    let registry: SchemaRegistry
    private var depth = 0

    init(registry: SchemaRegistry) { self.registry = registry }

    /// Reads the fields of a type, or of a type inlined in it, which `path` leads to.
    mutating func structure(
        _ reader: inout ProtobufReader, _ type: SchemaType, _ path: [Int], into object: inout JSONObject
    ) throws(ProtobufError) {
        depth += 1
        defer { depth -= 1 }
        guard depth <= 100 else {
            throw ProtobufError(
                code: .tooDeep, message: "messages are nested too deep", offset: reader.offset)
        }
        while let tag = try reader.nextField() {
            let inner = path + [tag.number]
            if let field = type.field(protobufPath: inner) {
                try self.field(&reader, field, tag, into: &object)
            } else if type.isInlined(inner), tag.wireType == .lengthDelimited {
                var message = try reader.message()
                try structure(&message, type, inner, into: &object)
            } else {
                try reader.skip(tag.wireType)
            }
        }
    }

    private mutating func field(
        _ reader: inout ProtobufReader, _ field: SchemaField, _ tag: ProtobufReader.Field,
        into object: inout JSONObject
    ) throws(ProtobufError) {
        switch field.type {
        case .array(let element):
            var elements: [JSONValue] = []
            if case .array(let existing)? = object[field.name] { elements = existing }
            object[field.name] = .null
            if tag.wireType == .lengthDelimited, Self.isPackable(element) {
                var packed = try reader.message()
                while !packed.isAtEnd { elements.append(try value(&packed, element, nil)) }
            } else {
                elements.append(try value(&reader, element, tag.wireType))
            }
            object[field.name] = .array(elements)
        case .map(let element):
            try expect(tag.wireType, .lengthDelimited, reader.offset)
            var entry = try reader.message()
            var key = ""
            var member: JSONValue?
            while let inner = try entry.nextField() {
                switch inner.number {
                case 1:
                    try expect(inner.wireType, .lengthDelimited, entry.offset)
                    key = try entry.string()
                case 2: member = try value(&entry, element, inner.wireType)
                default: try entry.skip(inner.wireType)
                }
            }
            var members = object[field.name]?.objectValue ?? JSONObject()
            object[field.name] = .null
            members[key] = member ?? Self.zero(element)
            object[field.name] = .object(members)
        default:
            let value = try value(&reader, field.type, tag.wireType)
            // Go writes every field that is no pointer, also empty ones, which JSON leaves out.
            if field.declaration.presence == .nonEmpty, Self.isZero(value) { return }
            if value.isNull { return }
            object[field.name] = value
        }
    }

    private static func isPackable(_ type: FieldType) -> Bool {
        switch type {
        case .int32, .int64, .bool, .double: return true
        default: return false
        }
    }

    private static func isZero(_ value: JSONValue) -> Bool {
        switch value {
        case .string(let text): return text.isEmpty
        case .integer(let number): return number == 0
        case .number(let number): return number == 0
        case .bool(let truth): return !truth
        default: return false
        }
    }

    private static func zero(_ type: FieldType) -> JSONValue {
        switch type {
        case .string, .bytes: return ""
        case .quantity: return "0"
        case .bool: return false
        case .int32, .int64, .double, .intOrString: return 0
        case .array: return []
        case .named, .map: return .object(JSONObject())
        case .time, .microTime, .duration, .raw: return .null
        }
    }

    private func expect(
        _ found: ProtobufWireType?, _ expected: ProtobufWireType, _ offset: Int
    ) throws(ProtobufError) {
        if let found, found != expected {
            throw ProtobufError(
                code: .wireType, message: "expected a field of layout \(expected), found \(found)",
                offset: offset)
        }
    }

    private mutating func value(
        _ reader: inout ProtobufReader, _ type: FieldType, _ wireType: ProtobufWireType?
    ) throws(ProtobufError) -> JSONValue {
        switch type {
        case .int32, .int64, .bool: try expect(wireType, .varint, reader.offset)
        case .double: try expect(wireType, .fixed64, reader.offset)
        default: try expect(wireType, .lengthDelimited, reader.offset)
        }
        switch type {
        case .string: return .string(try reader.string())
        case .int32: return .integer(Int64(Int32(truncatingIfNeeded: try reader.varint())))
        case .int64: return .integer(Int64(bitPattern: try reader.varint()))
        case .bool: return .bool(try reader.varint() != 0)
        case .double:
            let number = Double(bitPattern: try reader.fixed64())
            return number.isFinite ? .number(number) : .null
        case .bytes: return .string(String(decoding: Base64.encode(try reader.data()), as: UTF8.self))
        case .named(let name):
            var message = try reader.message()
            var object = JSONObject()
            if let inner = registry.type(named: name) { try structure(&message, inner, [], into: &object) }
            return .object(object)
        case .array(let element):
            // A list that is itself an element: a message whose field 1 repeats.
            var message = try reader.message()
            var elements: [JSONValue] = []
            while let tag = try message.nextField() {
                if tag.number == 1 {
                    elements.append(try value(&message, element, tag.wireType))
                } else {
                    try message.skip(tag.wireType)
                }
            }
            return .array(elements)
        default:
            var message = try reader.message()
            return try special(&message, type)
        }
    }

    /// Types with a wire form of their own.
    private func special(_ message: inout ProtobufReader, _ type: FieldType) throws(ProtobufError)
        -> JSONValue
    {
        let isEmpty = message.isAtEnd
        var numbers: [Int: Int64] = [:]
        var texts: [Int: [UInt8]] = [:]
        while let tag = try message.nextField() {
            switch tag.wireType {
            case .varint: numbers[tag.number] = Int64(bitPattern: try message.varint())
            case .lengthDelimited: texts[tag.number] = try message.data()
            default: try message.skip(tag.wireType)
            }
        }
        func text(_ number: Int) throws(ProtobufError) -> String {
            guard let text = String(validating: texts[number] ?? [], as: UTF8.self) else {
                throw ProtobufError(
                    code: .invalidUTF8, message: "string is not UTF-8", offset: message.offset)
            }
            return text
        }
        switch type {
        case .time:
            if isEmpty { return .null }
            return .string(Time(seconds: Int(numbers[1] ?? 0)).description)
        case .microTime:
            if isEmpty { return .null }
            let seconds = Time(seconds: Int(numbers[1] ?? 0)).seconds
            let nanoseconds = min(max(Int(numbers[2] ?? 0), 0), 999_999_999)
            return .string(MicroTime(microseconds: seconds * 1_000_000 + nanoseconds / 1000).description)
        case .duration: return .string(MetaDuration(nanoseconds: Int(numbers[1] ?? 0)).description)
        case .quantity:
            let quantity = try text(1)
            return .string(quantity.isEmpty ? "0" : quantity)
        case .intOrString:
            if numbers[1] ?? 0 == 1 { return .string(try text(3)) }
            return .integer(Int64(Int32(truncatingIfNeeded: numbers[2] ?? 0)))
        default: return try raw(texts[1] ?? [], message.offset)
        }
    }

    /// JSON, or an object in protobuf.
    private func raw(_ bytes: [UInt8], _ offset: Int) throws(ProtobufError) -> JSONValue {
        if bytes.isEmpty { return .null }
        if bytes.starts(with: ProtobufTranscoder.magic), depth < 100 {
            let envelope = try ProtobufTranscoder.envelope(bytes)
            guard let type = registry.type(apiVersion: envelope.apiVersion, kind: envelope.kind) else {
                throw ProtobufError(
                    code: .invalidValue, message: "unknown kind \(envelope.kind) in \(envelope.apiVersion)",
                    offset: offset)
            }
            var object = JSONObject()
            object["kind"] = .string(envelope.kind)
            object["apiVersion"] = .string(envelope.apiVersion)
            var reader = ProtobufReader(envelope.raw)
            var inner = self
            inner.depth += 1
            try inner.structure(&reader, type, [], into: &object)
            return .object(object)
        }
        do {
            return try JSONValue(json: bytes)
        } catch {
            throw ProtobufError(code: .invalidValue, message: error.message, offset: offset)
        }
    }
}
