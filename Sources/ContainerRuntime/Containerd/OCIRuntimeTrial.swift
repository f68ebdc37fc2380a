import CLinux
import Glibc
import KubernetesJSON
import Logging

/// Finds the OCI runtime that works on this machine, by running one container with each candidate.
///
/// `crun` is the faster one and refuses hybrid cgroups that still show v2 controllers; `runc` works
/// everywhere. What a machine has cannot be read off reliably, so it is tried.
package struct OCIRuntimeTrial: Sendable {
    package static let candidates = ["crun", "runc"]

    /// A folder for the trial's files, removed afterwards.
    package var scratchDirectory: String
    package var environment: [String: String]
    package var logger: Logger

    package init(scratchDirectory: String, environment: [String: String], logger: Logger) {
        self.scratchDirectory = scratchDirectory
        self.environment = environment
        self.logger = logger
    }

    /// The absolute path of the first candidate that works.
    package func choose() async throws(ContainerRuntimeError) -> String {
        var failures: [String] = []
        for name in Self.candidates {
            guard let program = Files.program(name, environment: environment) else {
                failures.append("\(name) is not installed")
                continue
            }
            do {
                try await run(program)
                logger.debug("The OCI runtime is \(program)")
                return program
            } catch {
                logger.debug("\(program) does not work here: \(error)")
                failures.append("\(program): \(error.message)")
            }
        }
        throw ContainerRuntimeError(
            failures.allSatisfy { $0.hasSuffix("is not installed") } ? .missingProgram : .noUsableRuntime,
            "An OCI runtime that can run a container here was expected; found: "
                + failures.joined(separator: "; ") + ". Install runc (Debian: apt install runc).")
    }

    private func run(_ program: String) async throws(ContainerRuntimeError) {
        // Two nodes on one machine may try at the same time; in sandboxes even their process ids are alike.
        let identifier = "swiftlet-trial-\(UInt64.random(in: 0 ... .max))"
        let folder = "\(scratchDirectory)/\(identifier)"
        try Files.createFolder("\(folder)/rootfs")
        defer {
            try? Files.remove(folder)
            ControlGroups.remove(identifier)
        }
        try Files.write(ExitProgram.executable(), to: "\(folder)/rootfs/exit", mode: 0o755)
        try Files.write(Self.specification(identifier).json(), to: "\(folder)/config.json")
        let log = "\(folder)/output"
        let output = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { if output >= 0 { close(output) } }
        let process = try ChildProcess.start(
            program, ["--root", "\(folder)/state", "run", "--bundle", folder, identifier],
            environment: environment, output: output)
        let code = (try? await process.waitForEnd()) ?? -1
        guard code == Self.expectedExit else {
            let text = Files.text(log)?.split(separator: "\n").last.map(String.init) ?? "no message"
            throw ContainerRuntimeError(
                .noUsableRuntime, "exit status \(code) in place of \(Self.expectedExit): \(text)")
        }
    }

    /// What the trial's program exits with; no runtime uses it for an error of its own.
    private static let expectedExit: Int32 = 42

    private static func specification(_ identifier: String) -> JSONValue {
        let namespaces: [JSONValue] = ["pid", "ipc", "uts", "mount", "network"].map { ["type": .string($0)] }
        return [
            "ociVersion": "1.0.2",
            "process": [
                "user": ["uid": 0, "gid": 0], "args": ["/exit"], "cwd": "/", "noNewPrivileges": true,
            ],
            "root": ["path": "rootfs", "readonly": true],
            "mounts": [["destination": "/proc", "type": "proc", "source": "proc"]],
            "linux": [
                "cgroupsPath": .string("/\(identifier)"), "namespaces": .array(namespaces),
                "resources": ["memory": ["limit": 67_108_864]],
            ],
        ]
    }
}

/// A program that does nothing but exit with status 42, for the trial of an OCI runtime.
private enum ExitProgram {
    static func executable() -> [UInt8] {
        switch PauseProgram.Architecture.current {
        case .amd64:
            // mov eax, 231 (exit_group); mov edi, 42; syscall
            PauseProgram.elf([0xb8, 231, 0, 0, 0, 0xbf, 42, 0, 0, 0, 0x0f, 0x05], .amd64)
        case .arm64:
            // mov x0, #42; mov x8, #94 (exit_group); svc #0
            PauseProgram.elf(
                [0xd280_0540, 0xd280_0bc8, 0xd400_0001].flatMap { littleEndianBytes($0 as UInt32) }, .arm64)
        }
    }
}
