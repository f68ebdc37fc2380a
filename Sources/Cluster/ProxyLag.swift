import KubernetesAPI
import ServiceProxy

/// How far a node's kernel is behind the API, as `swiftlet status` says it.
struct ProxyLag: CustomStringConvertible {
    /// Services and EndpointSlices that changed since.
    private var services: [String]
    private var slices: [String]
    private let revisions: DataPlaneRevision.Revisions

    /// - Parameter revisions: what the node has published. That takes up to a second when there are many changes.
    init(_ revisions: DataPlaneRevision.Revisions, services: [Service], slices: [EndpointSlice]) {
        func newer<Object: KubernetesObject>(_ objects: [Object], than revision: UInt64) -> [String] {
            objects.filter { (UInt64($0.metadata.resourceVersion) ?? 0) > revision }
                .map { "\($0.metadata.namespace)/\($0.metadata.name)" }.sorted()
        }
        self.revisions = revisions
        self.services = newer(services, than: revisions.services)
        self.slices = newer(slices, than: revisions.endpointSlices)
    }

    var isBehind: Bool { !services.isEmpty || !slices.isEmpty }

    var description: String {
        let state =
            "Services at revision \(revisions.services), EndpointSlices at \(revisions.endpointSlices)"
        let behind = [("Services", services), ("EndpointSlices", slices)].filter { !$0.1.isEmpty }.map {
            "\($0.1.count) \($0.0) (\($0.1.prefix(3).joined(separator: ", "))\($0.1.count > 3 ? ", …" : ""))"
        }
        return !isBehind
            ? "in step, \(state)" : "behind by \(behind.joined(separator: " and ")), \(state)"
    }
}
