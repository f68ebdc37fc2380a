import ContainerRuntime
import Glibc
import HTTPService
import KubernetesAPI
import NodeAgent
import Synchronization
import Testing

@Suite struct VolumeFilesTests {
    @Test func filesAreReplacedTogether() throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/v"
        var files = VolumeFiles()
        try files.add("a", [1], mode: 0o644)
        try files.add("dir/b", [2], mode: 0o600)
        try files.write(to: path, group: nil)
        #expect(try Files.read("\(path)/a") == [1])
        #expect(try Files.read("\(path)/dir/b") == [2])
        var later = VolumeFiles()
        try later.add("a", [3], mode: 0o644)
        try later.write(to: path, group: nil)
        #expect(try Files.read("\(path)/a") == [3])
        #expect(Files.list(path).filter { !$0.hasPrefix("..") } == ["a"])
        #expect(Files.list(path).filter { $0.hasPrefix("..") }.count == 2)
    }

    @Test(arguments: ["../x", "a/../../b", "/etc/passwd", "", "..data", "a//b"])
    func pathsStayInside(path: String) {
        var files = VolumeFiles()
        #expect(throws: ContainerConfigurationError.self) { try files.add(path, [], mode: 0o644) }
    }
}

@Suite struct LogTests {
    private static let log = """
        2026-01-02T03:04:05.000000001Z stdout F one
        2026-01-02T03:04:06.000000001Z stderr F two
        2026-01-02T03:04:07.000000001Z stdout P thr
        2026-01-02T03:04:07.000000002Z stdout F ee
        2026-01-02T03:04:08.000000001Z stdout F

        """

    private static func read(_ change: (inout LogOptions) -> Void) async throws -> String {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/0.log"
        try Files.write(Array(log.utf8), to: path)
        var options = LogOptions()
        change(&options)
        let writer = CollectingWriter()
        try await LogReader(path: path, options: options)
            .run(to: writer, occasions: AsyncStream { $0.finish() }) { true }
        return writer.text
    }

    @Test func linesAreJoinedAndChosen() async throws {
        #expect(try await Self.read { _ in } == "one\ntwo\nthree\n\n")
        #expect(try await Self.read { $0.tailLines = 1 } == "\n")
        #expect(try await Self.read { $0.tailLines = 4 } == "two\nthree\n\n")
        #expect(try await Self.read { $0.tailLines = 0 } == "")
        #expect(try await Self.read { $0.tailLines = 100 } == "one\ntwo\nthree\n\n")
        #expect(try await Self.read { $0.limitBytes = 5 } == "one\nt")
        #expect(try await Self.read { $0.since = "2026-01-02T03:04:07Z" } == "three\n\n")
        #expect(try await Self.read { $0.stream = "Stderr" } == "two\n")
        #expect(
            try await Self.read {
                $0.timestamps = true
                $0.tailLines = 3
            } == "2026-01-02T03:04:07.000000001Z three\n2026-01-02T03:04:08.000000001Z \n")
    }

    @Test func aGrowingLogIsFollowedToItsEnd() async throws {
        let folder = try TemporaryFolder()
        let path = "\(folder.path)/0.log"
        try Files.write([], to: path)
        var options = LogOptions()
        options.follow = true
        let reader = LogReader(path: path, options: options)
        let writer = CollectingWriter()
        let ended = Atomic<Bool>(false)
        let (occasions, occasion) = AsyncStream<Void>.makeStream()
        async let done: Void = reader.run(to: writer, occasions: occasions) { ended.load(ordering: .relaxed) }
        for line in Self.log.split(separator: "\n").prefix(2) {
            Self.append("\(line)\n", to: path)
            try await until { writer.text.hasSuffix(line.split(separator: " ").last.map { "\($0)\n" } ?? "") }
        }
        ended.store(true, ordering: .relaxed)
        occasion.yield()
        try await done
        #expect(writer.text == "one\ntwo\n")
    }

    private static func append(_ text: String, to path: String) {
        let descriptor = open(path, O_WRONLY | O_APPEND)
        _ = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    @Test func optionsAreRead() throws {
        let options = try LogOptions(
            QueryItems(parsing: "follow=true&tailLines=7&sinceSeconds=60&previous=false"),
            now: Time(seconds: 120))
        #expect(options.follow && options.tailLines == 7 && !options.previous)
        #expect(options.since == "1970-01-01T00:01:00Z")
        #expect(throws: LogOptionsError.self) {
            try LogOptions(QueryItems(parsing: "tailLines=-1"), now: Time(seconds: 0))
        }
    }

    @Test func brokenLinesNeverCrash() {
        var generator = SeededGenerator(seed: 5)
        let line = Array("2026-01-02T03:04:05.000000001Z stdout F one".utf8)
        for _ in 0..<5000 {
            var bytes = line
            for _ in 0..<Int.random(in: 1...5, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(
                    in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
            if let parsed = CRILogLine(bytes) { #expect(parsed.content.count <= bytes.count) }
        }
    }

    @Test func streamingAddressesAreTakenApart() {
        let target = StreamSplice.parse("http://127.0.0.1:4000/exec/abc")
        #expect(target?.host == "127.0.0.1" && target?.port == 4000 && target?.path == "/exec/abc")
        #expect(StreamSplice.parse("http://[::1]:1/x")?.host == "::1")
        for text in ["", "https://a:1/", "http://a/", "http://:1/", "http://a:0/", "http://a:99999/"] {
            #expect(StreamSplice.parse(text) == nil)
        }
    }
}

final class CollectingWriter: ResponseWriter {
    private let bytes = Mutex<[UInt8]>([])
    func write(_ more: [UInt8]) async throws { bytes.withLock { $0 += more } }
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
}
