import ContainerRuntime
import Glibc
import KubernetesAPI

/// What a node has and is, read once from the machine.
package struct NodeFacts: Sendable, Hashable {
    package var processors: Int
    /// Bytes.
    package var memory: Int
    /// Bytes of the file system that holds pods' files.
    package var storage: Int
    package var maximumPods: Int
    package var info: NodeSystemInfo

    package init(processors: Int, memory: Int, storage: Int, maximumPods: Int, info: NodeSystemInfo) {
        self.processors = processors
        self.memory = memory
        self.storage = storage
        self.maximumPods = maximumPods
        self.info = info
    }

    /// Reads the machine.
    package static func read(
        stateDirectory: String, maximumPods: Int, version: String, runtime: RuntimeVersion
    ) -> NodeFacts {
        var system = utsname()
        uname(&system)
        var disk = statvfs()
        let hasDisk = statvfs(stateDirectory, &disk) == 0
        let info = NodeSystemInfo(
            machineID: line("/etc/machine-id"), systemUUID: line("/sys/class/dmi/id/product_uuid"),
            bootID: line("/proc/sys/kernel/random/boot_id"), kernelVersion: text(of: &system.release),
            osImage: operatingSystem(Files.text("/etc/os-release") ?? ""),
            containerRuntimeVersion: "\(runtime.name)://\(runtime.version)", kubeletVersion: version,
            kubeProxyVersion: version, operatingSystem: "linux",
            architecture: PauseProgram.Architecture.current.rawValue)
        return NodeFacts(
            processors: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))),
            memory: max(0, sysconf(Int32(_SC_PHYS_PAGES))) * max(0, sysconf(Int32(_SC_PAGESIZE))),
            storage: hasDisk
                ? Int(
                    clamping: UInt64(disk.f_blocks).multipliedReportingOverflow(by: UInt64(disk.f_frsize))
                        .partialValue) : 0,
            maximumPods: maximumPods, info: info)
    }

    package var capacity: [String: Quantity] {
        [
            "cpu": Quantity(processors), "memory": Quantity(memory / 1024 * 1024, format: .binary),
            "ephemeral-storage": Quantity(storage / 1024 * 1024, format: .binary),
            "pods": Quantity(maximumPods),
            "hugepages-1Gi": Quantity(0), "hugepages-2Mi": Quantity(0),
        ]
    }

    /// What pods may have: upstream keeps 100 MiB of memory and a tenth of the disk back.
    package var allocatable: [String: Quantity] {
        var result = capacity
        result["memory"] = Quantity(max(0, memory / 1024 * 1024 - 100 << 20), format: .binary)
        result["ephemeral-storage"] = Quantity(storage / 10 * 9)
        return result
    }

    /// `PRETTY_NAME` of an os-release file.
    package static func operatingSystem(_ release: String) -> String {
        for line in release.split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
            return String(line.dropFirst("PRETTY_NAME=".count)).trimming("\"")
        }
        return "Linux"
    }

    private static func line(_ path: String) -> String {
        Files.text(path)?.split(separator: "\n").first.map(String.init) ?? ""
    }

    private static func text<Field>(of field: inout Field) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension String {
    fileprivate func trimming(_ character: Character) -> String {
        String(drop { $0 == character }.reversed().drop { $0 == character }.reversed())
    }
}
