import Glibc
import Logging
import NIOCore

/// Keeps a containerd of our own running: starts it, finds one that an earlier life of ours started, and
/// starts it again, with a growing pause, when it dies. Pods live on in the meantime: their shims are not
/// containerd's children.
public actor ContainerdSupervisor {
    /// The file names and paths containerd works with.
    public nonisolated let configuration: ContainerdConfiguration
    /// The connection to it.
    public nonisolated let runtime: CRIRuntime

    private let environment: [String: String]
    private let clock: any Clock<Duration>
    private let logger: Logger
    private var process: ChildProcess?

    /// - Parameter environment: what containerd sees, PATH above all (it looks for its shim there).
    public init(
        configuration: ContainerdConfiguration, environment: [String: String], group: any EventLoopGroup,
        logger: Logger, clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.configuration = configuration
        self.environment = environment
        self.clock = clock
        self.logger = logger
        runtime = CRIRuntime(socketPath: configuration.socketPath, group: group, logger: logger, clock: clock)
    }

    /// The process id of the running containerd.
    public var processID: Int32? { process?.pid }

    /// Writes where containerd finds our image registry; read at each pull, so it may change at any time.
    public func useRegistry(port: Int) throws(ContainerRuntimeError) {
        let folder = "\(configuration.registryDirectory)/_default"
        try Files.createFolder(folder)
        try Files.write(Array(configuration.registryHosts(port: port).utf8), to: "\(folder)/hosts.toml")
    }

    /// Adopts a containerd that answers on our socket, or starts one; returns once it answers.
    ///
    /// Throws `missingProgram`, `noUsableRuntime` or `containerdFailed`, with containerd's own last words.
    public func start() async throws(ContainerRuntimeError) {
        if try await adopt() { return }
        try await launch()
    }

    /// Watches containerd and starts it again when it ends, until the task is cancelled. Cancelling does not
    /// stop containerd: see `stop()`.
    public func supervise() async throws {
        var pause = Duration.milliseconds(100)
        while !Task.isCancelled {
            if let process {
                let begin = ContinuousClock.now
                let code = try await process.waitForEnd()
                // Stopped by ourselves.
                guard self.process === process else { return }
                self.process = nil
                if ContinuousClock.now - begin > .seconds(60) { pause = .milliseconds(100) }
                let status = code.map { " with status \($0)" } ?? ""
                logger.error("containerd ended\(status); it is started again. Its last words: \(lastWords())")
            }
            try await clock.sleep(for: pause)
            pause = min(pause * 2, .seconds(30))
            do {
                try await launch()
            } catch {
                logger.error("containerd does not start: \(error)")
            }
        }
    }

    /// Ends containerd: SIGTERM, then SIGKILL when it has not ended in time. Shims and pods are not touched.
    public func stop(grace: Duration = .seconds(10)) async {
        guard let process else { return }
        self.process = nil
        process.signal(SIGTERM)
        let ended = await withTaskGroup(of: Bool.self) { group in
            group.addTask { (try? await process.waitForEnd()) != nil || process.hasEnded }
            group.addTask { [clock] in
                try? await clock.sleep(for: grace)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
        if !ended, !process.hasEnded {
            process.signal(SIGKILL)
            _ = try? await process.waitForEnd()
        }
        unlink(configuration.processFile)
        await runtime.close()
    }

    // MARK: - Adopting

    /// True when a containerd of an earlier life answers; its process id is in our file, and the socket in
    /// our private folder says that it is ours.
    private func adopt() async throws(ContainerRuntimeError) -> Bool {
        guard let text = Files.text(configuration.processFile),
            let pid = Int32(text.prefix { $0.isNumber }), pid > 1, Self.isContainerd(pid),
            let found = try? ChildProcess.adopt(pid: pid)
        else { return false }
        guard let version = try? await runtime.version() else {
            // It is ours and does not answer: it would hold the database's lock against a new one.
            logger.warning(
                "containerd (process \(pid)) runs and does not answer; it is ended and started anew.")
            found.signal(SIGKILL)
            _ = try? await found.waitForEnd()
            return false
        }
        process = found
        logger.info("Found containerd \(version.version) running (process \(pid))")
        return true
    }

    /// A process id alone may have been given to another program since.
    private static func isContainerd(_ pid: Int32) -> Bool {
        Files.text("/proc/\(pid)/comm")?.hasPrefix("containerd") ?? false
    }

    // MARK: - Starting

    private func launch() async throws(ContainerRuntimeError) {
        guard let program = Files.program("containerd", environment: environment) else {
            throw ContainerRuntimeError(
                .missingProgram,
                "containerd was expected in the PATH and is not there. Install it (Debian: apt install containerd)."
            )
        }
        guard configuration.socketPath.utf8.count + ".ttrpc".utf8.count < 108 else {
            throw ContainerRuntimeError(
                .containerdFailed,
                "The run directory \(configuration.runDirectory) is too long: a unix socket's path in it must stay "
                    + "below 108 bytes. Choose a shorter one.")
        }
        for folder in [
            configuration.stateDirectory, configuration.runDirectory, configuration.registryDirectory,
            configuration.cniConfigurationDirectory, configuration.ociRuntimeRoot,
        ] {
            try Files.createFolder(folder, mode: 0o711)
        }
        let trial = OCIRuntimeTrial(
            scratchDirectory: configuration.runDirectory, environment: environment, logger: logger)
        let ociRuntime = try await trial.choose()
        try Files.write(
            Array(configuration.toml(ociRuntime: ociRuntime).utf8), to: configuration.configurationPath)

        let log = try openLog()
        defer { close(log) }
        let process = try ChildProcess.start(
            program, ["--config", configuration.configurationPath], environment: environment, output: log)
        try Files.write(Array("\(process.pid)\n".utf8), to: configuration.processFile)
        try await waitUntilItAnswers(process)
        self.process = process
    }

    private func waitUntilItAnswers(_ process: ChildProcess) async throws(ContainerRuntimeError) {
        var last: (any Error)?
        for _ in 0..<1500 {
            do {
                let version = try await runtime.version()
                logger.info("containerd \(version.version) runs (process \(process.pid))")
                return
            } catch {
                last = error
            }
            if process.hasEnded {
                let code = (try? await process.waitForEnd()).flatMap { $0 } ?? -1
                throw ContainerRuntimeError(
                    .containerdFailed,
                    "containerd ended at once with status \(code). Its last words: \(lastWords())")
            }
            do {
                try await clock.sleep(for: .milliseconds(20))
            } catch {
                process.signal(SIGTERM)
                throw ContainerRuntimeError(.containerdFailed, "The start was cancelled.", cause: error)
            }
        }
        process.signal(SIGKILL)
        throw ContainerRuntimeError(
            .containerdFailed, "containerd does not answer on \(configuration.socketPath) after 30 seconds.",
            cause: last)
    }

    // MARK: - The log

    private func openLog() throws(ContainerRuntimeError) -> Int32 {
        let path = configuration.logFile
        if let end = path.lastIndex(of: "/") { try Files.createFolder(String(path[..<end])) }
        var status = stat()
        if stat(path, &status) == 0, status.st_size > 16 << 20 { rename(path, path + ".1") }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw ContainerRuntimeError(.io, "Cannot write \(path): \(errorText(errno)).")
        }
        return descriptor
    }

    private func lastWords() -> String {
        guard let bytes = try? Files.read(configuration.logFile) else { return "none" }
        let lines = String(decoding: bytes.suffix(4096), as: UTF8.self).split(separator: "\n")
        let telling = lines.last {
            $0.contains("level=fatal") || $0.contains("level=error") || $0.hasPrefix("containerd:")
        }
        return (telling ?? lines.last).map(String.init) ?? "none"
    }
}
