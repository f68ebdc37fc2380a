import BenchmarkSupport
import Glibc
import Netlink

/// A node with three pods that answer and one that asks, each in a network namespace of its own, wired as the pod
/// network wires them. Nothing of it is connected to the machine's network.
final class Lab: Sendable {
    static let gateway = IPAddress(ipv4: 0x0AF4_0001)
    static let nodeAddress = IPAddress(ipv4: 0xAC1F_0001)
    static let port: UInt16 = 3000

    let node: NetworkNamespace
    let client: NetworkNamespace
    /// The addresses of the pods that answer, on `port`.
    let servers: [IPAddress]
    private let pods: [NetworkNamespace]
    private let routes: RouteSocket

    init() async throws {
        node = try await NetworkNamespace.make()
        routes = try await RouteSocket(in: node)
        try await Self.raise("lo", in: node)
        let loopback = try Self.found(try routes.link(named: "lo"))
        try routes.addAddress(InterfaceAddress(IPNetwork(host: Self.nodeAddress), link: loopback.index))
        try await node.run { try Self.set("net/ipv4/ip_forward", "1") }
        servers = (2...4).map { IPAddress(ipv4: 0x0AF4_0000 + UInt32($0)) }
        var pods: [NetworkNamespace] = []
        for address in servers { pods.append(try await Self.pod(address, routes)) }
        client = try await Self.pod(IPAddress(ipv4: 0x0AF4_0009), routes)
        self.pods = pods
        // Thousands of connections a second from one address: ports have to be used again soon.
        try await client.run {
            try Self.set("net/ipv4/ip_local_port_range", "1024 65535")
            try Self.set("net/ipv4/tcp_tw_reuse", "1")
        }
        for (number, pod) in pods.enumerated() {
            try await EchoServer.start(in: pod, port: Self.port, number: UInt8(number))
        }
    }

    /// Shell: `ip link add veth2 type veth peer name eth0; ip link set eth0 netns POD; ip route add ADDRESS dev veth2`
    private static func pod(_ address: IPAddress, _ routes: RouteSocket) async throws -> NetworkNamespace {
        let pod = try await NetworkNamespace.make()
        let name = "veth\(address.bytes[3])"
        try routes.addLink(name, .veth(peer: "eth0"))
        let outer = try found(try routes.link(named: name))
        try routes.moveLink(try found(try routes.link(named: "eth0")).index, to: pod)
        try routes.addAddress(InterfaceAddress(IPNetwork(host: gateway), link: outer.index))
        try routes.setLink(outer.index, up: true)
        try routes.setRoute(Route(IPNetwork(host: address), link: outer.index))
        try await raise("lo", in: pod)
        let inside = try await RouteSocket(in: pod)
        let eth0 = try found(try inside.link(named: "eth0"))
        try inside.addAddress(InterfaceAddress(IPNetwork(host: address), link: eth0.index))
        try inside.setLink(eth0.index, up: true)
        var route = Route(try found(IPNetwork("0.0.0.0/0")), link: eth0.index)
        route.gateway = gateway
        route.isOnLink = true
        try inside.setRoute(route)
        return pod
    }

    private static func raise(_ link: String, in namespace: NetworkNamespace) async throws {
        let routes = try await RouteSocket(in: namespace)
        try routes.setLink(try found(try routes.link(named: link)).index, up: true)
    }

    private static func found<Value>(_ value: Value?) throws -> Value {
        guard let value else { throw Command.Failure(description: "an interface that was made is not there") }
        return value
    }

    private static func set(_ name: String, _ value: String) throws {
        let descriptor = open("/proc/sys/\(name)", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Command.Failure(description: "no /proc/sys/\(name)") }
        defer { close(descriptor) }
        guard write(descriptor, value, value.utf8.count) == value.utf8.count else {
            throw Command.Failure(description: "/proc/sys/\(name) cannot be set to \(value): errno \(errno)")
        }
    }
}

/// Answers every request, over TCP and UDP, with as many bytes as it has, the first of which is the server's number.
enum EchoServer {
    static let size = 64

    /// Serves on a thread of its own until the process ends.
    static func start(in namespace: NetworkNamespace, port: UInt16, number: UInt8) async throws {
        let (stream, datagrams) = try await namespace.run {
            let stream = try bound(SOCK_STREAM, port)
            guard listen(stream, 4096) == 0 else { throw Command.Failure(description: "cannot listen") }
            return (stream, try bound(SOCK_DGRAM, port))
        }
        // Unstructured: it serves for as long as the process lives.
        Task.detached { try await namespace.run { serve(stream, datagrams, number) } }
    }

    private static func bound(_ kind: __socket_type, _ port: UInt16) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let isBound = withAddress(IPAddress(ipv4: 0), port) { bind(descriptor, $0, $1) } == 0
        guard descriptor >= 0, isBound else { throw Command.Failure(description: "cannot bind \(port)") }
        return descriptor
    }

    private static func serve(_ stream: Int32, _ datagrams: Int32, _ number: UInt8) {
        // A client has few connections at a time.
        var watched = [stream, datagrams].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: size)
        while true {
            guard poll(&watched, nfds_t(watched.count), -1) > 0 else { continue }
            for entry in watched where entry.revents != 0 {
                if entry.fd == stream {
                    let connection = accept(stream, nil, nil)
                    if connection >= 0 {
                        watched.append(pollfd(fd: connection, events: Int16(POLLIN), revents: 0))
                    }
                } else if entry.fd == datagrams {
                    echo(datagrams, &buffer, number)
                } else {
                    let count = recv(entry.fd, &buffer, buffer.count, 0)
                    if count > 0 {
                        buffer[0] = number
                        send(entry.fd, buffer, count, Int32(MSG_NOSIGNAL))
                    } else {
                        close(entry.fd)
                        watched.removeAll { $0.fd == entry.fd }
                    }
                }
            }
        }
    }

    private static func echo(_ descriptor: Int32, _ buffer: inout [UInt8], _ number: UInt8) {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                let count = recvfrom(descriptor, &buffer, buffer.count, 0, peer, &length)
                buffer[0] = number
                if count > 0 { sendto(descriptor, buffer, count, 0, peer, length) }
            }
        }
    }
}

func withAddress<Value>(
    _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
) -> Value {
    var value = sockaddr_in()
    value.sin_family = sa_family_t(AF_INET)
    value.sin_port = port.bigEndian
    withUnsafeMutableBytes(of: &value.sin_addr) { $0.copyBytes(from: address.bytes) }
    return withUnsafePointer(to: value) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
