import KubernetesAPI

/// Tells people, by an event on the Service, of addresses and ports that could not be given to it: whoever applied it
/// may be a program that nobody watches.
struct AllocationReporter: Sendable {
    let core: ServerCore
    let addresses: ServiceAddresses
    let events: ServerEvents

    /// Tells until cancelled.
    func run() async {
        var told = RecentlyTold<AllocationRefusal>()
        for await refusal in addresses.refusals where told.isNews(refusal, now: core.now()) {
            let message = refusal.message(
                services: { core.objects(Service.self, namespace: nil) },
                ranges: { addresses.openRanges(of: $0) }, nodePorts: addresses.nodePorts)
            await events.warn(
                refusal.service, reason: refusal.reason, action: refusal.action, message: message,
                component: "service-allocator")
        }
    }
}
