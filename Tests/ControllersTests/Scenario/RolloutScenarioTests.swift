import ScenarioFiles
import Testing

@Suite("Stories of Deployments and ReplicaSets") struct RolloutScenarioTests {
    private static let rollouts = ScenarioFiles("rollouts")
    private static let replicaSets = ScenarioFiles("replicasets")

    @Test("The files are there") func found() {
        #expect(Self.rollouts.names.count >= 9)
        #expect(Self.replicaSets.names.count >= 4)
    }

    @Test("A Deployment", arguments: rollouts.names) func rolls(_ file: String) throws {
        var scenario = try RolloutScenario(name: file, yaml: Self.rollouts.contents(of: file))
        try scenario.play()
    }

    @Test("A ReplicaSet", arguments: replicaSets.names) func keeps(_ file: String) throws {
        try ReplicaSetScenario(name: file, yaml: Self.replicaSets.contents(of: file)).play()
    }
}
