import KubernetesAPI
import KubernetesClient

/// Where the objects that names depend on come from.
struct ObjectFeed: Sendable {
    let namespaces: Source<NamedNamespace>
    let services: Source<NamedService>
    let slices: Source<NamedSlice>
    let pods: Source<NamedPod>

    /// The objects of one kind.
    struct Source<Object: ReducedObject>: Sendable {
        let subscribe: @Sendable (@escaping @Sendable (InformerEvent<Object>) -> Void) -> Void
        let waitForSync: @Sendable () async -> Void

        /// Made of whole objects, which others in this process follow too.
        static func shared(_ informer: Informer<Object.Whole>) -> Source {
            Source(
                subscribe: { handler in informer.subscribe { handler($0.reduced()) } },
                waitForSync: { await informer.waitForSync() })
        }

        /// Reduced as they come in, in a process where nobody else wants them.
        static func alone(_ informer: Informer<Object>) -> Source {
            Source(
                subscribe: { handler in informer.subscribe(handler) },
                waitForSync: { await informer.waitForSync() })
        }
    }

    init(_ informers: InformerSet, isShared: Bool) {
        if isShared {
            namespaces = .shared(informers.informer(Namespace.self))
            services = .shared(informers.informer(Service.self))
            slices = .shared(informers.informer(EndpointSlice.self))
            pods = .shared(informers.informer(Pod.self))
        } else {
            namespaces = .alone(informers.informer(NamedNamespace.self))
            services = .alone(informers.informer(NamedService.self))
            slices = .alone(informers.informer(NamedSlice.self))
            pods = .alone(informers.informer(NamedPod.self))
        }
    }
}
