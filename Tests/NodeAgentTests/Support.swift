import ContainerRuntime
import Glibc
import Testing

/// A generator whose numbers are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &+ 0x9e37_79b9_7f4a_7c15 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/swl-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        path = try #require(made)
    }

    deinit { try? Files.remove(path) }
}

/// Waits for a condition that another process or thread brings about.
func until(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<6000 {
        if try await condition() { return }
        try await ContinuousClock().sleep(for: .milliseconds(10))
    }
    Issue.record("The condition did not come true in 60 seconds.")
}

/// Whether this process is where containers may be run: root, in a network namespace without an uplink
/// (`scripts/sandbox`), containerd installed.
enum Sandbox {
    static let isInside: Bool = {
        guard geteuid() == 0, Files.program("containerd", environment: [:]) != nil,
            let devices = Files.text("/proc/self/net/dev")
        else { return false }
        let names = devices.split(separator: "\n").dropFirst(2).map {
            $0.drop { $0 == " " }.prefix { $0 != ":" }
        }
        return !names.contains { name in ["eth", "en", "wl"].contains { name.hasPrefix($0) } }
    }()
}
