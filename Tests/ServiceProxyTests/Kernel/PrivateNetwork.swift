import Glibc
import Netlink
import Testing

/// A node and its pods, each in a network namespace of its own, wired as the pod network wires them: a veth pair
/// per pod, routed, the node being the pods' gateway. Nothing of it is connected to the machine's network.
final class PrivateNetwork: Sendable {
    let node: NetworkNamespace
    let routes: RouteSocket
    static let nodeAddress = address("172.31.0.1")
    static let gateway = address("10.244.0.1")

    init() async throws {
        node = try await NetworkNamespace.make()
        routes = try await RouteSocket(in: node)
        let loopback = try #require(try routes.link(named: "lo"))
        try routes.setLink(loopback.index, up: true)
        try routes.addAddress(InterfaceAddress(IPNetwork(host: Self.nodeAddress), link: loopback.index))
        try await node.run {
            try write("1", to: "/proc/sys/net/ipv4/ip_forward")
        }
    }

    /// Adds a pod with this address.
    func addPod(_ text: String) async throws -> NetworkNamespace {
        let address = Self.address(text)
        let pod = try await NetworkNamespace.make()
        let name = "veth\(address.bytes[3])"
        try routes.addLink(name, .veth(peer: "eth0"))
        let outer = try #require(try routes.link(named: name))
        let inner = try #require(try routes.link(named: "eth0"))
        try routes.moveLink(inner.index, to: pod)
        try routes.addAddress(InterfaceAddress(IPNetwork(host: Self.gateway), link: outer.index))
        try routes.setLink(outer.index, up: true)
        try routes.setRoute(Route(IPNetwork(host: address), link: outer.index))

        let inside = try await RouteSocket(in: pod)
        let loopback = try #require(try inside.link(named: "lo"))
        try inside.setLink(loopback.index, up: true)
        let eth0 = try #require(try inside.link(named: "eth0"))
        try inside.addAddress(InterfaceAddress(IPNetwork(host: address), link: eth0.index))
        try inside.setLink(eth0.index, up: true)
        var gateway = Route(try #require(IPNetwork("0.0.0.0/0")), link: eth0.index)
        gateway.gateway = Self.gateway
        gateway.isOnLink = true
        try inside.setRoute(gateway)
        return pod
    }

    static func address(_ text: String) -> IPAddress {
        IPAddress(text) ?? IPAddress(ipv4: 0)
    }
}

func write(_ text: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY)
    try #require(descriptor >= 0, "cannot open \(path)")
    defer { close(descriptor) }
    try #require(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count, "cannot write \(path)")
}

/// What came of an attempt to talk to an address.
enum Outcome: Sendable, Hashable {
    /// Somebody answered: who, and which client address was seen there.
    case answered(by: String, client: String)
    /// The attempt was refused with this errno value.
    case refused(Int32)
    /// Nobody answered within the time.
    case silence
    /// Something else went wrong.
    case failed(Int32)

    var server: String? {
        if case .answered(let server, _) = self { return server }
        return nil
    }
}

/// A server that answers every connection (or datagram) with its name and the client's address.
final class NamedServer: Sendable {
    let descriptor: Int32
    private let name: String
    private let kind: __socket_type

