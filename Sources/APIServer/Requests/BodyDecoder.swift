import KubernetesAPI
import KubernetesJSON

/// From the bytes of a body to a typed object with defaults, unknown fields reported.
enum BodyDecoder {
    struct Decoded<Object: Sendable>: Sendable {
        var object: Object
        var warnings: [String]
        /// `metadata.managedFields` as sent: an empty list there is not the same as none.
        var managedFields: JSONValue?
    }

    /// Why a tree is no object of a type.
    struct Misfit: Error {
        var message: String
    }

    /// The formats a body can have.
    enum Format: Sendable, Hashable {
        case json, yaml, protobuf

        /// - Throws: `unsupportedMediaType`.
        init(contentType: String?) throws(APIError) {
            let essence =
                (contentType ?? "").split(separator: ";").first.map { String($0.trimmed()) } ?? ""
            switch essence.asciiLowercased() {
            case "", "application/json", "*/*": self = .json
            case "application/yaml", "text/yaml", "application/x-yaml": self = .yaml
            case "application/vnd.kubernetes.protobuf": self = .protobuf
            default: throw .unsupportedMediaType(ResponseForm.acceptedTypes)
            }
        }
    }

    /// Reads a body as an object of a kind.
    ///
    /// - Parameter oldVersions: versions of the kind's group in which it was the same, and is taken still.
    static func decode<Object: KubernetesObject>(
        _ type: Object.Type, _ bytes: [UInt8], contentType: String?, _ validation: FieldValidation,
        oldVersions: [String] = []
    ) throws(APIError) -> Decoded<Object> {
        let format = try Format(contentType: contentType)
        var duplicates: [String] = []
        let kind = Object.resource
        var value = try tree(bytes, format, kind, &duplicates)
        let version = value["apiVersion"]?.stringValue ?? ""
        if value["kind"]?.stringValue == kind.kind,
            oldVersions.contains(where: { "\(kind.group)/\($0)" == version })
        {
            value["apiVersion"] = .string(kind.apiVersion)
        }
        return try object(type, value, validation, duplicates: duplicates)
    }

    /// Reads DeleteOptions, which clients also send as `v1` of any group.
    static func options(_ bytes: [UInt8], contentType: String?) throws(APIError) -> DeleteOptions {
        let format = try Format(contentType: contentType)
        var duplicates: [String] = []
        let value = try tree(bytes, format, DeleteOptions.resource, &duplicates)
        if let kind = value["kind"]?.stringValue, !kind.isEmpty, kind != "DeleteOptions" {
            throw .badRequest("expected a DeleteOptions in the body, found a \(kind)")
        }
        do {
            return try DeleteOptions(value)
        } catch {
            throw cannotHandle(DeleteOptions.resource, error.message)
        }
    }

    private static func tree(
        _ bytes: [UInt8], _ format: Format, _ kind: ResourceKind, _ duplicates: inout [String]
    ) throws(APIError) -> JSONValue {
        switch format {
        case .json:
            do {
                return try JSONValue(json: bytes, duplicates: &duplicates)
            } catch {
                throw unrecognized(kind, bytes, error.message)
            }
        case .yaml:
            return try YAML.decode(bytes)
        case .protobuf:
            return try ProtobufForm.decode(bytes, expecting: kind)
        }
    }

