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
    /// When the node began with the pod, in seconds since 1970; nil if it has not said.
    package var start: Int?

    package init(uid: String, addresses: [HostAddress], search: Search, start: Int? = nil) {
        self.uid = uid
        self.addresses = addresses
        self.search = search
        self.start = start
    }
}

/// What the node's resolver file says of search domains. A pod's is written once, when the pod comes.
package struct HostSearch: Sendable, Hashable {
    /// Nil if they are not known.
    package var domains: [DNSName]?
    /// When the file was written, in seconds since 1970.
    package var since: Int

    package init(domains: [DNSName]? = [], since: Int = 0) {
        self.domains = domains
        self.since = since
    }

    /// Those that a pod has; nil for one that came before they were these.
    func domains(of pod: PodDescription) -> [DNSName]? {
        pod.start.map { $0 < since } == true ? nil : domains
    }
}

/// Which search path the client at an address has: what the node wrote into the pod's resolv.conf.
package struct PodDirectory: Sendable {
    private struct Holder: Sendable {
        var uid: String
        var search: PodDescription.Search
        /// Search domains of the node when the pod came; nil if nobody knows them any more.
        var hostDomains: [DNSName]?
    }

    private let domain: DNSName
    private let serviceDomain: DNSName
    private var holders: [HostAddress: Holder] = [:]
    /// Search domains of the nodes, which come after the cluster's in pods that come from now on.
    package var host = HostSearch()

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
            let known = holders[address].flatMap { $0.uid == new.uid ? $0 : nil }
            holders[address] = Holder(
                uid: new.uid, search: new.search,
                hostDomains: known.map(\.hostDomains) ?? host.domains(of: new))
        }
    }

    package func searchPath(of address: HostAddress) -> SearchPath? {
        guard let holder = holders[address] else { return nil }
        switch holder.search {
        case .standard(let namespace):
            return SearchPath(
                domains: Self.cut(clusterDomains(namespace) + (holder.hostDomains ?? [])),
                minimumDots: Self.minimumDots, cluster: domain, isWhole: holder.hostDomains != nil)
        case .custom(let namespace, let domains, let minimumDots, let isComplete):
            let base = isComplete ? [] : clusterDomains(namespace) + (holder.hostDomains ?? [])
            return SearchPath(
                domains: Self.cut(base + domains),
                minimumDots: minimumDots, cluster: domain, isWhole: isComplete || holder.hostDomains != nil)
        }
    }

    /// A resolv.conf gets each domain once, and no more than 32 on a line of 2048 bytes (core/v1 PodDNSConfig).
    private static func cut(_ domains: [DNSName]) -> [DNSName] {
        var length = 0
        var seen: Set<DNSName> = []
        // The bytes of a name on the wire are those of its text and of the space before it.
        return Array(
            domains.filter { seen.insert($0).inserted }.prefix(32).prefix {
                length += $0.wire.count
                return length <= 2049
            })
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
