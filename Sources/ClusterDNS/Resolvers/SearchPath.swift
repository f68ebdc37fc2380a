/// How a client's resolver completes a name (resolv.conf(5): `search` and `ndots`).
package struct SearchPath: Sendable, Hashable {
    /// In lower case, in order.
    package var domains: [DNSName]
    /// A name with fewer dots is completed before it is tried as it is.
    package var minimumDots: Int
    /// The domain in which everything is known here.
    package var cluster: DNSName
    /// Whether there are no other domains, whose place is not known, after the cluster's.
    package var isWhole: Bool

    package init(domains: [DNSName], minimumDots: Int, cluster: DNSName, isWhole: Bool = true) {
        self.domains = domains
        self.minimumDots = minimumDots
        self.cluster = cluster
        self.isWhole = isWhole
    }

    /// The names that a client asks for when it is given `name`, one after the other until one exists.
    package func candidates(for name: DNSName) -> [DNSName] {
        let completed = domains.compactMap { name.appending($0) }
        return name.labelStarts.count - 1 < minimumDots ? completed + [name] : [name] + completed
    }

    /// The names that a client goes on to try when the first completion of a name does not exist; none if
    /// `name` is no first completion.
    ///
    /// Only a namespace's domain counts as the first: below `svc.cluster.local` and domains that are not the cluster's
    /// there are names that programs ask for as they are, and that such a one does not exist would be made untrue.
    ///
    /// The name as it is comes last. A single label stays in the cluster: outside it could be anybody's, and asking
    /// would make every mistyped Service wait for other servers. So does a name whose search path is not known to its
    /// end. The client goes on by itself.
    package func alternatives(to name: DNSName) -> [DNSName] {
        guard let first = domains.first, isNamespace(first),
            let asked = name.lowercased.relative(to: first), asked != .root
        else { return [] }
        let labels = asked.labelStarts.count
        guard labels - 1 < minimumDots else { return [] }
        guard labels > 1, isWhole else {
            return domains.dropFirst().filter { $0.relative(to: cluster) != nil }.compactMap {
                asked.appending($0)
            }
        }
        return domains.dropFirst().compactMap { asked.appending($0) } + [asked]
    }

    /// Whether it is `NAMESPACE.svc.cluster.local`.
    private func isNamespace(_ domain: DNSName) -> Bool {
        guard let labels = domain.relative(to: cluster)?.labels else { return false }
        return labels.count == 2 && labels[1].elementsEqual("svc".utf8)
    }
}

/// Answers at once what a client's search path would find in several rounds: `example.com`, asked for in a pod,
/// is first asked for as `example.com.default.svc.cluster.local`, and the answer to that is the one it would get
/// in the end, behind an alias.
package struct SearchPathCompletion: Sendable {
    package let pods: PodStore
    /// Of the alias, in seconds.
    package let timeToLive: UInt32

    package init(pods: PodStore, timeToLive: UInt32) {
        self.pods = pods
        self.timeToLive = timeToLive
    }

    /// Types that programs ask for through a search path.
    private static let types: Set<RecordType> = [.a, .aaaa, .srv, .txt, .mx, .https, .svcb]

    /// The names to try after that of the question; none if the client's search path is not known.
    func alternatives(to question: Question, for client: HostAddress?) -> [DNSName] {
        guard Self.types.contains(question.type), let client,
            let path = pods.read({ $0.searchPath(of: client) })
        else { return [] }
        return path.alternatives(to: question.name)
    }
}
