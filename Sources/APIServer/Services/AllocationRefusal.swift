import KubernetesAPI

/// An address or a port that a Service was not given.
package struct AllocationRefusal: Sendable, Hashable {
    /// Why not.
    package enum Cause: Sendable, Hashable {
        case addressesFull(family: String)
        case addressTaken(NetworkAddress)
        case addressOutOfRange(NetworkAddress)
        case portsFull
        case portTaken(Int)
        case portOutOfRange(Int)
    }

    /// The Service; without a `uid` while it does not exist, since it was to be created.
    package var service: ObjectReference
    package var cause: Cause

    package init(service: ObjectReference, cause: Cause) {
        self.service = service
        self.cause = cause
    }

    /// One CamelCase word for it: those that upstream's repair controllers have.
    package var reason: String {
        switch cause {
        case .addressesFull: "ServiceCIDRFull"
        case .addressTaken: "ClusterIPAlreadyAllocated"
        case .addressOutOfRange: "ClusterIPOutOfRange"
        case .portsFull: "PortRangeFull"
        case .portTaken: "PortAlreadyAllocated"
        case .portOutOfRange: "PortOutOfRange"
        }
    }

    /// What it is about.
    package var action: String {
        switch cause {
        case .addressesFull, .addressTaken, .addressOutOfRange: "ClusterIPAllocation"
        case .portsFull, .portTaken, .portOutOfRange: "PortAllocation"
        }
    }

    /// What people are told: what is wrong, and what to do.
    ///
    /// - Parameters:
    ///   - services: all Services.
    ///   - ranges: the ranges that addresses of the family in question come from.
    package func message(
        services: () -> [Service], ranges: (_ family: String) -> [NetworkRange], nodePorts: ClosedRange<Int>
    ) -> String {
        let ports = "\(nodePorts.lowerBound)-\(nodePorts.upperBound)"
        switch cause {
        case .addressesFull(let family):
            return
                "no \(family) address is left in \(Self.list(ranges(family))). Delete Services that nobody needs, "
                + "or add a range with a ServiceCIDR object."
        case .addressTaken(let address):
            let holder = services().first { AddressBook.addresses(of: $0).contains(address) }
            return "\(address) is taken\(Self.by(holder)). Leave spec.clusterIP out, so that a free one is "
                + "given, or look at those that are taken: kubectl get ipaddresses"
        case .addressOutOfRange(let address):
            return
                "\(address) is none that can be given out from \(Self.list(ranges(address.family))): not in any of these, "
                + "or the first or last address of one. Leave spec.clusterIP out, or add a range with a ServiceCIDR object."
        case .portsFull:
            return
                "no node port is left in \(ports). Change Services that need none to type ClusterIP, or say "
                + "allocateLoadBalancerNodePorts: false where a load balancer needs none."
        case .portTaken(let port):
            let holder = services().first { AddressBook.ports(of: $0).contains(port) }
            return
                "node port \(port) is taken\(Self.by(holder)). Leave nodePort out, so that a free one is given, or "
                + "choose another in \(ports)."
        case .portOutOfRange(let port):
            return
                "node port \(port) is not in \(ports). Leave nodePort out, so that a free one is given, or "
                + "choose one of these."
        }
    }

    private static func list(_ ranges: [NetworkRange]) -> String {
        ranges.isEmpty ? "any range" : ranges.map(\.description).joined(separator: ", ")
    }

    private static func by(_ holder: Service?) -> String {
        holder.map { " by Service \($0.metadata.namespace)/\($0.metadata.name)" } ?? ""
    }
}

/// What was told a short while ago, so that whoever tries again and again is told once in a while.
package struct RecentlyTold<Subject: Hashable & Sendable>: Sendable {
    private var told: [Subject: Int] = [:]
    /// Seconds for which something is not told again.
    private let pause: Int
    /// How many are remembered; beyond that the oldest are told again.
    private let capacity: Int

    package init(pause: Int = 300, capacity: Int = 256) {
        self.pause = pause
        self.capacity = capacity
    }

    /// Whether it is to be told now; then it counts as told.
    package mutating func isNews(_ subject: Subject, now: Time) -> Bool {
        if let time = told[subject], now.seconds - time < pause { return false }
        if told.count >= capacity {
            told = told.filter { now.seconds - $0.value < pause }
            if told.count >= capacity, let oldest = told.min(by: { $0.value < $1.value }) {
                told[oldest.key] = nil
            }
        }
        told[subject] = now.seconds
        return true
    }
}
