import KubernetesAPI
import KubernetesClient
import Synchronization

/// Tells people, by an event on the Service, that there is nothing behind it: performs what ``ServiceAdvice`` says,
/// once it has been so for a while.
///
/// It is told once for each cause. A Service whose pods came and went is nothing strange (somebody scaled to zero),
/// so one that once had what it wants is left alone until its spec changes.
final class ServiceAdviceController: QueueingController {
    /// How long after a Service is new or changed its pods may take to appear, in seconds.
    private static let patience = 30
    /// A Service older than this at first sight has been told of by an earlier run, in seconds.
    private static let news = 600

    let name = "service-advice"
    let context: ControllerContext
    let queue = WorkQueue<NamespacedName>(name: "service_advice")
    let workers = 1

    private struct Watched {
        var uid: String
        var spec: ServiceSpec
        var since: Time
        /// Whether nothing is to be said any more until the spec changes.
        var isSettled: Bool
    }

    private let services: Informer<Service>
    private let pods: Informer<Pod>
    private let recorder: EventRecorder
    private let watched = Mutex<[NamespacedName: Watched]>([:])

    init(_ context: ControllerContext) {
        self.context = context
        services = context.informers.informer(Service.self)
        pods = context.informers.informer(Pod.self)
        recorder = context.recorder("endpoint-slice-controller")
    }

    func subscribe() {
        services.indexBySelector()
        services.subscribe { [queue] event in
            if let service = event.object { queue.add(service.key) }
        }
        pods.subscribe { [self] event in
            // A pod that comes may be what a Service waits for.
            guard case .added(let pod) = event else { return }
            for key in services.keys(selecting: pod) { queue.add(key) }
        }
    }

    func waitForCaches() async {
        await services.waitForSync()
        await pods.waitForSync()
    }

    func reconcile(_ key: NamespacedName) async throws {
        guard let service = services.get(key) else {
            watched.withLock { $0[key] = nil }
            return
        }
        let now = context.now()
        let state = watched.withLock { watched -> Watched in
            if let known = watched[key], known.uid == service.metadata.uid, known.spec == service.spec {
                return known
            }
            let age = now.seconds - (service.metadata.creationTimestamp?.seconds ?? 0)
            let new = Watched(
                uid: service.metadata.uid, spec: service.spec, since: now,
                isSettled: watched[key] == nil && age > Self.news)
            watched[key] = new
            return new
        }
        guard !state.isSettled else { return }
        let advice = ServiceAdvice.about(service, pods: pods.list(namespace: key.namespace))
        let left = Self.patience - (now.seconds - state.since.seconds)
        if advice != nil, left > 0 {
            queue.add(key, after: .seconds(left))
            return
        }
        watched.withLock { $0[key]?.isSettled = true }
        guard let advice else { return }
        recorder.record(
            service, type: EventRecorder.warning, reason: advice.reason, message: advice.message)
    }
}
