import NodeAgent
import ScenarioFiles
import Testing
import Yams

/// Stories of pods at the gates; `Tests/Scenarios/gates/README.md` describes the files.
@Suite("Stories of pods at the gates") struct GateScenarioTests {
    private struct Mistake: Error { let description: String }

    private static let files = ScenarioFiles("gates")

    @Test("The files are there") func found() {
        #expect(Self.files.names.count >= 10)
    }

    @Test("Plays", arguments: files.names) func plays(_ file: String) throws {
        let content = try Yams.compose(yaml: Self.files.contents(of: file))
        let steps = content?["steps"]?.sequence.map(Array.init) ?? []
        try #require(!steps.isEmpty, "\(file): a scenario has a list of steps")
        var gates = TerminationGates(at: .zero, limit: .milliseconds(content?["limit"]?.int ?? 5000))
        for step in steps {
            let what = "\(file): \(step["what"]?.string ?? "a step")"
            for (key, _) in step.mapping ?? [:] {
                let words: Set = ["what", "at", "standing", "counted", "passes", "next"]
                guard words.contains(key.string ?? "") else { throw Mistake(description: "\(what): \(key)") }
            }
            let decision = gates.step(
                try standing(step["standing"]?.string, what), try connections(step["counted"]?.string, what),
                at: .milliseconds(try #require(step["at"]?.int, "\(what): when?")))
            #expect(
                decision.reports.map(\.reason)
                    == (step["passes"]?.sequence.map { $0.compactMap(\.string) } ?? []),
                "\(what): gates passed")
            #expect(text(decision.next) == step["next"]?.string, "\(what): what is next")
        }
    }

    private func standing(_ word: String?, _ what: String) throws -> TrafficStanding {
        switch word {
        case "apart": return .apart
        case "left": return .left
        case "leaving": return .leaving
        case "lastResort": return .lastResort
        case "reached": return .reached
        case "unknown": return .unknown
        default: throw Mistake(description: "\(what): \"\(word ?? "")\" is no standing")
        }
    }

    private func connections(_ words: String?, _ what: String) throws -> PodConnections? {
        guard let words else { return nil }
        var connections = PodConnections()
        for part in words.split(separator: ",").map({ $0.drop { $0 == " " } }) where part != "nothing" {
            let number = part.split(separator: " ").first.flatMap { Int($0) }
            if part == "recent" {
                connections.areRecent = true
            } else if part == "flows" {
                connections.mayGoOn = true
            } else if let number, part.hasSuffix(" open") {
                connections.open = number
            } else {
                throw Mistake(description: "\(what): \"\(part)\" cannot be counted")
            }
        }
        return connections
    }

    private func text(_ next: TerminationGates.Next) -> String {
        switch next {
        case .count: "count"
        case .open: "open"
        case .wait(let duration): "wait \(Int(duration / .milliseconds(1)))"
        }
    }
}
