import Telemetry

/// What is counted of queries, under the names that CoreDNS's metrics plugin has.
package struct DNSMetrics: Sendable {
    fileprivate let server: String
    fileprivate let zones: [(domain: DNSName, label: String)]
    fileprivate let requests: MetricFamily<Counter>
    fileprivate let responses: MetricFamily<Counter>
    fileprivate let signed: MetricFamily<Counter>
    fileprivate let duration: MetricFamily<Histogram>
    fileprivate let requestSize: MetricFamily<Histogram>
    fileprivate let responseSize: MetricFamily<Histogram>
    /// Search paths that were completed here instead of in several rounds.
    package let completions: Counter
    package let cache: CacheMetrics
    package let forward: ForwardMetrics

    private static let sizes: [Double] = [
        0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3,
    ]

    /// - Parameters:
    ///   - server: where it listens: `10.96.0.10:53`.
    ///   - domain: the cluster's domain, whose queries are counted under it.
    package init(_ registry: MetricRegistry, server: String, domain: DNSName) {
        self.server = "dns://\(server)"
        zones =
            ["in-addr.arpa", "ip6.arpa"].compactMap { DNSName($0) }.map { ($0, $0.description) }
            + [(domain.lowercased, domain.lowercased.description)]
        let zone = ["server", "zone", "view"]
        requests = registry.counter(
            "coredns_dns_requests_total", "DNS queries.",
            labels: ["server", "zone", "view", "proto", "family", "type"])
        responses = registry.counter(
            "coredns_dns_responses_total", "DNS answers, by outcome and by who found it.",
            labels: ["server", "zone", "view", "rcode", "plugin"])
        signed = registry.counter(
            "coredns_dns_do_requests_total", "DNS queries that want DNSSEC records.", labels: zone)
        duration = registry.histogram(
            "coredns_dns_request_duration_seconds", "Time to answer a DNS query, in seconds.", labels: zone,
            buckets: Histogram.exponential(from: 0.00025, factor: 2, count: 16))
        requestSize = registry.histogram(
            "coredns_dns_request_size_bytes", "Size of DNS queries, in bytes.", labels: zone + ["proto"],
            buckets: Self.sizes)
        responseSize = registry.histogram(
            "coredns_dns_response_size_bytes", "Size of DNS answers, in bytes.", labels: zone + ["proto"],
            buckets: Self.sizes)
        completions =
            registry.counter(
                "coredns_autopath_success_total", "Search paths that one answer completed.",
                labels: ["server"])[
                [self.server]]
        cache = CacheMetrics(registry, server: self.server)
        forward = ForwardMetrics(registry, server: self.server)
    }

    fileprivate func zone(of name: DNSName) -> Int {
        let lower = name.lowercased
        return zones.firstIndex { lower.relative(to: $0.domain) != nil } ?? zones.count
    }

    fileprivate func label(of zone: Int) -> String { zone < zones.count ? zones[zone].label : "." }
}

