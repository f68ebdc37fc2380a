import Glibc
public import KubernetesClient
public import Logging
import NIOCore
import NIOPosix
import Synchronization
public import Telemetry

/// The cluster's DNS server: names of Services and pods from memory, all other names from other servers.
///
/// Cluster names are answered on threads that move many datagrams with each call; what needs another server
/// goes to tasks, so that a slow one never delays a cluster name.
public final class DNSServer: Sendable {
    let configuration: DNSConfiguration
    let clock: any Clock<Duration>
    let logger: Logger
    let responder: Responder
    let forwarder: Forwarder
    let metrics: DNSMetrics
    /// For everything that is not answered on a thread of its own.
    let recorder: Mutex<QueryRecorder>
    /// Queries that wait for other servers.
    let waiting = Atomic<Int>(0)

    private let feed: ObjectFeed?
    private let store: ZoneStore
    private let pods: PodStore
    private let upstreams: Upstreams
    private let group: any EventLoopGroup
    /// Questions to ask anew before their answers end.
    private let refreshes: AsyncStream<Question>
    private let bound = Mutex<Bound?>(nil)

    private struct Bound: Sendable {
        var datagrams: [DatagramSocket]
        var streams: [StreamListener]
        var addresses: [ListenAddress]
    }

    /// - Parameters:
    ///   - informers: where namespaces, Services, EndpointSlices and pods come from. They must be running, or be started
    ///     beside this server.
    ///   - isAlone: nobody else in this process follows these objects, so that only what matters to names is
    ///     kept of them.
    /// - Throws: `invalidConfiguration` if the domain is no domain name or there is no address to listen on.
    public convenience init(
        configuration: DNSConfiguration, informers: InformerSet, isAlone: Bool = false,
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "swiftlet.dns"),
        metrics: MetricRegistry = .shared
    ) throws(DNSError) {
        try self.init(
            configuration: configuration, feed: ObjectFeed(informers, isShared: !isAlone), clock: clock,
            logger: logger, metrics: metrics)
    }

    /// Without informers: the zone is what `update` makes of it.
    package convenience init(
        configuration: DNSConfiguration, clock: any Clock<Duration>, logger: Logger,
        metrics: MetricRegistry = MetricRegistry()
    ) throws(DNSError) {
        try self.init(
            configuration: configuration, feed: nil, clock: clock, logger: logger, metrics: metrics)
    }

    private init(
        configuration: DNSConfiguration, feed: ObjectFeed?, clock: any Clock<Duration>, logger: Logger,
        metrics registry: MetricRegistry
    ) throws(DNSError) {
        let domain = try configuration.checkedDomain()
        self.configuration = configuration
        self.feed = feed
        self.clock = clock
        self.logger = logger
        let group = MultiThreadedEventLoopGroup.singleton
        self.group = group
        let zone = ZoneStore(ClusterZone(domain: domain, servers: configuration.listen.map(\.address)))
        let directory = PodStore(PodDirectory(domain: domain))
        let metrics = DNSMetrics(
            registry, server: configuration.listen.first.map { "\($0)" } ?? "", domain: domain)
        let (refreshes, refresh) = AsyncStream.makeStream(
            of: Question.self, bufferingPolicy: .bufferingOldest(Self.mostWaiting))
        let start = ContinuousClock.now
        let cache = CacheResolver(
            AnswerCache(capacity: configuration.cacheCapacity), metrics: metrics.cache,
            now: { ContinuousClock.now - start }, refresh: { refresh.yield($0) })
        let loops = LoopDetector()
        func upstreams() -> Upstreams {
            Upstreams(
                transport: NetworkTransport(group: group), loops: loops, timing: configuration.timing,
                clock: clock, logger: logger, metrics: metrics.forward)
        }
        self.upstreams = upstreams()
        var stubs: [DNSName: Upstreams] = [:]
        for (domain, servers) in try configuration.checkedStubDomains() {
            let stub = upstreams()
            stub.setServers(servers)
            stubs[domain] = stub
        }
        forwarder = Forwarder(
            cache: cache, upstreams: self.upstreams, stubDomains: stubs, timing: configuration.timing,
            metrics: metrics.forward)
        let timeToLive = configuration.timeToLive
        responder = Responder(
            chain: ResolverChain([
                loops, ClusterResolver(store: zone, timeToLive: timeToLive),
                ReverseResolver(store: zone, ranges: configuration.ranges, timeToLive: timeToLive), cache,
            ]),
            completion: configuration.completesSearchPaths
                ? SearchPathCompletion(pods: directory, timeToLive: timeToLive) : nil)
        recorder = Mutex(QueryRecorder(metrics, logger: configuration.logsQueries ? logger : nil))
        registry.read(
            "coredns_cache_entries",
            "Answers of other servers that are kept, those after their time included."
        ) { [.init(Double(cache.count))] }
        store = zone
        pods = directory
        self.metrics = metrics
        self.refreshes = refreshes
    }

    /// Changes the zone; the next query sees it.
    package func update(_ change: (inout ClusterZone) -> Void) {
        store.update(change)
    }

    /// Changes what is known of pods; the next query sees it.
    package func updatePods(_ change: (inout PodDirectory) -> Void) {
        pods.update(change)
    }

    /// Why a name of the cluster does not exist; nil when another resolver said so.
    func reason(forAbsenceOf name: DNSName, _ resolver: String) -> String? {
        guard resolver == "cluster" else { return nil }
        return store.read { zone in
            name.lowercased.relative(to: zone.domain).map { zone.reason(forAbsenceOf: $0) }
        }
    }

    /// The search path of the pod that has this address.
    package func searchPath(at address: HostAddress) -> SearchPath? {
        pods.read { $0.searchPath(of: address) }
    }

    /// Where it listens, once bound; port 0 of the configuration replaced by the real one.
    public var addresses: [ListenAddress] {
        bound.withLock { $0?.addresses ?? [] }
    }

    // MARK: Sockets

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

    /// TCP first: several sockets share a UDP port, so that a second server would take queries from the first until
    /// it fails. A port that was free for TCP may be taken for UDP; another attempt gets another one.
    private func open(_ wanted: ListenAddress, _ opened: inout Bound, attempts: Int) async throws(DNSError) {
        let stream = try await StreamListener.bind(
            wanted, group: group, idleLimit: configuration.idleLimit, respond: respondToStream)
        var address = wanted
        if let port = stream.channel.localAddress?.port.flatMap({ UInt16(exactly: $0) }) {
            address.port = port
        }
        do throws(DNSError) {
            var datagrams: [DatagramSocket] = []
            for _ in 0..<threads { datagrams.append(try DatagramSocket(address)) }
            opened.datagrams += datagrams
        } catch {
            stream.channel.close(promise: nil)
            guard attempts > 1 else { throw error }
            return try await open(wanted, &opened, attempts: attempts - 1)
        }
        opened.streams.append(stream)
        opened.addresses.append(address)
    }

    private var threads: Int {
        configuration.threads > 0
            ? configuration.threads : min(4, max(2, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }

    // MARK: Running

    /// Answers queries until the task is cancelled.
    /// - Throws: `cannotListen`.
    public func run() async throws {
        try await bind()
        guard let bound = bound.withLock({ $0 }) else { return }
        // Before pods are heard of, whose search paths it is part of.
        let file = ResolverFile(path: configuration.resolverFile)
        takeIn(file)
        subscribe()
        let (later, continuation) = AsyncStream.makeStream(
            of: LateReply.self, bufferingPolicy: .bufferingOldest(Self.mostWaiting))
        try await withTaskCancellationHandler {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { [self] in await followWorld(since: file) }
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

    /// Learns of the cluster's objects, and waits until those that exist are known; for explanations.
    package func learnZone() async {
        subscribe()
        // Whoever asks for an explanation wants to know the search path of the pod, too.
        await waitForZone(andPods: configuration.completesSearchPaths)
    }

    private func subscribe() {
        guard let feed else { return }
        let (store, pods) = (store, pods)
        feed.namespaces.subscribe { event in store.update { $0.apply(event) } }
        feed.services.subscribe { event in store.update { $0.apply(event) } }
        feed.slices.subscribe { event in store.update { $0.apply(event) } }
        guard configuration.completesSearchPaths else { return }
        feed.pods.subscribe { event in pods.update { $0.apply(event) } }
    }

    /// Waits for the objects that exist; no longer than the configuration says, for names outside of the
    /// cluster can be answered without them.
    private func waitForZone(andPods: Bool = false) async {
        guard let feed else { return }
        let clock = clock
        let patience = configuration.patience
        await withTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                await feed.namespaces.waitForSync()
                await feed.services.waitForSync()
                await feed.slices.waitForSync()
                if andPods { await feed.pods.waitForSync() }
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

    /// Follows the node's resolver file, looks after other servers, and fetches answers anew.
    private func followWorld(since file: ResolverFile) async {
        await withDiscardingTaskGroup { tasks in
            tasks.addTask { [self] in
                let watch = ResolverFileWatch(path: configuration.resolverFile, group: group, logger: logger)
                await watch.run(since: file) { [self] in takeIn($0) }
            }
            tasks.addTask { [self] in await forwarder.run() }
            tasks.addTask { [self] in
                // One that takes its time must not keep the others from being asked.
                await withDiscardingTaskGroup { tasks in
                    for await question in refreshes {
                        tasks.addTask { [self] in await forwarder.refresh(question) }
                    }
                }
            }
        }
    }

    /// The servers that are asked for all names.
    package var upstreamServers: [ListenAddress] { upstreams.servers }

    /// Asks these servers from now on, whatever the configuration says.
    package func useServers(_ servers: [ListenAddress]) { upstreams.setServers(servers) }

    /// Never one of our own addresses: a resolver file that names us would make us ask ourselves.
    func takeIn(_ file: ResolverFile) {
        let candidates =
            configuration.upstreams.isEmpty
            ? file.servers : configuration.upstreams
        let own = Set(addresses + configuration.listen)
        upstreams.setServers(candidates.filter { !own.contains($0) })
        let search =
            switch configuration.nodeSearch {
            case .ofResolverFile:
                HostSearch(
                    domains: file.searches,
                    since: ResolverFile.modificationTime(configuration.resolverFile))
            case .domains(let domains): HostSearch(domains: ResolverFile.searches(domains))
            case .unknown: HostSearch(domains: nil)
            }
        pods.update { $0.host = search }
        logger.info("asking other servers", metadata: ["servers": "\(upstreams.servers)"])
        if upstreams.servers.isEmpty {
            logger.notice(
                """
                names outside of the cluster get SERVFAIL: expected servers for them, found none but this one. Name \
                some in the resolver file, or by --dns-upstream
                """, metadata: ["file": "\(configuration.resolverFile)", "named": "\(candidates)"])
        }
    }
}

extension DNSConfiguration {
    fileprivate func checkedDomain() throws(DNSError) -> DNSName {
        guard let name = DNSName(domain), name != .root else {
            throw DNSError(
                .invalidConfiguration,
                "the cluster's domain must be a domain name such as cluster.local, not '\(domain)'")
        }
        guard !listen.isEmpty else {
            throw DNSError(
                .invalidConfiguration, "the DNS server needs an address to listen on, such as 10.96.0.10")
        }
        if let all = listen.first(where: { $0.address.bytes.allSatisfy { $0 == 0 } }) {
            throw DNSError(
                .invalidConfiguration,
                "expected the address to listen on to be one of this machine's, found \(all): an answer must come from "
                    + "the address that was asked. Name each address, see: ip address")
        }
        return name
    }

    fileprivate func checkedStubDomains() throws(DNSError) -> [DNSName: [ListenAddress]] {
        var result: [DNSName: [ListenAddress]] = [:]
        for (domain, servers) in stubDomains {
            guard let name = DNSName(domain), name != .root, !servers.isEmpty else {
                throw DNSError(
                    .invalidConfiguration,
                    "a stub domain must be a domain name such as corp.example with the address of a server, not '\(domain)'"
                )
            }
            let cluster = DNSName(self.domain)?.lowercased ?? .root
            guard name.lowercased.relative(to: cluster) == nil else {
                throw DNSError(
                    .invalidConfiguration,
                    "expected a stub domain outside of \(self.domain), found '\(domain)': names in there are the cluster's"
                )
            }
            result[name] = servers
        }
        return result
    }
}
