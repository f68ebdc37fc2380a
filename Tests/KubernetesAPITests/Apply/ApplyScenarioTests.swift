import Glibc
import KubernetesAPI
import KubernetesJSON
import ScenarioFiles
import Testing
import Yams

/// Plays the files of `Tests/Scenarios/apply`; the README beside them tells what they hold.
@Suite struct ApplyScenarioTests {
    private static let scenarios = ScenarioFiles("apply")

    static let files = scenarios.names

    @Test func theFilesAreThere() { #expect(Self.files.count >= 8) }

    @Test(arguments: files) func plays(_ file: String) throws {
        let steps = try #require(try yaml(try text(of: "\(Self.scenarios.folder)/\(file)")).arrayValue)
        var player = ScenarioPlayer()
        for (index, step) in steps.enumerated() { try player.play(step, "\(file), step \(index + 1)") }
        #expect(!steps.isEmpty)
    }

    private func text(of path: String) throws -> String {
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0, "cannot open \(path)")
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            try #require(count >= 0)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}

/// A YAML document as a JSON tree.
func yaml(_ text: String) throws -> JSONValue {
    let node = try #require(try Yams.compose(yaml: text))
    return value(node)
}

private func value(_ node: Yams.Node) -> JSONValue {
    if let sequence = node.sequence { return .array(sequence.map(value)) }
    if let mapping = node.mapping {
        return .object(JSONObject(mapping.map { ($0.key.string ?? "", value($0.value)) }))
    }
    let text = node.string ?? ""
    guard case .scalar(let scalar) = node, scalar.style == .plain else { return .string(text) }
    if let number = Int64(text) { return .integer(number) }
    switch text {
    case "true": return true
    case "false": return false
    case "null", "~", "": return nil
    default: return .string(text)
    }
}

private struct ScenarioPlayer {
    private var live: JSONValue?
    private var type: SchemaType?
    private var time = 0

    mutating func play(_ step: JSONValue, _ place: Comment) throws {
        time += 1
        do {
            live = try write(step)
            let message = "expected an error: \(step["error"]?.stringValue ?? "")"
            #expect(step["error"] == nil, "\(place): \(message)")
        } catch let error as APIError {
            #expect(error.status.message == step["error"]?.stringValue, place)
            if let causes = step["causes"]?.arrayValue {
                #expect((error.status.details?.causes ?? []).map { .string($0.field) } == causes, place)
            }
        }
        for (key, expected) in step["object"]?.objectValue ?? JSONObject() {
            var found = live
            found?["metadata"]?["managedFields"] = nil
            #expect(found?[key] == expected, place)
        }
        if let owners = step["owners"]?.objectValue {
            var expected: [String: Set<String>] = [:]
            for (owner, paths) in owners {
                expected[owner] = Set((paths.arrayValue ?? []).compactMap(\.stringValue))
            }
            #expect(try owned() == expected, place)
        }
    }

    private func owned() throws -> [String: Set<String>] {
        var owners: [String: Set<String>] = [:]
        for entry in try ManagerEntries(live?.value(at: "metadata", "managedFields")).entries {
            let subresource = entry.subresource.isEmpty ? "" : " \(entry.subresource)"
            let name = "\(entry.manager) \(entry.operation.rawValue)\(subresource)"
            owners[name] = Set(entry.fields.paths.map(\.description))
        }
        return owners
    }

    private mutating func write(_ step: JSONValue) throws -> JSONValue {
        let manager = step["as"]?.stringValue ?? ""
        let subresource = step["subresource"]?.stringValue ?? ""
        let now = Time(seconds: time)
        let object = step["apply"] ?? step["create"] ?? step["update"]
        if type == nil {
            let (version, kind) = (object?["apiVersion"]?.stringValue, object?["kind"]?.stringValue)
            type = SchemaRegistry.shared.type(apiVersion: version ?? "", kind: kind ?? "")
        }
        let type = try #require(type)
        if let configuration = step["apply"] {
            return try ServerSideApply.apply(
                configuration, to: live, type, manager: manager, force: step["force"]?.boolValue ?? false,
                subresource: subresource, now: now)
        }
        let before = live ?? .object(JSONObject())
        if let patch = step["default"] { return try JSONPatch.apply(patch, to: before) }
        var new = object ?? before
        if let patch = step["merge"] { new = MergePatch.apply(patch, to: before) }
        if let patch = step["patch"] { new = try JSONPatch.apply(patch, to: before) }
        return ManagedFields.updating(
            live: live, new: new, type: type, manager: manager, subresource: subresource, now: now)
    }
}
