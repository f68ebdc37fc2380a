import CLinux
import ContainerRuntime
import Glibc

/// Runs `swiftlet up` in the background and waits until the cluster is up or has failed.
public enum Detached {
    /// Starts this very program again in a session of its own, its log in `configuration.logFile`, and passes on
    /// what it reports until it is ready.
    ///
    /// - Parameters:
    ///   - arguments: of the new run, without the program's name.
    ///   - show: is given each line of progress.
    /// - Throws: ``ClusterError`` with code `startFailed` if it ends before it is ready, with the end of its log.
    public static func start(
        arguments: [String], configuration: ClusterConfiguration, show: (String) -> Void
    ) throws {
        try Files.createFolder(configuration.runDirectory)
        let log = open(
            configuration.logFile, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644)
        guard log >= 0 else { throw ClusterError.system("write the log \(configuration.logFile)") }
        defer { close(log) }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ClusterError.system("make a pipe") }
        defer { close(ends[0]) }

        let child = try spawn(arguments, output: ends[1], error: log)
        close(ends[1])
        let isReady = follow(ends[0], show: show)
        if isReady { return }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        // Whoever shows this error begins it with the same word.
        let tail = (Files.text(configuration.logFile) ?? "").split(separator: "\n").suffix(20)
            .map { $0.hasPrefix("Error: ") ? String($0.dropFirst(7)) : String($0) }
        throw ClusterError(
            .startFailed,
            tail.isEmpty ? "swiftlet up ended before the cluster was up." : tail.joined(separator: "\n"))
    }

    private static func spawn(_ arguments: [String], output: Int32, error: Int32) throws -> pid_t {
        let program = "/proc/self/exe"
        var argv: [UnsafeMutablePointer<CChar>?] = (["swiftlet"] + arguments).map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        let child = swiftlet_spawn(program, argv, environ, -1, output, error, 1)
        guard child > 0 else {
            errno = -child
            throw ClusterError.system("start \(program)")
        }
        return child
    }

    /// Shows lines until the ready mark; false if the pipe ends without it.
    private static func follow(_ descriptor: Int32, show: (String) -> Void) -> Bool {
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return false }
            pending.append(contentsOf: buffer.prefix(count))
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                if line == Progress.readyMark { return true }
                show(line)
            }
        }
    }
}
