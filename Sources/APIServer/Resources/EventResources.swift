import KubernetesAPI

/// The `events.k8s.io` group, `v1`: the events of the core group in another form.
enum EventResources {
    static let all: [any AnyResource] = [events]

    static let events: Resource<Event> = {
        var resource = CoreResources.events
        resource.version = ServedVersion(EventsV1Event.self, .events)
        resource.validation = { event, old in event.validateAsEventsV1(from: old) }
        return resource
    }()
}
