import Glibc
import Synchronization

/// The kernel's table of connections as a text, `/proc/net/nf_conntrack`, which says soon that there is nothing to
/// list.
///
/// Writing it, the kernel passes by the empty buckets of its table, each of which it locks for a list over netlink:
/// 0.3 ms were measured with few connections and the usual 262,144 buckets, against 9 ms. What the text does not rule
/// out is listed over netlink all the same. A kernel may have been built without it.
final class TrackingText: Sendable {
    /// With how many connections it is worth a look. Kernels before 6.16 look for their place in the table anew for
    /// every page of the text, which has about twenty lines.
    static let fewConnections: UInt32 = 256
    /// More than that is no text of few connections.
    private static let longest = 1 << 20

    private let descriptor: Int32
    private let buffer = Mutex([UInt8](repeating: 0, count: 1 << 14))

    /// Opens the text of the calling thread's network namespace; nil where there is none.
    init?() {
        descriptor = open("/proc/thread-self/net/nf_conntrack", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// False when the filter lets no connection through; true also when that cannot be told.
    func mayHold(_ filter: ConnectionFilter) -> Bool {
        guard let text = read() else { return true }
        return text.split(separator: UInt8(ascii: "\n")).contains { line in
            TrackingLine(line).map { $0.mayMatch(filter) } ?? true
        }
    }

    private func read() -> [UInt8]? {
        buffer.withLock { buffer in
            var text: [UInt8] = []
            while text.count < Self.longest {
                let count = buffer.withUnsafeMutableBytes {
                    pread(descriptor, $0.baseAddress, $0.count, off_t(text.count))
                }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { return nil }
                if count == 0 { return text }
                text += buffer[..<count]
            }
            return nil
        }
    }
}

/// What a line of the text says of a connection, as far as filters ask for it:
///
///     ipv4     2 tcp      6 119 TIME_WAIT src=10.244.0.9 dst=10.96.0.42 sport=40312 dport=80 src=10.244.0.2 …
package struct TrackingLine: Sendable, Hashable {
    package let originalDestination: IPAddress
    package let replySource: IPAddress
    package let transportProtocol: UInt8
    package let isAnswered: Bool

    /// Nil for what is no such line.
    package init?(_ line: some Collection<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        func addresses(_ name: String) -> [IPAddress?] {
            words.filter { $0.hasPrefix(name) }.map { IPAddress($0.dropFirst(name.count)) }
        }
        let sources = addresses("src=")
        let destinations = addresses("dst=")
        guard words.count > 4, let number = UInt8(words[3]), sources.count == 2, destinations.count == 2,
            let source = sources[1], let destination = destinations[0]
        else { return nil }
        originalDestination = destination
        replySource = source
        transportProtocol = number
        isAnswered = !words.contains("[UNREPLIED]")
    }

    /// Whether the filter may let the connection through; it is not asked about ports.
    package func mayMatch(_ filter: ConnectionFilter) -> Bool {
        (filter.originalDestination ?? originalDestination) == originalDestination
            && (filter.replySource ?? replySource) == replySource
            && (filter.transportProtocol ?? transportProtocol) == transportProtocol
            && (filter.isAnswered ?? isAnswered) == isAnswered
    }
}
