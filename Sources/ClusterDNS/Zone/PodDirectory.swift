import Synchronization

/// The part of a pod that its search path depends on.
package struct PodDescription: Sendable, Hashable {
    package enum Search: Sendable, Hashable {
        /// The cluster's search path for the pod's namespace.
        case standard(namespace: DNSName)
        /// Something else, by `dnsConfig`. `isComplete`: the domains are the whole path, not only what comes
        /// after the cluster's.
        case custom(namespace: DNSName, domains: [DNSName], minimumDots: Int, isComplete: Bool)
    }

    package var uid: String
    package var addresses: [HostAddress]
    package var search: Search

    package init(uid: String, addresses: [HostAddress], search: Search) {
        self.uid = uid
        self.addresses = addresses
        self.search = search
    }
}

/// Which search path the client at an address has: what the node wrote into the pod's resolv.conf.
package struct PodDirectory: Sendable {
    private struct Holder: Sendable {
        var uid: String
        var search: PodDescription.Search
        /// Search domains of the node when the pod came: its resolv.conf is written once.
        var hostDomains: [DNSName]
    }

    private let domain: DNSName
    private let serviceDomain: DNSName
    private var holders: [HostAddress: Holder] = [:]
    /// Search domains of the nodes, which come after the cluster's in pods that come from now on.
    package var hostDomains: [DNSName] = []

    /// What the cluster's resolv.conf files say.
    private static let minimumDots = 5

    package init(domain: DNSName) {
        self.domain = domain.lowercased
        serviceDomain = DNSName(labels: ["svc"], under: self.domain) ?? self.domain
    }

    package var count: Int { holders.count }

    /// Takes in a pod as it is now; `old` is what was known of it.
    package mutating func replace(_ old: PodDescription?, with new: PodDescription?) {
        for address in old?.addresses ?? [] where new?.addresses.contains(address) != true {
            // Addresses are used again: what is there may be another pod's by now.
            if holders[address]?.uid == old?.uid { holders[address] = nil }
        }
        guard let new else { return }
        for address in new.addresses {
            let known = holders[address].flatMap { $0.uid == new.uid ? $0.hostDomains : nil }
            holders[address] = Holder(
                uid: new.uid, search: new.search, hostDomains: known ?? hostDomains)
        }
    }

    package func searchPath(of address: HostAddress) -> SearchPath? {
        guard let holder = holders[address] else { return nil }
        let hostDomains = holder.hostDomains
        switch holder.search {
        case .standard(let namespace):
            return SearchPath(
                domains: clusterDomains(namespace) + hostDomains, minimumDots: Self.minimumDots,
                cluster: domain)
        case .custom(let namespace, let domains, let minimumDots, let isComplete):
            let base = isComplete ? [] : clusterDomains(namespace) + hostDomains
            return SearchPath(
                domains: base + domains.filter { !base.contains($0) }, minimumDots: minimumDots,
                cluster: domain)
        }
    }

    private func clusterDomains(_ namespace: DNSName) -> [DNSName] {
        [namespace.appending(serviceDomain), serviceDomain, domain].compactMap { $0 }
    }
}

/// The directory, shared between those who change it and the threads that ask it.
package final class PodStore: Sendable {
    private let directory: Mutex<PodDirectory>

    package init(_ directory: PodDirectory) {
        self.directory = Mutex(directory)
    }

    package func update(_ change: (inout PodDirectory) -> Void) {
        directory.withLock { change(&$0) }
    }

    func read<Value: Sendable>(_ body: (borrowing PodDirectory) -> Value) -> Value {
        directory.withLock { body($0) }
    }
}
