import Glibc
public import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Listens, and lets a responder answer. HTTP/1.1, and over TLS HTTP/2 as well.
public final class HTTPServer: Sendable {
    private struct Listening {
        var channels: [any Channel] = []
        var addresses: [ServerConfiguration.Address]?
    }

    private let core: ServerCore
    private let group: any EventLoopGroup
    private let listening = Mutex(Listening())

    /// A server that does not listen yet.
    /// - Throws: `HTTPError` with `tls` when the certificate or key cannot be used.
    public init(
        _ configuration: ServerConfiguration, responder: any HTTPResponder, logger: Logger
    ) throws(HTTPError) {
        core = try ServerCore(configuration, responder: responder, logger: logger)
        group = MultiThreadedEventLoopGroup.singleton
    }

    /// Opens the listening sockets. `run()` does it when it was not done before; doing it first tells the ports.
    /// - Returns: the addresses as they came to be, in the order of the configuration.
    /// - Throws: `HTTPError` with `bindFailed`.
    @discardableResult
    public func bind() async throws -> [ServerConfiguration.Address] {
        if let addresses = listening.withLock({ $0.addresses }) { return addresses }
        var addresses: [ServerConfiguration.Address] = []
        for address in core.configuration.addresses {
            do {
                let (channel, bound) = try await listen(at: address)
                listening.withLock { $0.channels.append(channel) }
                addresses.append(bound)
            } catch {
                await stopListening()
                throw HTTPError(
                    .bindFailed, "cannot listen at \(address): is another server running there?", cause: error
                )
            }
        }
        listening.withLock { $0.addresses = addresses }
        return addresses
    }

    /// Serves until the task is cancelled, then drains: no new connections, streams ended, requests in flight
    /// finished within `drainTimeout`.
    /// - Throws: `HTTPError` with `bindFailed`.
    public func run() async throws {
        let addresses = try await bind()
        core.logger.info("listening", metadata: ["addresses": "\(addresses)"])
        // Never yields: ends when the task is cancelled.
        for await _ in AsyncStream<Never>.makeStream().stream {}
        await stop()
    }

    /// Stops listening and drains, as cancelling `run()` does.
    public func stop() async {
        await stopListening()
        await core.registry.drain(within: TimeAmount(core.configuration.drainTimeout), on: group.any())
        core.logger.info("stopped")
    }

    /// Uses another certificate for connections from now on.
    /// - Throws: `HTTPError` with `tls`.
    public func replaceTLS(_ tls: ServerConfiguration.TLS) throws(HTTPError) {
        core.replace(try TLSContexts.server(tls))
    }

    /// How many connections are open.
    public var connectionCount: Int { core.registry.connectionCount }

    private func listen(
        at address: ServerConfiguration.Address
    ) async throws -> (any Channel, ServerConfiguration.Address) {
        let core = core
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        switch address {
        case .tcp(let host, let port):
            let usesTLS = core.configuration.tls != nil
            let channel =
                try await bootstrap
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelOption(.socketOption(.so_keepalive), value: 1)
                .childChannelInitializer { core.prepare($0, usesTLS: usesTLS) }
                .bind(host: host, port: port).get()
            return (channel, .tcp(host: host, port: channel.localAddress?.port ?? port))
        case .unix(let path, let mode):
            let channel =
                try await bootstrap
                .childChannelInitializer { core.prepare($0, usesTLS: false) }
                .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            guard chmod(path, mode) == 0 else {
                throw HTTPError(.bindFailed, "cannot set the mode of \(path): errno \(errno)")
            }
            return (channel, address)
        }
    }

    private func stopListening() async {
        let channels = listening.withLock { listening in
            defer { listening.channels = [] }
            return listening.channels
        }
        for channel in channels {
            // A listening socket that is closed already is what we want.
            try? await channel.close().get()
        }
        for case .unix(let path, _) in core.configuration.addresses where !channels.isEmpty {
            unlink(path)
        }
    }
}
