import Logging

/// Counts answered queries, and writes them to the log if that is wanted. Each thread has one of its own.
struct QueryRecorder {
    private var tally: QueryTally
    private let metrics: DNSMetrics
    private let logger: Logger?

    /// - Parameter logger: nil: queries are not logged.
    init(_ metrics: DNSMetrics, logger: Logger?) {
        tally = QueryTally(metrics)
        self.metrics = metrics
        self.logger = logger
    }

    mutating func record(
        _ reply: Responder.Reply, to client: ListenAddress?, requestSize: Int, isStream: Bool, took: Duration
    ) {
        var isSix = false
        if case .v6? = client?.address { isSix = true }
        tally.count(reply, requestSize: requestSize, isStream: isStream, isSix: isSix, took: took)
        if reply.isCompleted { metrics.completions.increment() }
        guard let logger else { return }
        logger.notice("\(Self.line(reply, client, requestSize, isStream, took))")
    }

    /// A line as CoreDNS's log plugin writes it: client, id, question with transport, size, DNSSEC wish and
    /// buffer size, then outcome, flags, size and seconds.
    static func line(
        _ reply: Responder.Reply, _ client: ListenAddress?, _ requestSize: Int, _ isStream: Bool,
        _ took: Duration
    ) -> String {
        let query = reply.query
        let question = query.map { "\($0.question.type) IN \($0.question.name)" } ?? "- - -"
        let transport = isStream ? "tcp" : "udp"
        let buffer = query?.extensions?.payloadSize ?? Query.smallestDatagram
        let wantsDNSSEC = query?.extensions?.wantsDNSSEC ?? false
        let flags = reply.bytes.count > 3 ? Self.flags(reply.bytes[2], reply.bytes[3]) : ""
        let microseconds = Int(took / .microseconds(1))
        let fraction = String(microseconds % 1_000_000 + 1_000_000).dropFirst()
        return "\(client.map { "\($0)" } ?? "-") - \(query?.id ?? 0) "
            + "\"\(question) \(transport) \(requestSize) \(wantsDNSSEC) \(buffer)\" "
            + "\(reply.code) \(flags) \(reply.bytes.count) \(microseconds / 1_000_000).\(fraction)s"
    }

    private static func flags(_ first: UInt8, _ second: UInt8) -> String {
        let names: [(UInt8, UInt8, String)] = [
            (first, 0x80, "qr"), (first, 0x04, "aa"), (first, 0x02, "tc"), (first, 0x01, "rd"),
            (second, 0x80, "ra"), (second, 0x20, "ad"), (second, 0x10, "cd"),
        ]
        return names.filter { $0.0 & $0.1 != 0 }.map(\.2).joined(separator: ",")
    }
}
