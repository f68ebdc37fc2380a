import ClusterDNS
import Logging
import Testing

/// A log to wait on.
struct LogStream: Sendable {
    let logger: Logger
    private let messages: AsyncStream<String>

    init() {
        let (messages, add) = AsyncStream.makeStream(of: String.self)
        self.messages = messages
        logger = Logger(label: "test") { _ in Handler(add: add) }
    }

    /// Returns the message once it was logged.
    @discardableResult
    func wait(for text: String) async -> String {
        for await message in messages where message.contains(text) { return message }
        return ""
    }

    private struct Handler: LogHandler {
        let add: AsyncStream<String>.Continuation
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { add.yield("\(event.message)") }
    }
}

extension ForwardTiming {
    /// For a machine that is busy with other tests.
    static var unhurried: ForwardTiming {
        var timing = ForwardTiming()
        timing.server = .seconds(600)
        timing.all = .seconds(600)
        timing.allWithStaleAnswer = .seconds(600)
        return timing
    }
}

func name(_ text: String) throws -> DNSName {
    try #require(DNSName(text))
}

func address(_ text: String) throws -> HostAddress {
    try #require(HostAddress(text))
}

func query(_ text: String, _ type: RecordType = .a, id: UInt16 = 1) throws -> Query {
    Query(id: id, question: Question(name: try name(text), type: type))
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