    /// Listens on `port` of every address in the namespace.
    init(_ name: String, in namespace: NetworkNamespace, _ kind: __socket_type = SOCK_STREAM, port: UInt16)
        async throws
    {
        self.name = name
        self.kind = kind
        descriptor = try await namespace.run {
            let descriptor = socket(AF_INET, Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            try #require(descriptor >= 0)
            var on: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, 4)
            let result = withSocketAddress(IPAddress(ipv4: 0), port) { bind(descriptor, $0, $1) }
            try #require(result == 0, "cannot bind port \(port)")
            if kind == SOCK_STREAM { try #require(listen(descriptor, 4096) == 0) }
            return descriptor
        }
    }

    /// Serves on a thread of its own while `body` runs.
    func serve<Value: Sendable>(
        in namespace: NetworkNamespace, while body: () async throws -> Value
    ) async throws -> Value {
        async let serving: Void = namespace.run { [descriptor, kind, name] in
            answerEverybody(descriptor, kind, as: name)
        }
        let result: Result<Value, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        shutdown(descriptor, Int32(SHUT_RDWR))
        try await serving
        close(descriptor)
        return try result.get()
    }
}

/// Answers every connection or datagram with a name and the client's address, until the socket is shut down.
func answerEverybody(_ descriptor: Int32, _ kind: __socket_type, as name: String) {
    while true {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var buffer = [UInt8](repeating: 0, count: 64)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                kind == SOCK_STREAM
                    ? Int(accept(descriptor, pointer, &length))
                    : recvfrom(descriptor, &buffer, buffer.count, 0, pointer, &length)
            }
        }
        if result < 0, errno == EINTR || errno == ECONNABORTED { continue }
        // A datagram socket that was shut down reads nothing, again and again.
        if result < 0 || kind != SOCK_STREAM && result == 0 { return }
        let answer = "\(name) \(peer(address))"
        if kind == SOCK_STREAM {
            _ = send(Int32(result), answer, answer.utf8.count, Int32(MSG_NOSIGNAL))
            close(Int32(result))
        } else {
            _ = withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(descriptor, answer, answer.utf8.count, 0, $0, length)
                }
            }
        }
    }
}

private func peer(_ address: sockaddr_storage) -> IPAddress {
    withUnsafeBytes(of: address) { bytes in
        let range = Int32(address.ss_family) == AF_INET ? 4..<8 : 8..<24
        return IPAddress(bytes: bytes[range]) ?? .unspecified(.ipv4)
    }
}

func withSocketAddress<Value>(
    _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
) -> Value {
    var value = sockaddr_storage()
    value.ss_family = sa_family_t(address.family.rawValue)
    let isIPv4 = address.family == .ipv4
    withUnsafeMutableBytes(of: &value) { bytes in
        bytes[2] = UInt8(port >> 8)
        bytes[3] = UInt8(truncatingIfNeeded: port)
        for (index, byte) in address.bytes.enumerated() { bytes[(isIPv4 ? 4 : 8) + index] = byte }
    }
    let size = isIPv4 ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
    return withUnsafePointer(to: value) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(size)) }
    }
}

/// A client's socket, which gives up after `patience` milliseconds of silence.
func clientSocket(
    _ kind: __socket_type, family: IPAddress.Family = .ipv4, patience: Int = 20_000
) -> Int32 {
    let descriptor = socket(Int32(family.rawValue), Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var time = timeval(tv_sec: patience / 1000, tv_usec: patience % 1000 * 1000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
    return descriptor
}

/// One exchange over a socket that is there: connect (again), send a byte, read the answer.
func exchange(_ descriptor: Int32, _ kind: __socket_type, _ address: IPAddress, _ port: UInt16) -> Outcome {
    func outcome(_ number: Int32) -> Outcome {
        switch number {
        case ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EPERM: .refused(number)
        case EAGAIN, EINPROGRESS, ETIMEDOUT: .silence
        default: .failed(number)
        }
    }
    guard withSocketAddress(address, port, { connect(descriptor, $0, $1) }) == 0 else {
        return outcome(errno)
    }
    if kind == SOCK_DGRAM, send(descriptor, "?", 1, Int32(MSG_NOSIGNAL)) < 0 { return outcome(errno) }
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    guard count > 0 else { return outcome(count < 0 ? errno : EPIPE) }
    let words = String(decoding: buffer[..<count], as: UTF8.self).split(separator: " ")
    guard words.count == 2 else { return .failed(EBADMSG) }
    return .answered(by: String(words[0]), client: String(words[1]))
}

extension NetworkNamespace {
    /// Tries to reach an address from inside, `times` times, each with a new socket.
    func attempt(
        _ text: String, port: UInt16, _ kind: __socket_type = SOCK_STREAM, times: Int = 1,
        patience: Int = 20_000
    ) async throws -> [Outcome] {
        let address = PrivateNetwork.address(text)
        return try await run {
            (0..<times).map { _ in
                let descriptor = clientSocket(kind, patience: patience)
                defer { close(descriptor) }
                return exchange(descriptor, kind, address, port)
            }
        }
    }
}
