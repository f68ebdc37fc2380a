/// Answers which name an address of the cluster stands for (`5.0.244.10.in-addr.arpa`). For addresses within
/// its ranges it has authority; others may be anybody's and are passed on unless they have a name here.
package struct ReverseResolver: Resolver {
    package let name = "reverse"
    private let store: ZoneStore
    private let ranges: [AddressRange]
    private let timeToLive: UInt32

    package init(store: ZoneStore, ranges: [AddressRange], timeToLive: UInt32) {
        self.store = store
        self.ranges = ranges
        self.timeToLive = timeToLive
    }

    package func resolve(_ question: Question) -> Resolution {
        guard let address = Self.address(question.name) else { return partial(question) }
        let (names, soa, isComplete) = store.read { ($0.names(of: address), $0.soa, $0.isComplete) }
        let range = ranges.first { $0.contains(address) }
        if names.isEmpty && range == nil { return .pass }
        if !names.isEmpty, question.type == .ptr || question.type == .any {
            return .answer(
                Answer(
                    isAuthoritative: true,
                    answers: names.map {
                        ResourceRecord(name: question.name, timeToLive: timeToLive, data: .ptr($0))
                    }))
        }
        guard isComplete || !names.isEmpty else { return .answer(Answer(code: .serverFailure)) }
        let zone = Self.zone(address, prefix: range?.length ?? address.bytes.count * 8)
        return .answer(
            Answer(
                code: names.isEmpty ? .nameError : .noError, isAuthoritative: true,
                authority: [ResourceRecord(name: zone, timeToLive: 0, data: soa)]))
    }

    /// A name that stands for many addresses, all of them ours: the zone's own, or one between it and the addresses; or
    /// one below such a name, which does not exist.
    private func partial(_ question: Question) -> Resolution {
        guard let (network, isItself) = Self.closestNetwork(question.name),
            let range = ranges.first(where: { $0.contains(network.address) && $0.length <= network.length })
        else { return .pass }
        let soa = store.read { $0.soa }
        let zone = Self.zone(network.address, prefix: range.length)
        let record = ResourceRecord(name: zone, timeToLive: 0, data: soa)
        guard isItself else {
            return .answer(Answer(code: .nameError, isAuthoritative: true, authority: [record]))
        }
        if question.type == .soa, zone == question.name.lowercased {
            return .answer(Answer(isAuthoritative: true, answers: [record]))
        }
        return .answer(Answer(isAuthoritative: true, authority: [record]))
    }

    /// The network or address of the name, or of the first above it that stands for one.
    private static func closestNetwork(
        _ name: DNSName
    ) -> (network: (address: HostAddress, length: Int), isItself: Bool)? {
        for start in name.labelStarts {
            let above = DNSName(wire: Array(name.wire[start...]))
            let whole = address(above).map { (address: $0, length: $0.bytes.count * 8) }
            if let network = whole ?? network(above) { return (network, start == 0) }
        }
        return nil
    }

    /// The network that a reverse name with labels missing stands for: 96.10.in-addr.arpa is 10.96.0.0/16.
    private static func network(_ name: DNSName) -> (address: HostAddress, length: Int)? {
        let lower = name.lowercased
        for (suffix, labels, bits) in [(four, 4, 8), (six, 32, 4)] {
            guard let own = lower.relative(to: suffix)?.labels, (1..<labels).contains(own.count),
                let zeros = DNSName(labels: Array(repeating: "0", count: labels - own.count), under: name),
                let address = address(zeros)
            else { continue }
            return (address, own.count * bits)
        }
        return nil
    }

    private static let four = DNSName(labels: ["in-addr", "arpa"]) ?? .root
    private static let six = DNSName(labels: ["ip6", "arpa"]) ?? .root

    /// The address that a whole reverse name stands for.
    package static func address(_ name: DNSName) -> HostAddress? {
        let lower = name.lowercased
        if let labels = lower.relative(to: four)?.labels {
            guard labels.count == 4 else { return nil }
            let bytes = labels.reversed().compactMap { label -> UInt8? in
                let text = String(decoding: label, as: UTF8.self)
                guard let value = UInt8(text), String(value) == text else { return nil }
                return value
            }
            return bytes.count == 4 ? HostAddress(bytes: bytes) : nil
        }
        if let labels = lower.relative(to: six)?.labels {
            guard labels.count == 32 else { return nil }
            let nibbles = labels.reversed().compactMap { label -> UInt8? in
                guard label.count == 1, let byte = label.first else { return nil }
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"): return byte - UInt8(ascii: "0")
                case UInt8(ascii: "a")...UInt8(ascii: "f"): return byte - UInt8(ascii: "a") + 10
                default: return nil
                }
            }
            guard nibbles.count == 32 else { return nil }
            return HostAddress(bytes: (0..<16).map { nibbles[2 * $0] << 4 | nibbles[2 * $0 + 1] })
        }
        return nil
    }

    /// The reverse zone of an address, cut where a label ends.
    private static func zone(_ address: HostAddress, prefix: Int) -> DNSName {
        let bytes = address.bytes
        let labels: [String]
        switch address {
        case .v4:
            labels = bytes.prefix(prefix / 8).map { String($0) }
        case .v6:
            let nibbles = bytes.flatMap { [$0 >> 4, $0 & 0xf] }
            labels = nibbles.prefix(prefix / 4).map { String($0, radix: 16) }
        }
        let suffix: DNSName
        switch address {
        case .v4: suffix = four
        case .v6: suffix = six
        }
        return DNSName(labels: labels.reversed(), under: suffix) ?? suffix
    }
}
