public import KubernetesAPI
public import KubernetesClient
import KubernetesJSON
public import Logging

/// Tells other nodes up to which revisions this node's kernel reflects the API: in annotations of the node's Lease.
///
/// The Lease is the object that every node has, may write and is known by, it goes with the node, and whoever waits
/// for all nodes watches them with one watch. The Node itself would do as well, but is read and written by many more.
///
/// At a high rate of changes what is published lags by up to a second, and one write stands for all changes in
/// between; the first change after a pause is published at once. What is published is settled: connections that must
/// not go on have been cut off too.
public struct RevisionPublisher: Sendable {
    /// The newest revision of a Service that the kernel reflects.
    public static let servicesAnnotation = "swiftlet.local/data-plane-services"
    /// The newest revision of an EndpointSlice that the kernel reflects.
    public static let slicesAnnotation = "swiftlet.local/data-plane-endpointslices"

    private static let interval = Duration.seconds(1)
    /// Where the nodes' Leases are.
    public static let namespace = "kube-node-lease"

    private let revision: DataPlaneRevision
    private let client: KubernetesClient
    private let nodeName: String
    private let clock: any Clock<Duration>
    private let logger: Logger

    public init(
        _ revision: DataPlaneRevision, client: KubernetesClient, nodeName: String,
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger
    ) {
        self.revision = revision
        self.client = client
        self.nodeName = nodeName
        self.clock = clock
        self.logger = logger
    }

    /// What a node has published on its Lease; nil when it has not.
    public static func revisions(of lease: Lease) -> DataPlaneRevision.Revisions? {
        let annotations = lease.metadata.annotations
        guard let services = annotations[servicesAnnotation].flatMap({ UInt64($0) }),
            let slices = annotations[slicesAnnotation].flatMap({ UInt64($0) })
        else { return nil }
        var revisions = DataPlaneRevision.Revisions()
        revisions.services = services
        revisions.endpointSlices = slices
        return revisions
    }

    /// Publishes until the task is cancelled.
    public func run() async throws {
        var published = DataPlaneRevision.Revisions()
        var isComplaining = false
        while true {
            await waitForNews(after: published)
            try Task.checkCancellation()
            let news = revision.revisions(.settled)
            do {
                try await publish(news)
                published = news
                isComplaining = false
            } catch {
                try Task.checkCancellation()
                // The Lease may not be there yet, or not ours to write: it is tried again, and said once.
                if !isComplaining {
                    logger.notice(
                        "cannot tell other nodes how far the data plane is",
                        metadata: ["lease": "\(Self.namespace)/\(nodeName)", "error": "\(error)"])
                }
                isComplaining = true
            }
            try await clock.sleep(for: isComplaining ? Self.interval * 10 : Self.interval)
        }
    }

    private func waitForNews(after published: DataPlaneRevision.Revisions) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await revision.wait(for: published.services + 1, of: .services, .settled)
            }
            group.addTask {
                await revision.wait(for: published.endpointSlices + 1, of: .endpointSlices, .settled)
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func publish(_ revisions: DataPlaneRevision.Revisions) async throws {
        _ = try await client.patch(
            Lease.self, name: nodeName, namespace: Self.namespace,
            body: [
                "metadata": [
                    "annotations": [
                        Self.servicesAnnotation: .string("\(revisions.services)"),
                        Self.slicesAnnotation: .string("\(revisions.endpointSlices)"),
                    ]
                ]
            ])
    }
}
