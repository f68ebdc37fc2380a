import Glibc
import Testing

/// The cluster as its users meet it: the program, the stock kubectl, containers and the kernel, all real.
///
/// The tests follow one another on one cluster; each leaves it as it found it.
@Suite(
    "End to end", .serialized,
    .enabled(if: Cluster.isSandboxed, "run them in a sandbox: make test, or scripts/sandbox swift test"))
struct EndToEndTests {}

extension EndToEndTests {
    /// The kubectls there are: the one on the PATH, its siblings `kubectl.1.NN`, and Debian's own.
    static let kubectls: [String] = {
        var found = ["kubectl"]
        let paths = (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").map(String.init)
        let candidates: [String] = paths.map { "\($0)/kubectl" }
        let first: String? = candidates.first { access($0, X_OK) == 0 }
        if let first, let real = realpath(first, nil) {
            defer { free(real) }
            let folder = String(cString: real).split(separator: "/").dropLast().joined(separator: "/")
            for minor in [27, 30, 33] where access("/\(folder)/kubectl.1.\(minor)", X_OK) == 0 {
                found.append("/\(folder)/kubectl.1.\(minor)")
            }
        }
        let debian = "\(Shell.repository)/.build/kubernetes-client/usr/bin/kubectl"
        if access(debian, X_OK) == 0 { found.append(debian) }
        return found
    }()
}
