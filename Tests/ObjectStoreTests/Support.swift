import Glibc
import Logging
import ObjectStore
import Synchronization
import Testing

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func pod(_ name: String, _ namespace: String = "default") -> ObjectKey {
    ObjectKey(resource: "pods", namespace: namespace, name: name)
}

func draft(_ value: String = "", labels: [String: String] = [:], uid: String = "") -> ObjectDraft {
    let head = #"{"metadata":{"resourceVersion":""#
    let tail = #""},"value":""# + value + #""}"#
    return ObjectDraft(
        bytes: Array((head + tail).utf8), revisionOffset: head.utf8.count, uid: uid, labels: labels)
}

func text(_ object: StoredObject?) -> String? { object.map { String(decoding: $0.bytes, as: UTF8.self) } }

func text(_ value: String, at revision: Revision) -> String {
    #"{"metadata":{"resourceVersion":"\#(revision)"},"value":"\#(value)"}"#
}

extension StoreState {
    /// One commit in a group of its own.
    @discardableResult
    mutating func commit(
        _ mutations: [Mutation], at now: Duration = .zero
    ) throws(StoreError) -> [StoredObject] {
        var group = beginGroup()
        let result = try plan(mutations, in: &group)
        apply(group, at: now)
        return result
    }

    func names(_ namespace: String? = nil, at: Revision? = nil) throws(StoreError) -> [String] {
        try list(resource: "pods", namespace: namespace, startAfter: nil, limit: nil, at: at)
            .objects.map { "\($0.key.namespace)/\($0.key.name)" }
    }
}

/// The name of an error's code, without what is attached to it.
func code(_ error: StoreError?) -> String {
    switch error?.code {
    case nil: "none"
    case .alreadyExists: "alreadyExists"
    case .notFound: "notFound"
    case .conflict: "conflict"
    case .compacted: "compacted"
    case .future: "future"
    case .invalidDraft: "invalidDraft"
    case .closed: "closed"
    case .locked: "locked"
    case .corrupted: "corrupted"
    case .incompatible: "incompatible"
    case .full: "full"
    case .unwritable: "unwritable"
    case .io: "io"
    }
}

/// A generator with a seed, so that a failure can be repeated (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Time that passes when the test says so. Nothing here sleeps on it.
final class ManualClock: Clock {
    struct Instant: InstantProtocol {
        var offset: Duration
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
    }
    private let time = Mutex(Instant(offset: .zero))
    var now: Instant { time.withLock { $0 } }
    let minimumResolution = Duration.zero
    func advance(by duration: Duration) { time.withLock { $0 = $0.advanced(by: duration) } }
    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        Issue.record("nobody should sleep on this clock")
    }
}

/// A directory that is removed with this value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/swiftlet-store-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw POSIXError(code: errno) }
        path = template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
    }

    struct POSIXError: Error { var code: Int32 }

    var files: [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { throw POSIXError(code: errno) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else { throw POSIXError(code: errno) }
        defer { close(file) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            guard count > 0 else { throw POSIXError(code: errno) }
            rest = rest.dropFirst(count)
        }
    }

    /// What a crash would leave: the files as they are at this moment.
    func copy(to other: TemporaryDirectory) throws {
        for name in files {
            try Self.write(try Self.read("\(path)/\(name)"), to: "\(other.path)/\(name)")
        }
    }

    deinit {
        for name in files { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}

/// Lets a test decide when and whether a write becomes durable.
final class ManualEngine: StorageEngine {
    typealias Work = @Sendable (Persist) -> Void

    private struct State {
        var waiting: [Work] = []
        var submissions: [CheckedContinuation<Void, Never>] = []
        var groups: [Int] = []
    }
    private let state = Mutex(State())

    func recover() async throws(StoreError) -> RecoveredState { RecoveredState() }
    func close() async throws(StoreError) {}

    func submit(_ work: @escaping Work) {
        let heard = state.withLock { state in
            state.waiting.append(work)
            defer { state.submissions = [] }
            return state.submissions
        }
        for continuation in heard { continuation.resume() }
    }

    /// Returns once there is work.
    func waitForWork() async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.waiting.isEmpty { state.submissions.append(continuation) }
                return !state.waiting.isEmpty
            }
            if isThere { continuation.resume() }
        }
    }

    /// Runs all work that waits; `beforeDurable` is called at the moment before each group is durable.
    func run(failingWith error: StoreError? = nil, beforeDurable: ([StoreEvent]) -> Void = { _ in }) {
        let work = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for item in work {
            item { group throws(StoreError) in
                beforeDurable(group.events)
                state.withLock { $0.groups.append(group.events.count) }
                if let error { throw error }
            }
        }
    }

    var groups: [Int] { state.withLock { $0.groups } }
}
