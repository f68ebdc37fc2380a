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
        let steps = try #require(try yaml(try Self.scenarios.contents(of: file)).arrayValue)
        var player = ScenarioPlayer()
        for (index, step) in steps.enumerated() { try player.play(step, "\(file), step \(index + 1)") }
        #expect(!steps.isEmpty)
    }
}

/// A YAML document as a JSON tree.
func yaml(_ text: String) throws -> JSONValue {
    JSONValue(yaml: try #require(try Yams.compose(yaml: text)))
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
