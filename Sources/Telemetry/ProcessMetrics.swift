import Glibc

/// What the kernel knows of this process: the `process_…` metrics that every Prometheus client library has.
public enum ProcessMetrics {
    /// Adds them to a registry.
    public static func add(to registry: MetricRegistry) {
        registry.read(
            "process_cpu_seconds_total", "Processor time used, in user and kernel mode, in seconds.",
            type: .counter
        ) { read { $0.cpuSeconds } }
        registry.read("process_resident_memory_bytes", "Memory that is in use and present, in bytes.") {
            read { $0.residentBytes }
        }
        registry.read("process_virtual_memory_bytes", "Size of the address space, in bytes.") {
            read { $0.virtualBytes }
        }
        registry.read("process_start_time_seconds", "When the process started, in seconds since 1970.") {
            read { $0.startSeconds }
        }
        registry.read("process_open_fds", "File descriptors in use.") { openFiles.map { [.init($0)] } ?? [] }
        registry.read("process_max_fds", "File descriptors that may be in use at once.") {
            var limit = rlimit()
            guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return [] }
            return [.init(Double(limit.rlim_cur))]
        }
    }

    private static func read(_ value: (ProcessStatus) -> Double) -> [MetricRegistry.Sample] {
        guard
            let status = ProcessStatus(
                stat: contents("/proc/self/stat"), system: contents("/proc/stat"),
                ticks: Double(sysconf(Int32(_SC_CLK_TCK))), page: Double(sysconf(Int32(_SC_PAGESIZE))))
        else { return [] }
        return [.init(value(status))]
    }

    private static var openFiles: Double? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = -1  // the folder itself
        while let entry = readdir(folder) { count += entry.pointee.d_name.0 == UInt8(ascii: ".") ? 0 : 1 }
        return Double(count)
    }

    /// The text of a small file; empty when it cannot be read.
    private static func contents(_ path: String) -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}

/// What `/proc/self/stat` says (proc(5)), in seconds and bytes.
package struct ProcessStatus: Sendable, Hashable {
    package var cpuSeconds: Double
    package var startSeconds: Double
    package var virtualBytes: Double
    package var residentBytes: Double

    /// - Parameters:
    ///   - stat: the text of `/proc/self/stat`.
    ///   - system: that of `/proc/stat`, for when the machine started.
    ///   - ticks: clock ticks a second.
    ///   - page: bytes a page.
    package init?(stat: String, system: String, ticks: Double, page: Double) {
        // The command's name may hold anything; what follows it does not.
        guard let end = stat.lastIndex(of: ")"), ticks > 0 else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ").map { Double($0) }
        func field(_ number: Int) -> Double? { number - 3 < fields.count ? fields[number - 3] : nil }
        guard let user = field(14), let kernel = field(15), let start = field(22),
            let virtual = field(23), let resident = field(24)
        else { return nil }
        let boot = system.split(separator: "\n").first { $0.hasPrefix("btime ") }
            .flatMap { Double($0.dropFirst(6)) }
        cpuSeconds = (user + kernel) / ticks
        startSeconds = (boot ?? 0) + start / ticks
        virtualBytes = virtual
        residentBytes = resident * page
    }
}
