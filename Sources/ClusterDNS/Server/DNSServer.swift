import Glibc
import KubernetesAPI
public import KubernetesClient
public import Logging
import NIOCore
import NIOPosix
import Synchronization

/// The cluster's DNS server: names of Services and pods from memory, all other names from other servers.
///
/// Cluster names are answered on threads that move many datagrams with each call; what needs another server
/// goes to tasks, so that a slow one never delays a cluster name.
public final class DNSServer: Sendable {
    private let configuration: DNSConfiguration
    private let informers: InformerSet?
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let store: ZoneStore
    private let cache: CacheResolver
    private let responder: Responder
    private let resolverFile: ResolverFile
    private let group: any EventLoopGroup
    private let bound = Mutex<Bound?>(nil)
    /// Queries that wait for other servers.
    fileprivate let waiting = Atomic<Int>(0)

    private struct Bound: Sendable {
        var datagrams: [DatagramSocket]
        var streams: [StreamListener]
        var addresses: [ListenAddress]
    }

    /// - Parameter informers: where Services and EndpointSlices come from. It must be running, or be started
    ///   beside this server.
    /// - Throws: `invalidConfiguration` if the domain is no domain name or there is no address to listen on.
    public convenience init(
        configuration: DNSConfiguration, informers: InformerSet,
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "swiftlet.dns")
    ) throws(DNSError) {
        try self.init(
            configuration: configuration, informers: informers as InformerSet?, clock: clock, logger: logger)
    }

    /// Without informers the zone is what `update` makes of it.
    package init(
        configuration: DNSConfiguration, informers: InformerSet?, clock: any Clock<Duration>, logger: Logger
    ) throws(DNSError) {
        guard let domain = DNSName(configuration.domain), domain != .root else {
            throw DNSError(
                .invalidConfiguration,
                "the cluster's domain must be a domain name such as cluster.local, not '\(configuration.domain)'"
            )
        }
        guard !configuration.listen.isEmpty else {
            throw DNSError(
                .invalidConfiguration, "the DNS server needs an address to listen on, such as 10.96.0.10")
        }
        self.configuration = configuration
        self.informers = informers
        self.clock = clock
        self.logger = logger
        group = MultiThreadedEventLoopGroup.singleton
        resolverFile = ResolverFile(path: configuration.resolverFile)
        store = ZoneStore(ClusterZone(domain: domain, servers: configuration.listen.map(\.address)))
        let start = ContinuousClock.now
        cache = CacheResolver(now: { ContinuousClock.now - start })
        responder = Responder(
            chain: ResolverChain([
                ClusterResolver(store: store, timeToLive: configuration.timeToLive),
                ReverseResolver(
                    store: store, ranges: configuration.ranges, timeToLive: configuration.timeToLive),
                cache,
            ]))
    }

    /// Changes the zone; the next query sees it.
    package func update(_ change: (inout ClusterZone) -> Void) {
        store.update(change)
    }

    /// Where it listens, once bound; port 0 of the configuration replaced by the real one.
    public var addresses: [ListenAddress] {
        bound.withLock { $0?.addresses ?? [] }
    }

    /// Opens the sockets: from now on queries wait instead of being refused. Called by `run`, unless it was
    /// called before.
    /// - Throws: `cannotListen`, and then nothing is open.
    public func bind() async throws(DNSError) {
        guard bound.withLock({ $0 == nil }) else { return }
        var opened = Bound(datagrams: [], streams: [], addresses: [])
        do {
            for wanted in configuration.listen {
                try await open(wanted, &opened, attempts: wanted.port == 0 ? 20 : 1)
            }
        } catch {
            for stream in opened.streams { stream.channel.close(promise: nil) }
            throw error
        }
        bound.withLock { $0 = opened }
    }

    /// A port that was free for UDP may be taken for TCP; another attempt gets another one.
    private func open(_ wanted: ListenAddress, _ opened: inout Bound, attempts: Int) async throws(DNSError) {
        var address = wanted
        var datagrams: [DatagramSocket] = []
        for _ in 0..<threads {
            let socket = try DatagramSocket(address)
            address = socket.address
            datagrams.append(socket)
        }
        do throws(DNSError) {
            let stream = try await StreamListener.bind(address, group: group, respond: respondToStream)
            opened.streams.append(stream)
        } catch {
            guard attempts > 1 else { throw error }
            return try await open(wanted, &opened, attempts: attempts - 1)
        }
        opened.datagrams += datagrams
        opened.addresses.append(address)
    }

    private var threads: Int {
        configuration.threads > 0
            ? configuration.threads : min(4, max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }

    /// Answers queries until the task is cancelled.
    /// - Throws: `cannotListen`.
    public func run() async throws {
        try await bind()
        guard let bound = bound.withLock({ $0 }) else { return }
        subscribe()
        let (later, continuation) = AsyncStream.makeStream(
            of: LateReply.self, bufferingPolicy: .bufferingOldest(Self.mostWaiting))
        try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                await waitForZone()
                logger.info(
                    "answering DNS queries",
                    metadata: ["addresses": "\(bound.addresses)", "domain": "\(configuration.domain)"])
                for (index, socket) in bound.datagrams.enumerated() {
                    tasks.addTask { [self] in
                        await onThread(named: "dns-\(index)") { [self] in serve(socket, continuation) }
                    }
                }
                for stream in bound.streams {
                    tasks.addTask { try await stream.run() }
                }
                tasks.addTask { [self] in await answer(later) }
                // The first to end ends all: none does before it is told to, unless its socket failed.
                defer {
                    stop(bound)
                    tasks.cancelAll()
                    continuation.finish()
                }
                try await tasks.next()
            }
        } onCancel: {
            stop(bound)
        }
        self.bound.withLock { $0 = nil }
    }

    private func stop(_ bound: Bound) {
        for socket in bound.datagrams { socket.stop() }
        for stream in bound.streams { stream.channel.close(promise: nil) }
    }

    // MARK: The zone

    private func subscribe() {
        guard let informers else { return }
        let store = store
        informers.informer(Service.self).subscribe { event in
            store.update { $0.apply(event) }
        }
        informers.informer(EndpointSlice.self).subscribe { event in
            store.update { $0.apply(event) }
        }
    }

    /// Waits for the objects that exist; no longer than the configuration says, for names outside of the
    /// cluster can be answered without them.
    private func waitForZone() async {
        guard let informers else { return }
        let services = informers.informer(Service.self)
        let slices = informers.informer(EndpointSlice.self)
        let clock = clock
        let patience = configuration.patience
        await withTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                await services.waitForSync()
                await slices.waitForSync()
                return !Task.isCancelled
            }
            tasks.addTask {
                try? await clock.sleep(for: patience)
                return false
            }
            let isComplete = await tasks.next() ?? false
            tasks.cancelAll()
            if !isComplete, !Task.isCancelled {
                logger.warning(
                    "the cluster's Services are not known yet; names that are missing get SERVFAIL",
                    metadata: ["waited": "\(patience)"])
            }
        }
    }
}

