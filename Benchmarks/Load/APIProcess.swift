import BenchmarkSupport
import CLinux
import Glibc
import HTTPService
import KubernetesAPI
import KubernetesClient
import Synchronization

/// The API server as a process of its own (`swiftlet apiserver`), over a folder.
public final class APIProcess: Sendable {
    /// Its process id.
    public let identifier: pid_t
    /// From the start of the process to the line with which it says that it answers, in seconds.
    public let secondsToAnswer: Double
    private let folder: String
    private let hasEnded = Mutex(false)

    /// The program under test: `$SWIFTLET`, or the release build.
    public static var program: String {
        getenv("SWIFTLET").map { String(cString: $0) } ?? ".build/release/swiftlet"
    }

    /// Where its standard error goes.
    public var logFile: String { "\(folder).log" }

    /// Starts a server and returns once it answers.
    ///
    /// - Throws: ``Command/Failure`` with what it wrote when it ends instead.
    public static func start(in folder: String, port: Int = 16443) throws -> APIProcess {
        try APIProcess(folder, port)
    }

    private init(_ folder: String, _ port: Int) throws {
        self.folder = folder
        mkdir(folder, 0o755)
        let log = open("\(folder).log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard log >= 0 else { throw Command.Failure(description: "\(folder).log cannot be written") }
        defer { close(log) }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Command.Failure(description: "no pipe") }
        defer { close(ends[0]) }
        let arguments: [String] = [
            Self.program, "apiserver", "--data-dir", folder, "--port", String(port),
        ]
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        let begin = ContinuousClock.now
        identifier = swiftlet_spawn(Self.program, argv, environ, -1, ends[1], log, 0)
        close(ends[1])
        guard identifier > 0 else {
            throw Command.Failure(description: "\(Self.program) could not be started")
        }
        let isUp = Self.saysThatItAnswers(ends[0])
        secondsToAnswer = (ContinuousClock.now - begin) / .seconds(1)
        guard isUp else {
            _ = end(SIGKILL)
            let said = (try? Self.text(logFile)) ?? ""
            throw Command.Failure(description: "\(Self.program) apiserver ended: \(said)")
        }
    }

    private static func saysThatItAnswers(_ descriptor: Int32) -> Bool {
        var said: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            said += buffer.prefix(count)
            if String(decoding: said, as: UTF8.self).contains("API server answers") { return true }
        }
    }

    /// Sends a signal and waits for the end; the status is that of `waitpid`.
    @discardableResult
    public func end(_ signal: Int32 = SIGTERM) -> Int32 {
        hasEnded.withLock { hasEnded in
            guard !hasEnded else { return 0 }
            hasEnded = true
            kill(identifier, signal)
            var status: Int32 = 0
            while waitpid(identifier, &status, 0) < 0 && errno == EINTR {}
            return status
        }
    }

    deinit { end(SIGKILL) }

    /// Resident memory in MiB.
    public func residentMemory() -> Double {
        let line = (try? Self.text("/proc/\(identifier)/status"))?.split(separator: "\n").first {
            $0.hasPrefix("VmRSS:")
        }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? .nan) / 1024
    }

    /// A way to the server on a connection of its own, as the administrator.
    ///
    /// - Parameter thread: where the connection lives.
    package func connect(
        offersHTTP2: Bool = true, on thread: ClientThread? = nil
    ) throws -> HTTPSTransport {
        try HTTPSTransport(kubeconfig: try Kubeconfig.load(path: "\(folder)/server/admin.kubeconfig")) {
            $0.offersHTTP2 = offersHTTP2
            $0.thread = thread
        }
    }

    private static func text(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else { throw Command.Failure(description: "no \(path)") }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&buffer, 1, buffer.count, file)
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}

extension HTTPSTransport {
    /// Sends a request and reads the whole answer.
    ///
    /// - Throws: ``Command/Failure`` unless it has the status that is expected.
    @discardableResult
    public func exchange(
        _ method: HTTPMethod, _ target: String, _ body: [UInt8] = [],
        contentType: String = "application/json", expecting status: Int = 200
    ) async throws -> [UInt8] {
        var headers: HTTPHeaders = ["accept": "application/json"]
        if !body.isEmpty { headers.add(name: "content-type", value: contentType) }
        let response = try await send(
            HTTPRequest(method: method, target: target, headers: headers, body: .bytes(body)))
        let answer = try await response.body.collect(upTo: 1 << 30)
        guard Int(response.status.code) == status else {
            let text = String(decoding: answer.prefix(2000), as: UTF8.self)
            throw Command.Failure(description: "\(method) \(target): \(response.status.code) \(text)")
        }
        return answer
    }
}
