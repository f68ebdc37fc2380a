import BenchmarkSupport
import Glibc
import Netlink

/// What one burst of requests took.
struct Burst {
    var seconds: Double
    /// Processor time of client and servers together, with what the kernel did for them.
    var processorSeconds: Double
    var count: Int

    var rate: Double { Double(count) / seconds }
    var processorTime: Double { processorSeconds / Double(count) }
}

/// Requests from a client pod, one after the other. Several targets are taken in turn, as a client does that spreads
/// over the pods by itself.
enum Traffic {
    /// A connection for each request.
    static func connections(_ lab: Lab, to targets: [Target], _ count: Int) async throws -> Burst {
        try await burst(lab, count) {
            for number in 0..<count {
                let descriptor = try connected(SOCK_STREAM, targets[number % targets.count])
                try exchange(descriptor)
                close(descriptor)
            }
        }
    }

    /// Requests over three connections that are kept.
    static func keptConnections(_ lab: Lab, to targets: [Target], _ count: Int) async throws -> Burst {
        try await kept(SOCK_STREAM, lab, targets, count)
    }

    /// Datagrams and their answers over three sockets.
    static func datagrams(_ lab: Lab, to targets: [Target], _ count: Int) async throws -> Burst {
        try await kept(SOCK_DGRAM, lab, targets, count)
    }

    struct Target: Sendable {
        var address: IPAddress
        var port: UInt16
    }

    private static func kept(
        _ kind: __socket_type, _ lab: Lab, _ targets: [Target], _ count: Int
    ) async throws -> Burst {
        let descriptors = try await lab.client.run { try onePerServer(kind, targets, lab.servers.count) }
        defer { for descriptor in descriptors { close(descriptor) } }
        return try await burst(lab, count) {
            for number in 0..<count { try exchange(descriptors[number % descriptors.count]) }
        }
    }

    /// A socket to each server. Through the Service chance decides: those to a server that has one are given up.
    private static func onePerServer(
        _ kind: __socket_type, _ targets: [Target], _ count: Int
    ) throws -> [Int32] {
        var descriptors: [UInt8: Int32] = [:]
        var attempts = 0
        while descriptors.count < count, attempts < 1000 {
            let descriptor = try connected(kind, targets[attempts % targets.count])
            let server = try exchange(descriptor)
            if descriptors[server] == nil { descriptors[server] = descriptor } else { close(descriptor) }
            attempts += 1
        }
        return descriptors.sorted { $0.key < $1.key }.map(\.value)
    }

    private static func burst(
        _ lab: Lab, _ count: Int, _ body: @escaping @Sendable () throws -> Void
    ) async throws -> Burst {
        try await lab.client.run {
            let (begin, before) = (ContinuousClock.now, processorSeconds())
            try body()
            return Burst(
                seconds: (ContinuousClock.now - begin) / .seconds(1),
                processorSeconds: processorSeconds() - before, count: count)
        }
    }

    private static func connected(_ kind: __socket_type, _ target: Target) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        guard withAddress(target.address, target.port, { connect(descriptor, $0, $1) }) == 0 else {
            defer { close(descriptor) }
            throw Command.Failure(
                description: "no connection to \(target.address) port \(target.port): errno \(errno)")
        }
        return descriptor
    }

    /// - Returns: the number of the server.
    @discardableResult
    private static func exchange(_ descriptor: Int32) throws -> UInt8 {
        var buffer = [UInt8](repeating: 0x20, count: EchoServer.size)
        guard send(descriptor, buffer, buffer.count, Int32(MSG_NOSIGNAL)) == buffer.count,
            recv(descriptor, &buffer, buffer.count, 0) == buffer.count
        else { throw Command.Failure(description: "no answer: errno \(errno)") }
        return buffer[0]
    }

    private static func processorSeconds() -> Double {
        var usage = rusage()
        getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
