import BenchmarkSupport
import Glibc
import HTTPService
import KubernetesClient

/// A line of a watch, as far as a load test looks at it: without parsing, so that hundreds of watchers can.
public struct WatchedEvent: Hashable, Comparable, Sendable {
    public var type: String
    public var name: String
    public var revision: UInt64

    /// - Parameter object: the JSON of the object.
    public init(_ type: String, _ name: String, _ object: [UInt8]) {
        self.type = type
        self.name = name
        revision = Self.revision(in: object)
    }

    /// Reads a line of a watch.
    public init(line: [UInt8]) {
        self.init(
            Self.text(after: #""type":""#, in: line), Self.text(after: #""name":""#, in: line), line)
    }

    public static func < (a: WatchedEvent, b: WatchedEvent) -> Bool { a.revision < b.revision }

    /// The first resourceVersion in a JSON text; 0 when there is none.
    public static func revision(in json: [UInt8]) -> UInt64 {
        UInt64(text(after: #""resourceVersion":""#, in: json)) ?? 0
    }

    private static func text(after mark: StaticString, in bytes: [UInt8]) -> String {
        let count = mark.utf8CodeUnitCount
        return bytes.withUnsafeBytes { all in
            guard let begin = all.baseAddress else { return "" }
            var from = 0
            while from + count <= all.count,
                let found = memchr(begin + from, Int32(mark.utf8Start[0]), all.count - count - from + 1)
            {
                from = UnsafeRawPointer(found) - begin
                if memcmp(found, mark.utf8Start, count) == 0 {
                    let rest = all[(from + count)...]
                    return String(decoding: rest.prefix { $0 != UInt8(ascii: "\"") }, as: UTF8.self)
                }
                from += 1
            }
            return ""
        }
    }
}

/// All that one watcher saw: whether it was in order, and a digest by which watchers compare.
public struct WatchedEvents: Sendable {
    public private(set) var count = 0
    /// All events, if they are kept.
    public private(set) var events: [WatchedEvent] = []
    /// What was wrong with their order.
    public private(set) var disorder: String?
    /// FNV-1a over type, name and revision of every event.
    public private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    public private(set) var last: UInt64
    private let keepsAll: Bool

    public init(after revision: UInt64, keepsAll: Bool) {
        last = revision
        self.keepsAll = keepsAll
    }

    public mutating func add(_ event: WatchedEvent) {
        if event.revision <= last {
            disorder = "\(event.type) \(event.name) of revision \(event.revision) came after \(last)"
        }
        count += 1
        last = max(last, event.revision)
        for byte in event.type.utf8 { mix(byte) }
        for byte in event.name.utf8 { mix(byte) }
        for shift in stride(from: 0, to: 64, by: 8) {
            mix(UInt8(truncatingIfNeeded: event.revision >> shift))
        }
        if keepsAll { events.append(event) }
    }

    private mutating func mix(_ byte: UInt8) { digest = (digest ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }

    /// Reads a watch up to the event of an object of that name.
    ///
    /// - Throws: ``Command/Failure`` when the watch ends before, or with an error.
    public mutating func read(_ body: ByteStream, until name: String) async throws {
        var lines = LineSplitter()
        for try await chunk in body {
            for line in try lines.append(chunk) {
                let event = WatchedEvent(line: line)
                guard event.type != "ERROR" else {
                    throw Command.Failure(
                        description: "a watch failed: \(String(decoding: line.prefix(500), as: UTF8.self))")
                }
                add(event)
                if event.name == name { return }
            }
        }
        throw Command.Failure(description: "a watch ended after \(count) events, before \(name)")
    }
}
