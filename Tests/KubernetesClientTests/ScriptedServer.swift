import HTTPService
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Logging
import Synchronization
import Testing

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

func configMap(_ name: String, version: Int = 1, data: [String: String] = [:]) -> ConfigMap {
    ConfigMap(
        metadata: ObjectMeta(
            name: name, namespace: "default", uid: "uid-" + name, resourceVersion: "\(version)"),
        data: data)
}

func line(_ type: String, _ object: some JSONCodable) -> [UInt8] {
    Array(#"{"type":"\#(type)","object":"#.utf8) + object.json() + Array("}\n".utf8)
}

func bookmark(_ version: Int) -> [UInt8] {
    line("BOOKMARK", ConfigMap(metadata: ObjectMeta(resourceVersion: "\(version)")))
}

func listOf(_ items: [ConfigMap], version: Int) -> HTTPResponse {
    json(ObjectList(metadata: ListMeta(resourceVersion: "\(version)"), items: items))
}

func json(_ value: some JSONCodable, status: HTTPResponseStatus = .ok) -> HTTPResponse {
    HTTPResponse(status: status, contentType: "application/json", value.json())
}

func failure(_ code: Int, _ reason: String, _ message: String = "no") -> HTTPResponse {
    json(
        Status(status: "Failure", message: message, reason: reason, code: code),
        status: HTTPResponseStatus(statusCode: code))
}

/// A watch whose events the test sends.
final class ScriptedWatch: Sendable {
    private let pipe = ByteStream.makePipe()
    private let abandoned = Mutex<(Bool, CheckedContinuation<Void, Never>?)>((false, nil))

    var response: HTTPResponse {
        HTTPResponse(
            body: .stream { [self] writer in
                defer {
                    let waiter = abandoned.withLock { state in
                        state.0 = true
                        defer { state.1 = nil }
                        return state.1
                    }
                    waiter?.resume()
                }
                for try await bytes in pipe.stream { try await writer.write(bytes) }
            })
    }

    func send(_ lines: [UInt8]...) async throws {
        for line in lines { try await pipe.writer.write(line) }
    }

    func end(throwing error: (any Error)? = nil) { pipe.writer.finish(throwing: error) }

    /// Returns once the server's side of the watch is over.
    func waitForEnd() async {
        await withCheckedContinuation { continuation in
            let isOver = abandoned.withLock { state in
                if !state.0 { state.1 = continuation }
                return state.0
            }
            if isOver { continuation.resume() }
        }
    }
}

/// A server that answers one request after the other with what the test has laid out, and waits if there is
/// nothing.
final class ScriptedServer: HTTPResponder {
    struct Seen: Sendable {
        let request: HTTPRequest
        var line: String { "\(request.method.rawValue) \(request.target)" }
        var body: String {
            guard case .bytes(let bytes) = request.body else { return "" }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private struct State {
        var answers: [HTTPResponse] = []
        var seen: [Seen] = []
        var waiting: [CheckedContinuation<HTTPResponse, Never>] = []
        var observers: [(Int, CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())

    var client: KubernetesClient {
        KubernetesClient(transport: InProcessTransport(responder: self, user: "tester", groups: ["g"]))
    }

    func answer(_ responses: HTTPResponse...) {
        for response in responses {
            let waiter = state.withLock { state -> CheckedContinuation<HTTPResponse, Never>? in
                if !state.waiting.isEmpty { return state.waiting.removeFirst() }
                state.answers.append(response)
                return nil
            }
            waiter?.resume(returning: response)
        }
    }

    func respond(to request: HTTPRequest) async -> HTTPResponse {
        let observers = state.withLock { state in
            state.seen.append(Seen(request: request))
            let count = state.seen.count
            let reached = state.observers.filter { $0.0 <= count }
            state.observers.removeAll { $0.0 <= count }
            return reached
        }
        for observer in observers { observer.1.resume() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> HTTPResponse? in
                    if Task.isCancelled { return failure(499, "Cancelled") }
                    if !state.answers.isEmpty { return state.answers.removeFirst() }
                    state.waiting.append(continuation)
                    return nil
                }
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            let waiting = state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            for waiter in waiting { waiter.resume(returning: failure(499, "Cancelled")) }
        }
    }

    var seen: [Seen] { state.withLock { $0.seen } }

    /// The request of this number, counted from 1, once it was made.
    func request(_ number: Int) async throws -> Seen {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.seen.count < number { state.observers.append((number, continuation)) }
                return state.seen.count >= number
            }
            if isThere { continuation.resume() }
        }
        return try #require(seen.count >= number ? seen[number - 1] : nil)
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

/// Hears what is told, and lets a test wait for it.
final class Ear<Element: Sendable>: Sendable {
    private let state = Mutex<(heard: [Element], waiters: [(Int, CheckedContinuation<Void, Never>)])>(
        ([], []))

    func hear(_ element: Element) {
        let reached = state.withLock { state in
            state.heard.append(element)
            let count = state.heard.count
            let reached = state.waiters.filter { $0.0 <= count }
            state.waiters.removeAll { $0.0 <= count }
            return reached
        }
        for waiter in reached { waiter.1.resume() }
    }

    /// The first elements, once there are so many.
    func first(_ count: Int) async -> [Element] {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.heard.count < count { state.waiters.append((count, continuation)) }
                return state.heard.count >= count
            }
            if isThere { continuation.resume() }
        }
        return state.withLock { Array($0.heard.prefix(count)) }
    }

    var all: [Element] { state.withLock { $0.heard } }
}

/// A value that several tasks change.
final class Locked<Value: Sendable>: Sendable {
    private let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        value.withLock { value in
            var copy = value
            defer { value = copy }
            return body(&copy)
        }
    }
}
