import Glibc
import ScenarioFiles
import Testing

@Suite("Stories of endpoints") struct EndpointScenarioTests {
    private static let scenarios = ScenarioFiles("endpoints")

    static let files = scenarios.names

    @Test("The files are there") func found() {
        #expect(Self.files.count >= 15)
    }

    @Test("Plays", arguments: files) func plays(_ file: String) throws {
        try EndpointScenario(name: file, yaml: Self.contents("\(Self.scenarios.folder)/\(file)")).play()
    }

    private static func contents(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0, "cannot open \(path)")
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
