import Glibc

/// Tells the person who started a cluster how far it is: lines on standard output, or through a pipe to the
/// `swiftlet up --detach` that waits for them.
public struct Progress: Sendable {
    /// What a detached run writes when everything is up; the waiting parent ends with success on it.
    public static let readyMark = "\u{4}ready"

    private let isDetached: Bool
    private let start: ContinuousClock.Instant

    /// - Parameter isDetached: standard output is the pipe of a waiting `swiftlet up --detach`.
    public init(isDetached: Bool) {
        self.isDetached = isDetached
        start = ContinuousClock().now
    }

    /// Seconds since the start, with two digits.
    public var elapsed: String {
        let milliseconds = (ContinuousClock().now - start) / .milliseconds(1)
        let hundredths = Int(milliseconds / 10)
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) s"
    }

    /// A step was done.
    public func report(_ step: String) {
        write("\(step) (\(elapsed))\n")
    }

    /// Everything is up. A detached run lets go of the pipe: who waits on it has nothing more to wait for.
    public func ready(_ summary: String) {
        write("\(summary)\n")
        guard isDetached else { return }
        write("\(Self.readyMark)\n")
        let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard null >= 0 else { return }
        dup2(null, STDOUT_FILENO)
        close(null)
    }

    private func write(_ text: String) {
        // A parent that has gone away is no reason to stop.
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
    }
}
