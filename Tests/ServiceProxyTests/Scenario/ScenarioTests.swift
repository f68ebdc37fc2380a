import Glibc
import ScenarioFiles
import Testing

@Suite struct ScenarioTests {
    static let scenarios = ScenarioFiles("proxy")

    static let files = scenarios.names

    @Test func theFilesAreThere() {
        #expect(Self.files.count >= 80)
    }

    @Test(arguments: files) func plays(_ file: String) throws {
        let yaml = try Self.contents("\(Self.scenarios.folder)/\(file)")
        var player = try ScenarioPlayer(try Scenario(name: file, yaml: yaml))
        try player.play()
    }

    static func contents(_ path: String) throws -> String {
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
