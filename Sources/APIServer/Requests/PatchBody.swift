import KubernetesAPI
import KubernetesJSON

/// Patches, and what they make of objects, read and checked as `fieldValidation` asks for it.
enum PatchBody {
    struct Decoded: Sendable {
        var value: JSONValue
        /// Keys that were given twice, and members that no operation has, for those who want to know.
        var problems: [String]
    }

    /// Reads the body of a patch.
    static func decode(
        _ bytes: [UInt8], _ type: PatchType, _ validation: FieldValidation
    ) throws(APIError) -> Decoded {
        if type == .apply { return try configuration(bytes, validation) }
        var duplicates: [String] = []
        let value: JSONValue
        do {
            value = try JSONValue(json: bytes, duplicates: &duplicates)
        } catch {
            // Upstream reads a strategic merge patch elsewhere and says less.
            throw .badRequest((type == .strategic ? "" : "error decoding patch: ") + error.message)
        }
        var problems = duplicates.map { "duplicate field \"\($0)\"" }
        if type == .json {
            problems = problems.map { "json patch \($0)" } + strangers(in: value)
        } else if value.objectValue == nil, !value.isNull {
            let found =
                "json: cannot unmarshal \(value.jsonKind) into Go value of type map[string]interface {}"
            throw .badRequest((type == .strategic ? "" : "error decoding patch: ") + found)
        }
        return Decoded(value: value.isNull ? .object(JSONObject()) : value, problems: problems)
    }

    /// Reads an applied configuration, which is YAML.
    private static func configuration(
        _ bytes: [UInt8], _ validation: FieldValidation
    ) throws(APIError) -> Decoded {
        var duplicates: [String] = []
        let value: JSONValue
        do {
            // Nearly everybody sends JSON, which is YAML too.
            value = try JSONValue(json: bytes, duplicates: &duplicates)
        } catch {
            do {
                value = try YAML.decode(bytes)
            } catch {
                throw .badRequest("error decoding YAML: \(error.status.message)")
            }
        }
        guard value.objectValue != nil || value.isNull else {
            throw .badRequest(
                "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
                    + "\(value.jsonKind) into Go value of type map[string]interface {}")
        }
        let problems = duplicates.map { "line 1: key \"\($0)\" already set in map" }
        if validation == .strict, !problems.isEmpty {
            throw .badRequest(
                "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  "
                    + problems.joined(separator: "\n  "))
        }
        return Decoded(value: value.isNull ? .object(JSONObject()) : value, problems: problems)
    }

    private static func strangers(in patch: JSONValue) -> [String] {
        var problems: [String] = []
        for (index, operation) in (patch.arrayValue ?? []).enumerated() {
            for key in operation.objectValue?.keys ?? [] where !JSONPatch.members.contains(key) {
                problems.append("json patch unknown field \"[\(index)].\(key)\"")
            }
        }
        return problems
    }

    /// The object that a patch made; what is wrong with it is said of the patch.
    static func object<Object: KubernetesObject>(
        _ type: Object.Type, _ tree: JSONValue, _ patch: Decoded, _ language: PatchType,
        _ validation: FieldValidation
    ) throws(APIError) -> BodyDecoder.Decoded<Object> {
        do {
            return try BodyDecoder.fit(
                type, tree, validation, problems: patch.problems, isRestored: language == .strategic)
        } catch {
            throw unfit(
                language == .strategic ? GoValue.text(of: patch.value) : tree.description, error.message)
        }
    }

    private static func unfit(_ shown: String, _ why: String) -> APIError {
        .invalid(
            ResourceKind(group: "", version: "", kind: "", plural: "", singular: "", isNamespaced: false),
            "", [.invalid("patch", .string(shown), why)])
    }

    /// What comes of a JSON or merge patch says itself what it is, and must go on saying so.
    static func checkKind(_ tree: JSONValue, _ kind: ResourceKind) throws(APIError) {
        let name = tree["kind"]?.stringValue ?? ""
        let apiVersion = tree["apiVersion"]?.stringValue ?? ""
        if name == kind.kind, apiVersion == kind.apiVersion { return }
        let shown = tree.description
        if name.isEmpty { throw unfit(shown, "Object 'Kind' is missing in '\(shown)'") }
        if apiVersion.isEmpty { throw unfit(shown, "Object 'apiVersion' is missing in '\(shown)'") }
        guard SchemaRegistry.shared.type(apiVersion: apiVersion, kind: name) != nil else {
            throw unfit(shown, "no kind \"\(name)\" is registered for version \"\(apiVersion)\"")
        }
        let version = apiVersion.split(separator: "/").last ?? ""
        let group = kind.group.isEmpty ? "core" : String(kind.group.prefix { $0 != "." })
        throw unfit(
            shown, "converting (\(version).\(name)) to (\(group).\(kind.kind)): unknown conversion")
    }
}
