import KubernetesJSON
import SchemaLanguage

/// Turns objects in protobuf into trees and back, by the schema.
public enum ProtobufTranscoder {
    /// What begins every object in protobuf (`application/vnd.kubernetes.protobuf`).
    public static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    /// The envelope of an object (runtime.Unknown).
    public struct Envelope: Sendable, Hashable {
        /// Group and version of the kind.
        public var apiVersion = ""
        /// The kind.
        public var kind = ""
        /// The object.
        public var raw: [UInt8] = []
        /// How the object is compressed; empty for not at all.
        public var contentEncoding = ""
        /// What the object is in; empty for protobuf.
        public var contentType = ""

        /// Makes an empty envelope.
        public init() {}
    }

    /// Reads an envelope.
    public static func envelope(_ bytes: [UInt8]) throws(ProtobufError) -> Envelope {
        guard bytes.starts(with: magic) else {
            throw ProtobufError(
                code: .malformed,
                message: "provided data does not appear to be a protobuf message, "
                    + "expected prefix [107 56 115 0]", offset: 0)
        }
        var reader = ProtobufReader(Array(bytes.dropFirst(magic.count)))
        var envelope = Envelope()
        while let field = try reader.nextField() {
            guard field.number <= 4, field.wireType == .lengthDelimited else {
                try reader.skip(field.wireType)
                continue
            }
            switch field.number {
            case 1:
                var type = try reader.message()
                while let inner = try type.nextField() {
                    switch (inner.number, inner.wireType) {
                    case (1, .lengthDelimited): envelope.apiVersion = try type.string()
                    case (2, .lengthDelimited): envelope.kind = try type.string()
                    default: try type.skip(inner.wireType)
                    }
                }
            case 2: envelope.raw = try reader.data()
            case 3: envelope.contentEncoding = try reader.string()
            default: envelope.contentType = try reader.string()
            }
        }
        return envelope
    }

    /// Reads an object in its envelope.
    /// - Returns: The tree, with `kind` and `apiVersion`; nil when the schema lacks the kind.
    public static func decodeObject(
        _ bytes: [UInt8], registry: SchemaRegistry = .shared
    ) throws(ProtobufError) -> JSONValue? {
        let envelope = try envelope(bytes)
        guard let type = registry.type(apiVersion: envelope.apiVersion, kind: envelope.kind) else {
            return nil
        }
        var object = JSONObject()
        object["kind"] = .string(envelope.kind)
        object["apiVersion"] = .string(envelope.apiVersion)
        var decoder = ProtobufDecoder(registry: registry)
        var reader = ProtobufReader(envelope.raw)
        try decoder.structure(&reader, type, [], into: &object)
        return .object(object)
    }

    /// Reads a message.
    public static func decode(
        _ bytes: [UInt8], _ type: SchemaType, registry: SchemaRegistry = .shared
    ) throws(ProtobufError) -> JSONValue {
        var object = JSONObject()
        var decoder = ProtobufDecoder(registry: registry)
        var reader = ProtobufReader(bytes)
        try decoder.structure(&reader, type, [], into: &object)
        return .object(object)
    }

    /// Writes an object in its envelope. Its kind is that of the type.
    public static func encodeObject(
        _ value: JSONValue, _ type: SchemaType, registry: SchemaRegistry = .shared
    ) throws(ProtobufError) -> [UInt8] {
        var typeMeta = ProtobufWriter()
        typeMeta.string(1, type.kind?.apiVersion ?? value["apiVersion"]?.stringValue ?? "")
        typeMeta.string(2, type.kind?.kind ?? value["kind"]?.stringValue ?? "")
        var writer = ProtobufWriter()
        writer.message(1, typeMeta)
        writer.data(2, try encode(value, type, registry: registry))
        writer.string(3, "")
        writer.string(4, "")
        return magic + writer.bytes
    }

    /// Writes a message.
    public static func encode(
        _ value: JSONValue, _ type: SchemaType, registry: SchemaRegistry = .shared
    ) throws(ProtobufError) -> [UInt8] {
        let encoder = ProtobufEncoder(registry: registry)
        return try encoder.structure(value.objectValue ?? JSONObject(), type, []).bytes
    }
}