    /// Makes an object of a tree: checks kind and version, prunes, fills in defaults.
    static func object<Object: KubernetesObject>(
        _ type: Object.Type, _ tree: JSONValue, _ validation: FieldValidation, duplicates: [String] = []
    ) throws(APIError) -> Decoded<Object> {
        var value = tree
        let kind = Object.resource
        guard value.objectValue != nil else {
            throw unrecognized(
                kind, value.json(),
                "json: cannot unmarshal \(value.jsonKind) into Go value of type struct { APIVersion string "
                    + #""json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#)
        }
        try checkKind(&value, kind)
        do {
            return try fit(type, value, validation, problems: duplicates.map { "duplicate field \"\($0)\"" })
        } catch {
            throw cannotHandle(kind, error.message)
        }
    }

    /// Makes an object of a tree of the right kind: prunes, fills in defaults.
    ///
    /// - Parameters:
    ///   - problems: what was noticed before.
    ///   - isRestored: whether wrong types are reported as of a tree, not as of JSON.
    static func fit<Object: KubernetesObject>(
        _ type: Object.Type, _ tree: JSONValue, _ validation: FieldValidation, problems: [String] = [],
        isRestored: Bool = false
    ) throws(Misfit) -> Decoded<Object> {
        var value = tree
        let kind = Object.resource
        var problems = problems
        if let schema = SchemaRegistry.shared.type(group: kind.group, version: kind.version, kind: kind.kind)
        {
            let report = SchemaConformance.prune(&value, schema)
            if let typeError = isRestored ? report.restoreError : report.typeError {
                throw Misfit(message: typeError)
            }
            problems += report.problems
            if validation == .strict, !problems.isEmpty {
                throw Misfit(message: "strict decoding error: " + problems.joined(separator: ", "))
            }
            SchemaDefaults.apply(to: &value, schema)
        }
        var object: Object
        do {
            object = try Object(value)
        } catch {
            throw Misfit(message: error.message)
        }
        Validation.applyDefaults(&object)
        let managed = value.value(at: "metadata", "managedFields")
        return Decoded(
            object: object, warnings: validation == .warn ? problems : [],
            managedFields: managed?.isNull == true ? nil : managed)
    }

    private static func checkKind(_ value: inout JSONValue, _ kind: ResourceKind) throws(APIError) {
        let apiVersion = value["apiVersion"]?.stringValue ?? ""
        let name = value["kind"]?.stringValue ?? ""
        if !apiVersion.isEmpty, apiVersion != kind.apiVersion {
            let known = SchemaRegistry.shared.type(apiVersion: apiVersion, kind: name) != nil
            guard known || name.isEmpty else {
                throw unregistered(name, apiVersion, kind)
            }
            throw .badRequest(
                "the API version in the data (\(apiVersion)) does not match the expected API version "
                    + "(\(kind.apiVersion))")
        }
        if !name.isEmpty, name != kind.kind {
            guard SchemaRegistry.shared.type(apiVersion: kind.apiVersion, kind: name) != nil else {
                throw unregistered(name, kind.apiVersion, kind)
            }
            throw .badRequest(
                "\(name) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): "
                    + "converting (\(kind.version).\(name)) to (\(kind.version).\(kind.kind)): unknown conversion"
            )
        }
        value["apiVersion"] = .string(kind.apiVersion)
        value["kind"] = .string(kind.kind)
    }

    private static func unregistered(_ name: String, _ apiVersion: String, _ kind: ResourceKind) -> APIError {
        let version = apiVersion.split(separator: "/").last.map(String.init) ?? apiVersion
        return .badRequest(
            "\(name) in version \"\(version)\" cannot be handled as a \(kind.kind): "
                + "no kind \"\(name)\" is registered for version \"\(apiVersion)\"")
    }

    /// A body of the right kind with something wrong in it.
    static func cannotHandle(_ kind: ResourceKind, _ why: String) -> APIError {
        .badRequest("\(kind.kind) in version \"\(kind.version)\" cannot be handled as a \(kind.kind): \(why)")
    }

    /// A body that is no object at all.
    private static func unrecognized(_ kind: ResourceKind, _ bytes: [UInt8], _ why: String) -> APIError {
        .badRequest(
            "the object provided is unrecognized (must be of type \(kind.kind)): couldn't get version/kind; "
                + "json parse error: \(why) (\(summary(bytes)))")
    }

    /// The beginning of a body in hexadecimal digits, as upstream shows it.
    private static func summary(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        guard !bytes.isEmpty else { return "<empty>" }
        var text = ""
        for byte in bytes.prefix(30) {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return bytes.count > 30 ? text + " ..." : text
    }
}
