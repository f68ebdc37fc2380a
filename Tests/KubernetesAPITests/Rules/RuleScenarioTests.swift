import Glibc
import KubernetesAPI
import KubernetesJSON
import Testing

@Suite struct RuleScenarioTests {
    private static let folder =
        #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined() + "/Scenarios/rules"

    static let files = [
        "access", "autoscaler", "cluster", "configuration", "containers", "deployment", "endpoints", "job",
        "metadata", "networking",
        "pod", "pod-changes", "recorded", "service", "stateful-and-daemon-sets", "volumes", "workloads",
        "limits", "scheduling", "storage", "warnings", "windows",
    ]

    private func scenarios(_ name: String) throws -> [RuleScenario] {
        let path = "\(Self.folder)/\(name).yaml"
        let file = try #require(fopen(path, "r"), "no file \(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
        return try RuleScenario.read(String(decoding: bytes, as: UTF8.self))
    }

    @Test(arguments: files) func whatIsRightIsAccepted(_ name: String) throws {
        for scenario in try scenarios(name) {
            for edit in [.object(JSONObject())] + scenario.list("accepts")
            where scenario.content["recorded"] == nil {
                let findings = try scenario.findings(creating: edit)
                #expect(findings == [], "\(scenario.kind) with \(edit)")
            }
        }
    }

    @Test(arguments: files) func whatIsWrongIsSaidInUpstreamsWords(_ name: String) throws {
        for scenario in try scenarios(name) {
            for test in scenario.list("refuses") {
                let expected = test["findings"]?.arrayValue?.compactMap(\.stringValue) ?? []
                let findings = try scenario.findings(creating: test["edit"])
                #expect(findings == expected, "\(scenario.kind) with \(test["edit"] ?? .null)")
                #expect(!expected.isEmpty)
            }
        }
    }

    @Test(arguments: ["warnings"]) func whatIsQuestionableIsSaid(_ name: String) throws {
        for scenario in try scenarios(name) {
            #expect(try scenario.warnings(about: [:]) == [])
            for test in scenario.list("warns") {
                let expected = test["warnings"]?.arrayValue?.compactMap(\.stringValue) ?? []
                let warnings = try scenario.warnings(about: test["edit"])
                #expect(warnings == expected, "\(scenario.kind) with \(test["edit"] ?? .null)")
                #expect(!expected.isEmpty)
                #expect(try scenario.findings(creating: test["edit"]) == [])
            }
        }
    }

    @Test(arguments: files) func changesAreJudged(_ name: String) throws {
        for scenario in try scenarios(name) {
            for list in ["changes", "status"] {
                for test in scenario.list(list) {
                    let expected = test["findings"]?.arrayValue?.compactMap(\.stringValue) ?? []
                    let findings = try scenario.findings(
                        from: test["before"], to: test["after"], statusOnly: list == "status")
                    #expect(
                        findings == expected, "\(scenario.kind) from \(test["before"] ?? .null) to \(test)")
                }
            }
        }
    }

    @Test(arguments: files) func defaultsAreFilledIn(_ name: String) throws {
        for scenario in try scenarios(name) {
            for test in scenario.list("defaults") {
                let becomes = try #require(test["becomes"])
                let object = try scenario.object(test["edit"])
                #expect(object.lacks(becomes) == nil, "\(scenario.kind) with \(test["edit"] ?? .null)")
                // Doing it twice changes nothing.
                let again = try scenario.object(object)
                #expect(again == object)
            }
        }
    }
}
