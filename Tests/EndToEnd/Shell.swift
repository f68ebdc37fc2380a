import CLinux
import Glibc
import Testing

/// What a command answered.
struct Outcome: Sendable, CustomStringConvertible {
    var command: String
    var status: Int32
    var output: String
    var error: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }
    var description: String { "$ \(command)\n\(output)\(error)[status \(status)]" }
}

/// Runs commands as a person at a terminal would type them.
enum Shell {
    /// Runs a line of bash and waits for its end.
    ///
    /// - Parameters:
    ///   - environment: put over the test's own.
    ///   - folder: where it runs.
    static func run(
        _ command: String, environment: [String: String] = [:], in folder: String = repository
    ) async throws -> Outcome {
        try await withCheckedThrowingContinuation { continuation in
            // A thread of its own: waiting for a child must not take one of the concurrency pool's.
            let thread = Thread {
                continuation.resume(with: Result { try runBlocking(command, environment, folder) })
            }
            thread.start()
        }
    }

    /// The repository's root.
    static let repository: String = {
        var parts = #filePath.split(separator: "/").map(String.init)
        parts.removeLast(3)
        return "/" + parts.joined(separator: "/")
    }()

    private static func runBlocking(
        _ command: String, _ environment: [String: String], _ folder: String
    ) throws -> Outcome {
        let output = try TemporaryFile()
        let error = try TemporaryFile()
        var merged = currentEnvironment()
        for (key, value) in environment { merged[key] = value }
        let arguments: [String] = ["bash", "-c", "cd '\(folder)' || exit\n\(command)"]
        let variables: [String] = merged.map { "\($0.key)=\($0.value)" }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) }
        argv.append(nil)
        envp.append(nil)
        defer { for text in argv + envp { free(text) } }
        let child = swiftlet_spawn("/bin/bash", argv, envp, -1, output.descriptor, error.descriptor, 0)
        try #require(child > 0, "bash could not be started: \(String(cString: strerror(-child)))")
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
        return Outcome(command: command, status: code, output: output.text(), error: error.text())
    }

    private static func currentEnvironment() -> [String: String] {
        var result: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { result[String(pair[0])] = String(pair[1]) }
            entry += 1
        }
        return result
    }
}

/// A file that is gone when it is closed.
private final class TemporaryFile {
    let descriptor: Int32

    init() throws {
        var template = Array("/tmp/swiftlet-test-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        try #require(descriptor >= 0, "no temporary file: \(String(cString: strerror(errno)))")
        unlink(template)
    }

    deinit { close(descriptor) }

    func text() -> String {
        lseek(descriptor, 0, SEEK_SET)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: buffer.prefix(count))
        }
    }
}

/// A detached thread that runs one closure.
private struct Thread {
    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func start() {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body))
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }
}
