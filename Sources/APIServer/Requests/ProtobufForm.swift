import KubernetesAPI
import KubernetesJSON

/// Bodies and answers of type `application/vnd.kubernetes.protobuf`.
enum ProtobufForm {
    /// Reads a body, which names its kind itself.
    static func decode(_ bytes: [UInt8], expecting kind: ResourceKind) throws(APIError) -> JSONValue {
        let envelope: ProtobufTranscoder.Envelope
        do {
            envelope = try ProtobufTranscoder.envelope(bytes)
        } catch {
            throw .badRequest(
                "the object provided is unrecognized (must be of type \(kind.kind)): \(error.message)")
        }
        let apiVersion = envelope.apiVersion.isEmpty ? kind.apiVersion : envelope.apiVersion
        let name = envelope.kind.isEmpty ? kind.kind : envelope.kind
        // Options are sent in the version of the resource they are for.
        let isOptions = name == kind.kind && kind.plural.isEmpty
        let schema =
            isOptions
            ? SchemaRegistry.shared.type(named: name)
            : SchemaRegistry.shared.type(apiVersion: apiVersion, kind: name)
        guard let schema else {
            throw .badRequest("no kind \"\(name)\" is registered for version \"\(apiVersion)\"")
        }
        do {
            var value = try ProtobufTranscoder.decode(envelope.raw, schema)
            value["apiVersion"] = .string(apiVersion)
            value["kind"] = .string(name)
            return value
        } catch {
            throw BodyDecoder.cannotHandle(kind, error.message)
        }
    }

    /// Reads what names its kind itself; nil when it is nothing that the schema knows.
    static func decode(_ bytes: [UInt8]) -> JSONValue? {
        guard let envelope = try? ProtobufTranscoder.envelope(bytes),
            let schema = SchemaRegistry.shared.type(apiVersion: envelope.apiVersion, kind: envelope.kind),
            var value = try? ProtobufTranscoder.decode(envelope.raw, schema)
        else { return nil }
        value["apiVersion"] = .string(envelope.apiVersion)
        value["kind"] = .string(envelope.kind)
        return value
    }

    /// Writes an object that names its kind; nil when the schema does not know it.
    static func encode(_ json: [UInt8]) -> [UInt8]? {
        guard
            let value = try? JSONValue(json: json), let kind = value["kind"]?.stringValue,
            let apiVersion = value["apiVersion"]?.stringValue,
            let schema = SchemaRegistry.shared.type(apiVersion: apiVersion, kind: kind)
        else { return nil }
        return try? ProtobufTranscoder.encodeObject(value, schema)
    }
}
