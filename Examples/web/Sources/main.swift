import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

// A web application as small as they come: it knows its version and the pod it runs in.
//   PORT (3000)   where it listens
//   UDP_PORT       where it answers datagrams as well; nowhere without it
//   VERSION       baked into the image: web:1.0, web:2.0
//   HOSTNAME      the pod's name, set by the container runtime

func environment(_ name: String, otherwise: @autoclosure () -> String) -> String {
    guard let value = getenv(name) else { return otherwise() }
    let text = String(cString: value)
    return text.isEmpty ? otherwise() : text
}

/// One line to the log, at once: whoever reads a container's log should not wait for a buffer to fill.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
}

func hostname() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

func portNumber(_ name: String, otherwise: String) -> Int {
    let text = environment(name, otherwise: otherwise)
    guard let port = Int(text), (1...65535).contains(port) else {
        say("web: \(name) must be a number from 1 to 65535, not '\(text)'")
        exit(2)
    }
    return port
}

let port = portNumber("PORT", otherwise: "3000")

let site = Site(
    version: environment("VERSION", otherwise: "dev"), pod: environment("HOSTNAME", otherwise: hostname()))

// Process 1 of a container has no default action for a signal, so that one is needed here.
for number in [SIGTERM, SIGINT] {
    signal(number) { _ in _exit(0) }
}

/// Listens at the addresses of both families, or of IPv4 where the machine has no other.
func everywhere<Bound>(_ port: Int, _ bind: (SocketAddress) async throws -> Bound) async throws -> Bound {
    do {
        return try await bind(SocketAddress(ipAddress: "::", port: port))
    } catch let refusal as IOError
        where refusal.errnoCode == EAFNOSUPPORT || refusal.errnoCode == EADDRNOTAVAIL
    {
        return try await bind(SocketAddress(ipAddress: "0.0.0.0", port: port))
    }
}

do {
    let loops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    if getenv("UDP_PORT") != nil {
        let datagrams = DatagramBootstrap(group: loops)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Datagrams(site: site))
                }
            }
        _ = try await everywhere(portNumber("UDP_PORT", otherwise: "3001")) {
            try await datagrams.bind(to: $0).get()
        }
    }
    let bootstrap = ServerBootstrap(group: loops)
        .serverChannelOption(.backlog, value: 1024)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                try channel.pipeline.syncOperations.addHandler(Exchange(site: site))
            }
        }
    let server = try await everywhere(port) { try await bootstrap.bind(to: $0).get() }
    say("web \(site.version) listens on port \(port)")
    try await server.closeFuture.get()
} catch {
    say("web: cannot listen on port \(port): \(error)")
    exit(1)
}
