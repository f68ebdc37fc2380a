import Glibc
import Testing

@Suite("Stories of endpoints") struct EndpointScenarioTests {
    /// The folder `Tests/Scenarios/endpoints` of the source tree.
    private static let folder =
        #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined() + "/Scenarios/endpoints"

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

    @Test("The files are there") func found() {
        #expect(Self.files.count >= 15)
    }

    @Test("Plays", arguments: files) func plays(_ file: String) throws {
        try EndpointScenario(name: file, yaml: Self.contents("\(Self.folder)/\(file)")).play()
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
