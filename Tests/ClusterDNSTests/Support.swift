import ClusterDNS
import Testing

func name(_ text: String) throws -> DNSName {
    try #require(DNSName(text))
}

func address(_ text: String) throws -> HostAddress {
    try #require(HostAddress(text))
}

func query(_ text: String, _ type: RecordType = .a, id: UInt16 = 1) throws -> Query {
    Query(id: id, question: Question(name: try name(text), type: type))
}

/// The same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    // SplitMix64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

extension ResourceRecord {
    /// As in a zone file, without class and time to live.
    var text: String {
        let content =
            switch data {
            case .address(let address): " \(address)"
            case .cname(let name), .ns(let name), .ptr(let name): " \(name)"
            case .srv(let priority, let weight, let port, let target):
                " \(priority) \(weight) \(port) \(target)"
            case .txt(let strings):
                strings.map { " \"" + String(decoding: $0, as: UTF8.self) + "\"" }.joined()
            case .mx(let preference, let exchange): " \(preference) \(exchange)"
            case .soa: ""
            case .other(_, let bytes): " \(bytes)"
            }
        return "\(name) \(type)\(content)"
    }
}