/// One thread's way to the metrics: keeps the series that it has counted in, for looking one up is dearer than
/// counting.
package struct QueryTally {
    private let metrics: DNSMetrics
    private var kept: [Key: Series] = [:]

    private struct Key: Hashable {
        var zone: Int
        var type: UInt16
        var isStream: Bool
        var isSix: Bool
        var code: UInt16
        var resolver: String
    }

    private struct Series {
        var requests: Counter
        var responses: Counter
        var signed: Counter
        var duration: Histogram
        var requestSize: Histogram
        var responseSize: Histogram
    }

    /// The types that have a label of their own, as CoreDNS has it.
    private static let types: Set<RecordType> = [
        .a, .aaaa, .mx, .soa, .cname, .ptr, .txt, .ns, .srv, .ds, .dnskey, .rrsig, .nsec, .nsec3, .svcb,
        .https,
        .any, .ixfr, .axfr,
    ]

    package init(_ metrics: DNSMetrics) {
        self.metrics = metrics
    }

    /// Counts an answered query.
    package mutating func count(
        _ reply: Responder.Reply, requestSize: Int, isStream: Bool, isSix: Bool, took: Duration
    ) {
        let question = reply.query?.question
        let type = question.map(\.type).flatMap { Self.types.contains($0) ? $0 : nil }
        let key = Key(
            zone: question.map { metrics.zone(of: $0.name) } ?? metrics.zones.count,
            type: type?.rawValue ?? 0, isStream: isStream, isSix: isSix, code: reply.code.rawValue,
            resolver: reply.resolver)
        let series = kept[key] ?? make(key, type)
        series.requests.increment()
        series.responses.increment()
        if reply.query?.extensions?.wantsDNSSEC == true { series.signed.increment() }
        series.duration.observe(took)
        series.requestSize.observe(Double(requestSize))
        series.responseSize.observe(Double(reply.bytes.count))
    }

    private mutating func make(_ key: Key, _ type: RecordType?) -> Series {
        let (server, zone) = (metrics.server, metrics.label(of: key.zone))
        let transport = key.isStream ? "tcp" : "udp"
        let code = ResponseCode(rawValue: key.code).description
        let series = Series(
            requests: metrics.requests[
                [server, zone, "", transport, key.isSix ? "2" : "1", type?.description ?? "other"]],
            responses: metrics.responses[[server, zone, "", code, key.resolver]],
            signed: metrics.signed[[server, zone, ""]],
            duration: metrics.duration[[server, zone, ""]],
            requestSize: metrics.requestSize[[server, zone, "", transport]],
            responseSize: metrics.responseSize[[server, zone, "", transport]])
        kept[key] = series
        return series
    }
}

/// What is counted of the cache.
package struct CacheMetrics: Sendable {
    private let success: Counter
    private let denial: Counter
    package let misses: Counter
    package let prefetches: Counter

    init(_ registry: MetricRegistry, server: String) {
        let hits = registry.counter(
            "coredns_cache_hits_total", "Answers from the cache.",
            labels: ["server", "type", "zones", "view"])
        success = hits[[server, "success", ".", ""]]
        denial = hits[[server, "denial", ".", ""]]
        misses =
            registry.counter(
                "coredns_cache_misses_total", "Questions that the cache could not answer.",
                labels: ["server", "zones", "view"])[[server, ".", ""]]
        prefetches =
            registry.counter(
                "coredns_cache_prefetch_total", "Answers fetched anew before they ended.",
                labels: ["server", "zones", "view"])[[server, ".", ""]]
    }

    func hit(_ answer: Answer) {
        (answer.code == .noError && !answer.answers.isEmpty ? success : denial).increment()
    }
}

/// What is counted of forwarding.
package struct ForwardMetrics: Sendable {
    private let duration: MetricFamily<Histogram>
    private let checkFailures: MetricFamily<Counter>
    /// Questions asked although no server was well.
    package let broken: Counter
    /// Questions that were turned away, too many being under way.
    package let rejected: Counter
    /// Answers given after their time, no server having a better one.
    package let stale: Counter

    init(_ registry: MetricRegistry, server: String) {
        duration = registry.histogram(
            "coredns_proxy_request_duration_seconds", "Time that another server took, in seconds.",
            labels: ["proxy_name", "to", "rcode"],
            buckets: Histogram.exponential(from: 0.00025, factor: 2, count: 16))
        checkFailures = registry.counter(
            "coredns_proxy_healthcheck_failures_total", "Checks that a server did not answer.",
            labels: ["proxy_name", "to"])
        broken =
            registry.counter(
                "coredns_forward_healthcheck_broken_total", "Questions asked although no server was well.")[[]
            ]
        rejected =
            registry.counter(
                "coredns_forward_max_concurrent_rejects_total",
                "Questions turned away because too many were under way.")[[]]
        stale =
            registry.counter(
                "coredns_cache_served_stale_total", "Answers given after their time.",
                labels: ["server", "zones", "view"])[[server, ".", ""]]
    }

    func answered(_ server: ListenAddress, _ code: ResponseCode, took: Duration) {
        duration[["forward", "\(server)", "\(code)"]].observe(took)
    }

    func checkFailed(_ server: ListenAddress) {
        checkFailures[["forward", "\(server)"]].increment()
    }
}
