import BenchmarkSupport
import CLinux
import Glibc

/// Where requests come from and where they go.
enum Path: String, CaseIterable {
    case pod = "from a pod"
    case node = "from the node"
    case nodePort = "through a NodePort"
}

/// One kind of client.
struct Stream {
    var mode: String
    var path: Path
    var rate: Int
    /// How long the application takes for an answer, in milliseconds.
    var delay = 0

    var name: String {
        "\(mode), \(rate)/s, \(path.rawValue)" + (delay > 0 ? ", answers after \(delay) ms" : "")
    }
}

/// What a client has to say in the end.
struct LoadReport {
    var requests = 0
    var failed = 0
    /// When the attempt began in milliseconds since 1970, from which port, and why.
    var failures: [(time: Int, port: Int, reason: String)] = []
    var latency = ""
}

/// `rollout-load` as a process of its own.
final class LoadProcess {
    let stream: Stream
    private let identifier: pid_t
    private let output: Int32

    /// - Parameters:
    ///   - arguments: of `rollout-load`.
    ///   - namespaceOf: the process in whose network namespace it runs; nil for this one.
    init(_ stream: Stream, program: String, arguments: [String], namespaceOf process: Int?) throws {
        self.stream = stream
        var command = [program] + arguments
        if let process { command = ["/usr/bin/nsenter", "--net=/proc/\(process)/ns/net"] + command }
        // A file, which takes whatever comes: a client must not wait for its reader.
        var name = Array("/tmp/rollout-load-XXXXXX".utf8CString)
        output = mkstemp(&name)
        guard output >= 0 else { throw Command.Failure(description: "no temporary file") }
        unlink(name)
        var argv: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        identifier = swiftlet_spawn(command[0], argv, environ, -1, output, STDERR_FILENO, 0)
        guard identifier > 0 else {
            throw Command.Failure(description: "\(command[0]) could not be started")
        }
    }

    /// Lets what is under way end, and reads what it has to say.
    func stop() throws -> LoadReport {
        kill(identifier, SIGTERM)
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0 && errno == EINTR {}
        lseek(output, 0, SEEK_SET)
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(output, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        close(output)
        guard status == 0 else {
            throw Command.Failure(
                description: "\(stream.name): ended with \(status): \(String(decoding: bytes, as: UTF8.self))"
            )
        }
        var report = LoadReport()
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3)
            switch words.first {
            case "requests": report.requests = words.dropFirst().first.flatMap { Int($0) } ?? 0
            case "failed": report.failed = words.dropFirst().first.flatMap { Int($0) } ?? 0
            case "failure" where words.count == 4:
                report.failures.append((Int(words[1]) ?? 0, Int(words[2]) ?? 0, String(words[3])))
            case "latency_ms": report.latency = String(line.dropFirst(11))
            default: break
            }
        }
        return report
    }
}
