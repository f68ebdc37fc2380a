import Synchronization

/// The zone, shared between those who change it and the threads that answer from it. A change is there for
/// whoever asks after `update` returned.
package final class ZoneStore: Sendable {
    private let zone: Mutex<ClusterZone>

    package init(_ zone: ClusterZone) {
        self.zone = Mutex(zone)
    }

    package func update(_ change: (inout ClusterZone) -> Void) {
        zone.withLock { change(&$0) }
    }

    /// Short, since everybody else waits; a copy of the zone must not leave, or the next change copies it all.
    func read<Value: Sendable>(_ body: (borrowing ClusterZone) -> Value) -> Value {
        zone.withLock { body($0) }
    }
}

/// Answers for the cluster's domain, with authority.
package struct ClusterResolver: Resolver {
    package let name = "cluster"
    private let store: ZoneStore
    private let domain: DNSName
    /// Seconds.
    private let timeToLive: UInt32

    package init(store: ZoneStore, timeToLive: UInt32) {
        self.store = store
        self.timeToLive = timeToLive
        domain = store.read { $0.domain }
    }

    package func resolve(_ question: Question) -> Resolution {
        guard let labels = question.name.lowercased.relative(to: domain) else { return .pass }
        let (content, soa, isComplete) = store.read { ($0.content(of: labels), $0.soa, $0.isComplete) }
        switch content {
        case .absent(let isOfService):
            guard isComplete else { return .answer(Answer(code: .serverFailure)) }
            var denial = negative(.nameError, soa)
            denial.endsSearch = isOfService
            return .answer(denial)
        case .records(let records):
            if case .cname(let target)? = records.first, question.type != .cname {
                let alias = Answer(isAuthoritative: true, answers: [record(question.name, records[0])])
                guard question.type != .any else { return .answer(alias) }
                return .alias(alias, next: question.asked(of: target))
            }
            let matching = records.filter { question.type == .any || $0.type == question.type }
            guard !matching.isEmpty else { return .answer(negative(.noError, soa)) }
            return .answer(
                Answer(
                    isAuthoritative: true, answers: matching.map { record(question.name, $0) },
                    additional: additional(matching)))
        }
    }

    private func record(_ name: DNSName, _ data: RecordData) -> ResourceRecord {
        ResourceRecord(name: name, timeToLive: timeToLive, data: data)
    }

    /// RFC 2308: a negative answer carries the start of authority, which says how long it may be kept.
    private func negative(_ code: ResponseCode, _ soa: RecordData) -> Answer {
        Answer(
            code: code, isAuthoritative: true,
            authority: [ResourceRecord(name: domain, timeToLive: 0, data: soa)])
    }

    /// The addresses of the names that the records point at.
    private func additional(_ records: [RecordData]) -> [ResourceRecord] {
        var seen: Set<DNSName> = []
        var result: [ResourceRecord] = []
        for data in records {
            let target: DNSName
            switch data {
            case .srv(_, _, _, let name), .ns(let name): target = name
            default: continue
            }
            guard seen.insert(target).inserted, let labels = target.relative(to: domain),
                case .records(let contents) = store.read({ $0.content(of: labels) })
            else { continue }
            for case .address(let address) in contents {
                result.append(record(target, .address(address)))
            }
        }
        return result
    }
}
