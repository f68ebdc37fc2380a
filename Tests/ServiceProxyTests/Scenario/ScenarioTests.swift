import Glibc
import Testing

@Suite struct ScenarioTests {
    /// The folder `Tests/Scenarios/proxy` of the source tree.
    static let folder =
        #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        + "/Scenarios/proxy"

    static let files: [String] = {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".yaml") { names.append(name) }
        }
        return names.sorted()
    }()

    @Test func theFilesAreThere() {
        #expect(Self.files.count >= 80)
    }

    @Test(arguments: files) func plays(_ file: String) throws {
        let yaml = try Self.contents("\(Self.folder)/\(file)")
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
