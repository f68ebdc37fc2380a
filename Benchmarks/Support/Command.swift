import CLinux
import Glibc

/// A command that a benchmark runs and times.
public struct Command: Sendable {
    public var arguments: [String]

    public init(_ arguments: [String]) { self.arguments = arguments }

    /// What went wrong with a command.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String

        public init(description: String) { self.description = description }
    }

    /// Runs it to its end and hands over each line of its output as it comes.
    ///
    /// - Throws: ``Failure`` if it cannot be started or ends with another status than 0.
    public func run(onLine: (String) -> Void = { _ in }) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure(description: "no pipe") }
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        let child = swiftlet_spawn(try path(), argv, environ, -1, ends[1], STDERR_FILENO, 0)
        close(ends[1])
        defer { close(ends[0]) }
        guard child > 0 else { throw Failure(description: "\(arguments[0]) could not be started") }
        read(ends[0], onLine)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        guard status == 0 else {
            throw Failure(description: "\(arguments.joined(separator: " ")) ended with status \(status >> 8)")
        }
    }

    private func path() throws -> String {
        if arguments[0].contains("/") { return arguments[0] }
        let folders = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":")
        let candidates: [String] = folders.map { "\($0)/\(arguments[0])" }
        guard let found = candidates.first(where: { access($0, X_OK) == 0 }) else {
            throw Failure(description: "no \(arguments[0]) on the PATH")
        }
        return found
    }

    private func read(_ descriptor: Int32, _ onLine: (String) -> Void) {
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            pending.append(contentsOf: buffer.prefix(count))
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                onLine(String(decoding: pending[..<end], as: UTF8.self))
                pending.removeSubrange(...end)
            }
        }
    }
}
