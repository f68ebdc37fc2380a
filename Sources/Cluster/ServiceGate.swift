import KubernetesAPI
import KubernetesClient
import NodeAgent
import ServiceProxy
import Synchronization

/// Keeps a pod's containers untold of their end until the proxy sends it nothing new.
///
/// The pod's endpoints leave the EndpointSlices first; the gate opens once the kernel reflects slices in which
/// the pod is no ready endpoint any more.
final class ServiceGate: TerminationGate {
    private struct State {
        /// The newest revision of an EndpointSlice seen; the proxy has been told of it too.
        var revision: UInt64 = 0
        var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextWaiter = 0
    }

    private let slices: Informer<EndpointSlice>
    private let services: Informer<Service>
    private let dataPlane: DataPlaneRevision
    private let clock: any Clock<Duration>
    private let state = Mutex(State())

    init(informers: InformerSet, dataPlane: DataPlaneRevision, clock: any Clock<Duration> = ContinuousClock())
    {
        slices = informers.informer(EndpointSlice.self)
        services = informers.informer(Service.self)
        self.dataPlane = dataPlane
        self.clock = clock
        slices.subscribe { [weak self] event in
            switch event {
            case .added(let slice), .updated(_, let slice), .deleted(let slice): self?.note(slice)
            case .synced: break
            }
        }
    }

    private func note(_ slice: EndpointSlice) {
        state.withLock { state in
            state.revision = max(state.revision, UInt64(slice.metadata.resourceVersion) ?? 0)
            for waiter in state.waiters.values { waiter.yield() }
        }
    }

    func waitUntilUnreachable(_ pod: Pod, limit: Duration) async {
        let names = serviceNames(selecting: pod)
        // A pod behind no Service waits for nothing.
        guard !names.isEmpty else { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitForRevision(without: pod, of: names) }
            group.addTask { try? await self.clock.sleep(for: limit) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Services that stop sending to a pod that terminates; those that publish whatever there is never do.
    private func serviceNames(selecting pod: Pod) -> Set<String> {
        Set(
            services.list(namespace: pod.metadata.namespace).filter { service in
                !service.spec.selector.isEmpty && !service.spec.publishNotReadyAddresses
                    && service.spec.selector.allSatisfy { pod.metadata.labels[$0.key] == $0.value }
            }.map(\.metadata.name))
    }

    private func waitForRevision(without pod: Pod, of names: Set<String>) async {
        let (changes, signal) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state in
            state.nextWaiter += 1
            state.waiters[state.nextWaiter] = signal
            return state.nextWaiter
        }
        defer { state.withLock { _ = $0.waiters.removeValue(forKey: id) } }
        signal.yield()
        for await _ in changes where !isReadyEndpoint(pod, of: names) {
            // Asked for after the look: the change that took the pod out is no newer than this.
            await dataPlane.wait(for: state.withLock { $0.revision }, of: .endpointSlices, .settled)
            return
        }
    }

    private func isReadyEndpoint(_ pod: Pod, of names: Set<String>) -> Bool {
        slices.list(namespace: pod.metadata.namespace).contains { slice in
            names.contains(slice.metadata.labels["kubernetes.io/service-name"] ?? "")
                && slice.endpoints.contains {
                    $0.targetRef?.uid == pod.metadata.uid && $0.conditions.ready != false
                }
        }
    }
}
