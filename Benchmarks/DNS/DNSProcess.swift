import APILoad
import BenchmarkSupport
import CLinux
import Glibc

/// `swiftlet dns` as a process of its own.
struct DNSProcess {
    static let port: UInt16 = 5353

    private let identifier: pid_t

    static func start(kubeconfig: String) throws -> DNSProcess {
        let arguments: [String] = [
            APIProcess.program, "dns", "--kubeconfig", kubeconfig, "--listen", "127.0.0.1:\(port)",
            "--range", "10.96.0.0/16",
        ]
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        argv.append(nil)
        defer { for argument in argv { free(argument) } }
        let identifier = swiftlet_spawn(APIProcess.program, argv, environ, -1, -1, STDERR_FILENO, 0)
        guard identifier > 0 else {
            throw Command.Failure(description: "\(APIProcess.program) could not be started")
        }
        return DNSProcess(identifier: identifier)
    }

    func end() {
        kill(identifier, SIGTERM)
        var status: Int32 = 0
        while waitpid(identifier, &status, 0) < 0 && errno == EINTR {}
    }

    /// Resident memory in MiB.
    func residentMemory() -> Double {
        guard let file = fopen("/proc/\(identifier)/statm", "r") else { return .nan }
        defer { fclose(file) }
        var buffer = [CChar](repeating: 0, count: 256)
        guard fgets(&buffer, Int32(buffer.count), file) != nil else { return .nan }
        let text = String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? .nan
        return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1_048_576
    }
}
