import KubernetesAPI
import Logging
import ObjectStore

/// Lets events go an hour after they were seen last, as upstream's storage does.
package struct EventExpiry: Sendable {
    /// How long an event is kept (upstream's `--event-ttl`), in seconds.
    package static let lifetime = 3600
    /// How often old ones are looked for.
    static let interval = Duration.seconds(300)

    let core: ServerCore

    /// Runs until cancelled.
    func run() async {
        while (try? await core.clock.sleep(for: Self.interval)) != nil { await sweep() }
    }

    private func sweep() async {
        let now = core.now()
        guard let page = try? core.store.list(resource: Event.resource.groupResource, namespace: nil) else {
            return
        }
        for stored in page.objects {
            guard let event = try? Event(json: stored.bytes), Self.isOver(event, at: now) else { continue }
            do {
                // An event that was seen again meanwhile has another revision and stays.
                try await core.store.commit([.delete(stored.key, expected: stored.revision)])
            } catch {
                if case .conflict = error.code { continue }
                if case .notFound = error.code { continue }
                core.logger.warning("old events could not be removed", metadata: ["error": "\(error)"])
                return
            }
        }
    }

    /// Whether an event's time is over.
    package static func isOver(_ event: Event, at now: Time) -> Bool {
        let seen = [
            event.metadata.creationTimestamp?.seconds, event.lastTimestamp?.seconds,
            event.eventTime.map { $0.microseconds / 1_000_000 },
            event.series?.lastObservedTime.map { $0.microseconds / 1_000_000 },
        ]
        guard let last = seen.compactMap({ $0 }).max() else { return false }
        return now.seconds - last > lifetime
    }
}