// MARK: Answers

extension DNSServer {
    /// Queries that may wait for other servers at a time. More are not answered; their clients ask again.
    fileprivate static let mostWaiting = 1024

    /// A query that came by UDP and waits for another server.
    fileprivate struct LateReply: Sendable {
        let pending: Responder.Pending
        let socket: DatagramSocket
        let peer: DatagramSocket.Peer
    }

    fileprivate func serve(_ socket: DatagramSocket, _ later: AsyncStream<LateReply>.Continuation) {
        var generator = SpreadGenerator()
        socket.serve { message, peer in
            switch responder.respond(to: message, over: .datagram, using: &generator) {
            case .reply(let reply): return reply
            case .ignore: return nil
            case .later(let pending):
                later.yield(LateReply(pending: pending, socket: socket, peer: peer))
                return nil
            }
        }
    }

    fileprivate func answer(_ replies: AsyncStream<LateReply>) async {
        await withDiscardingTaskGroup { tasks in
            for await reply in replies {
                guard waiting.load(ordering: .relaxed) < Self.mostWaiting else { continue }
                waiting.wrappingAdd(1, ordering: .relaxed)
                tasks.addTask { [self] in
                    let answer = await forward(reply.pending.question)
                    reply.socket.send(reply.pending.reply(answer), to: reply.peer)
                    waiting.wrappingSubtract(1, ordering: .relaxed)
                }
            }
        }
    }

    fileprivate func respondToStream(_ message: [UInt8]) -> StreamReply {
        var generator = SpreadGenerator()
        switch responder.respond(to: message, over: .stream, using: &generator) {
        case .reply(let reply): return .now(reply)
        case .ignore: return .none
        case .later(let pending):
            return .later { [self] in pending.reply(await forward(pending.question)) }
        }
    }

    /// Asks other servers and keeps what they say.
    fileprivate func forward(_ question: Question) async -> Answer {
        let forwarder = Forwarder(
            servers: { [self] in upstreams }, group: group, clock: clock, logger: logger)
        let answer = await forwarder.resolve(question)
        cache.store(answer, for: question)
        return answer
    }

    /// Never one of our own addresses: a resolver file that names us would make us ask ourselves.
    private var upstreams: [SocketAddress] {
        let candidates =
            configuration.upstreams.isEmpty
            ? resolverFile.servers.map { ListenAddress(address: $0) } : configuration.upstreams
        let own = Set(addresses)
        return candidates.filter { !own.contains($0) }.compactMap { try? $0.socketAddress() }
    }
}
