import DequeModule
import HTTPService
public import KubernetesAPI
import KubernetesJSON
public import Logging
import Synchronization

/// Reports what happened to objects as core/v1 Events, for `kubectl describe` and `kubectl get events`.
///
/// Recording never waits and never fails: events are advice to people. They are written one after the other
/// in the background; when the server cannot be reached for long, the oldest are dropped.
public struct EventRecorder: Sendable {
    /// The type of events that report the normal course of things.
    public static let normal = "Normal"
    /// The type of events that report that something should be looked at.
    public static let warning = "Warning"

    /// How events are written down.
    public enum Form: Sendable, Hashable {
        /// By `source`, with first and last time and a count: as core/v1 has it.
        case core
        /// By `reportingComponent`, with an event time and a series: as events.k8s.io/v1 has it, and as core/v1
        /// shows those that came in through it.
        case series(instance: String)
    }

    private let writer: EventWriter
    private let source: EventSource
    private let now: @Sendable () -> MicroTime

    /// - Parameters:
    ///   - component: who reports: `kubelet`, `default-scheduler`.
    ///   - host: the node that the component works for, if it works for one.
    ///   - form: how its events are written down.
    ///   - now: the time of day.
    public init(
        client: KubernetesClient, component: String, host: String = "", form: Form = .core,
        now: @escaping @Sendable () -> MicroTime = { MicroTime.now() },
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "swiftlet.events")
    ) {
        writer = EventWriter(client: client, form: form, clock: clock, logger: logger)
        source = EventSource(component: component, host: host)
        self.now = now
    }

    /// Reports something about an object.
    ///
    /// - Parameters:
    ///   - type: `Normal` or `Warning`.
    ///   - reason: one CamelCase word for what happened: `Pulled`.
    ///   - action: what was done or tried: `Binding`.
    public func record(
        object: ObjectReference, type: String, reason: String, action: String = "", message: String
    ) {
        let time = now()
        let seconds = Time(seconds: time.microseconds / 1_000_000)
        // Upstream's names: the object's, and the time in nanoseconds, in hexadecimal.
        let stamp = String(UInt64(clamping: time.microseconds) &* 1000, radix: 16)
        // Events about objects of cluster scope are in the default namespace, as upstream's are.
        let namespace = object.namespace.isEmpty ? "default" : object.namespace
        writer.write(
            Event(
                metadata: ObjectMeta(
                    name: "\(object.name).\(stamp)", namespace: namespace),
                involvedObject: object, reason: reason, message: message, source: source,
                firstTimestamp: seconds, lastTimestamp: seconds, count: 1, type: type, eventTime: time,
                action: action, reportingComponent: source.component, reportingInstance: source.host))
    }

    /// Reports something about an object.
    public func record<Object: KubernetesObject>(
        _ object: Object, type: String, reason: String, action: String = "", message: String
    ) {
        record(
            object: ObjectReference(to: object), type: type, reason: reason, action: action, message: message)
    }

    /// Returns once everything recorded so far is written or given up.
    public func flush() async { await writer.flush() }
}

extension EventRecorder.Form {
    /// The event as it is first written.
    func written(_ event: Event) -> Event {
        var event = event
        guard case .series(let instance) = self else {
            event.eventTime = nil
            return event
        }
        if event.count > 1 {
            event.series = EventSeries(count: event.count, lastObservedTime: event.eventTime)
        }
        event.source = EventSource()
        event.firstTimestamp = nil
        event.lastTimestamp = nil
        event.count = 0
        event.reportingInstance = instance
        return event
    }

    /// What changes when it happens again.
    func repetition(_ event: Event) -> JSONValue {
        let count = JSONValue.integer(Int64(event.count))
        guard case .series = self else {
            return [
                "count": count, "message": .string(event.message),
                "lastTimestamp": event.lastTimestamp.map { .string($0.description) } ?? .null,
            ]
        }
        return [
            "message": .string(event.message),
            "series": [
                "count": count,
                "lastObservedTime": event.eventTime.map { .string($0.description) } ?? .null,
            ],
        ]
    }
}

extension ObjectReference {
    /// A reference to an object in the state at hand.
    public init<Object: KubernetesObject>(to object: Object, fieldPath: String = "") {
        self.init(
            kind: Object.resource.kind, namespace: object.metadata.namespace, name: object.metadata.name,
            uid: object.metadata.uid, apiVersion: Object.resource.apiVersion,
            resourceVersion: object.metadata.resourceVersion, fieldPath: fieldPath)
    }
}

/// Writes events in the order in which they come, by one task that exists while there is something to write.
private final class EventWriter: Sendable {
    private struct State {
        var correlator = EventCorrelator()
        var queue: Deque<Event> = []
        var isWriting = false
        var flushes: [CheckedContinuation<Void, Never>] = []
    }

    /// How many events wait at most.
    private static let capacity = 1000

    private let state = Mutex(State())
    private let client: KubernetesClient
    private let form: EventRecorder.Form
    private let clock: any Clock<Duration>
    private let logger: Logger

    init(client: KubernetesClient, form: EventRecorder.Form, clock: any Clock<Duration>, logger: Logger) {
        self.client = client
        self.form = form
        self.clock = clock
        self.logger = logger
    }

    func write(_ event: Event) {
        let mustStart = state.withLock { state in
            if state.queue.count == Self.capacity { state.queue.removeFirst() }
            state.queue.append(event)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        // Not the recorder's caller's task: an event outlives the work that it reports on.
        if mustStart { Task { await self.drain() } }
    }

    func flush() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.isWriting { state.flushes.append(continuation) }
                return !state.isWriting
            }
            if isIdle { continuation.resume() }
        }
    }

    private func drain() async {
        while let decision = nextDecision() {
            var backoff = Backoff(initial: .seconds(1), maximum: .seconds(10))
            for _ in 0..<12 {
                do {
                    switch decision {
                    case .create(let event): _ = try await client.create(form.written(event))
                    case .repeated(let event): try await count(event)
                    case .drop: break
                    }
                    break
                } catch {
                    logger.debug("an event could not be written", metadata: ["error": "\(error)"])
                    guard Self.isWorthRetrying(error) else { break }
                    do {
                        try await clock.sleep(for: backoff.next())
                    } catch {
                        break
                    }
                }
            }
        }
    }

    /// Whether the server was not there or had no time; what it refused it will refuse again.
    private static func isWorthRetrying(_ error: any Error) -> Bool {
        guard let error = error as? APIError else { return error is HTTPError }
        return error.status.code == 429 || error.status.code >= 500
    }

    private func nextDecision() -> EventCorrelator.Decision? {
        let (decision, flushes) = state.withLock {
            state -> (EventCorrelator.Decision?, [CheckedContinuation<Void, Never>]) in
            if let event = state.queue.popFirst() { return (state.correlator.correlate(event), []) }
            state.isWriting = false
            defer { state.flushes = [] }
            return (nil, state.flushes)
        }
        for flush in flushes { flush.resume() }
        return decision
    }

    private func count(_ event: Event) async throws {
        let changes = form.repetition(event)
        do {
            _ = try await client.patch(
                Event.self, name: event.metadata.name, namespace: event.metadata.namespace,
                type: .strategic, body: changes)
        } catch  where isNotFound(error) {
            // Events live for an hour only; one that still goes on is told anew, with its count.
            _ = try await client.create(form.written(event))
        }
    }
}
