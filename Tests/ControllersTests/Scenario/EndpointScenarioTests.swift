import ScenarioFiles
import Testing

@Suite("Stories of endpoints") struct EndpointScenarioTests {
    private static let scenarios = ScenarioFiles("endpoints")

    static let files = scenarios.names

    @Test("The files are there") func found() {
        #expect(Self.files.count >= 15)
    }

    @Test("Plays", arguments: files) func plays(_ file: String) throws {
        try EndpointScenario(name: file, yaml: Self.scenarios.contents(of: file)).play()
    }
}
