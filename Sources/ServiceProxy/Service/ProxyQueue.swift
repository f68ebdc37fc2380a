import KubernetesAPI
import Netlink
import Synchronization

/// What the watches have told and the kernel does not reflect yet. Of an object that changes several times while
/// a transaction is under way only the newest state is kept.
package final class ProxyQueue: Sendable {
    /// When a change happened that led to one of an EndpointSlice.
    package struct Trigger: Sendable, Hashable {
        package var time: MicroTime
        /// Of the slice's addresses.
        package var family: Netlink.IPAddress.Family

        package init(_ time: MicroTime, _ family: Netlink.IPAddress.Family) {
            self.time = time
            self.family = family
        }
    }

    /// What has piled up.
    package struct Batch: Sendable {
        /// The newest facts by name; nil for what is gone.
        package var services: [ObjectName: ServiceFacts?] = [:]
        package var slices: [ObjectName: SliceFacts?] = [:]
        /// The ranges of Service addresses, if they changed.
        package var ranges: [IPNetwork]?
        /// The zone of the node, if it changed; nil inside when the node names none.
        package var zone: String??
        /// When the changes happened that led to those of EndpointSlices, as far as they say.
        package var triggers: [Trigger] = []
        /// Up to where the watches have come.
        package var revisions = DataPlaneRevision.Revisions()

        package init() {}
    }

    private struct State {
        var batch = Batch()
        var isChanged = false
        var listed: Set<DataPlaneRevision.Resource> = []
    }

    private let nodeName: String
    private let metrics: ProxyMetrics?
    private let state = Mutex(State())
    /// Yields once after each time that something came in, when it can be worked on.
    package let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    /// - Parameter metrics: counts what comes in.
    package init(nodeName: String, metrics: ProxyMetrics? = nil) {
        self.nodeName = nodeName
        self.metrics = metrics
        (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// A Service came or changed.
    package func set(_ service: Service) {
        let facts = ServiceFacts(service)
        metrics?.skipped(.services, SkippedParts(service, facts))
        change(.services, service.metadata) { batch, name in batch.services[name] = .some(facts) }
    }

    /// A Service went; its revision is that of the deletion.
    package func remove(_ service: Service) {
        change(.services, service.metadata) { batch, name in batch.services[name] = .some(nil) }
    }

    /// An EndpointSlice came or changed.
    package func set(_ slice: EndpointSlice) {
        let facts = SliceFacts(slice, nodeName: nodeName)
        metrics?.skipped(.endpointSlices, SkippedParts(slice, facts))
        let family: Netlink.IPAddress.Family = slice.addressType == "IPv6" ? .ipv6 : .ipv4
        let trigger = slice.metadata.annotations["endpoints.kubernetes.io/last-change-trigger-time"]
            .flatMap { MicroTime($0) }.map { Trigger($0, family) }
        change(.endpointSlices, slice.metadata) { batch, name in
            batch.slices[name] = .some(facts)
            if let trigger { batch.triggers.append(trigger) }
        }
    }

    /// An EndpointSlice went; its revision is that of the deletion.
    package func remove(_ slice: EndpointSlice) {
        change(.endpointSlices, slice.metadata) { batch, name in batch.slices[name] = .some(nil) }
    }

    /// The ranges of Service addresses are these now.
    package func set(ranges: [IPNetwork]) { learn { $0.ranges = ranges } }

    /// The node is in this zone now.
    package func set(zone: String?) { learn { $0.zone = .some(zone) } }

    private func learn(_ body: (inout Batch) -> Void) {
        let isReady = state.withLock { state in
            body(&state.batch)
            state.isChanged = true
            return state.listed.count == 2
        }
        if isReady { signal.yield() }
    }

    /// All that is there has been told, up to this revision. Before both resources are complete nothing is
    /// worked on, or what the kernel has would be taken for superfluous.
    package func complete(_ resource: DataPlaneRevision.Resource, revision: String) {
        state.withLock { state in
            state.listed.insert(resource)
            state.isChanged = true
            Self.advance(&state.batch, resource, revision)
        }
        signal.yield()
    }

    /// Takes what has piled up; nil when there is nothing, or when it is not complete yet.
    package func take() -> Batch? {
        let batch = takeBatch()
        if batch != nil { metrics?.taken() }
        return batch
    }

    private func takeBatch() -> Batch? {
        state.withLock { state in
            guard state.isChanged, state.listed.count == 2 else { return nil }
            let batch = state.batch
            state.batch = Batch()
            state.batch.revisions = batch.revisions
            state.isChanged = false
            return batch
        }
    }

    private func change(
        _ resource: DataPlaneRevision.Resource, _ metadata: ObjectMeta,
        _ body: (inout Batch, ObjectName) -> Void
    ) {
        metrics?.queued(resource)
        let isReady = state.withLock { state in
            body(&state.batch, ObjectName(metadata.namespace, metadata.name))
            Self.advance(&state.batch, resource, metadata.resourceVersion)
            state.isChanged = true
            return state.listed.count == 2
        }
        if isReady { signal.yield() }
    }

    private static func advance(
        _ batch: inout Batch, _ resource: DataPlaneRevision.Resource, _ revision: String
    ) {
        if let number = UInt64(revision) {
            batch.revisions[resource] = max(batch.revisions[resource], number)
        }
    }
}
