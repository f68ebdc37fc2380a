import KubernetesAPI

/// What a pod's `/etc/resolv.conf` says, by its DNS policy
/// (https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/).
package struct ResolverConfiguration: Sendable, Hashable {
    package var servers: [String]
    package var searches: [String]
    package var options: [String]

    package init(servers: [String] = [], searches: [String] = [], options: [String] = []) {
        self.servers = servers
        self.searches = searches
        self.options = options
    }

    /// Reads the text of a `resolv.conf`.
    package init(parsing text: String) {
        self.init()
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
            guard let keyword = words.first, !keyword.hasPrefix("#"), !keyword.hasPrefix(";") else {
                continue
            }
            switch keyword {
            case "nameserver": servers += words.dropFirst().prefix(1)
            case "search", "domain":
                // The root completes nothing, and there are resolvers that choke on it; nor need a pod know that a domain
                // was written as an absolute name.
                searches = words.dropFirst().filter { $0 != "." }
                    .map { $0.hasSuffix(".") ? String($0.dropLast()) : $0 }
            case "options": for option in words.dropFirst() { set(option) }
            default: break
            }
        }
    }

    /// The node's own configuration, as its pods can use it.
    ///
    /// Where resolv.conf names only a resolver on loopback (as systemd-resolved has it), which pods cannot reach,
    /// the servers behind that one are in another file.
    ///
    /// - Parameter read: the text of a file; nil if there is none.
    package static func host(_ path: String, read: (String) -> String?) -> ResolverConfiguration {
        let own = ResolverConfiguration(parsing: read(path) ?? "")
        let isLoopback = own.servers.allSatisfy { $0.hasPrefix("127.") || $0 == "::1" }
        guard !own.servers.isEmpty, isLoopback, let behind = read("/run/systemd/resolve/resolv.conf") else {
            return own
        }
        return ResolverConfiguration(parsing: behind)
    }

    /// How many servers resolvers take, how many search domains, and how long a line of these may be in bytes
    /// (core/v1 PodDNSConfig).
    private static let mostServers = 3
    private static let mostSearches = 32
    private static let longestSearchLine = 2048

    /// Leaves out what resolvers would not take.
    ///
    /// - Returns: what there is to say about it, as upstream's node agent says it.
    package mutating func enforceLimits() -> [String] {
        var messages: [String] = []
        if servers.count > Self.mostServers {
            servers.removeLast(servers.count - Self.mostServers)
            messages.append(
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
                    + servers.joined(separator: " "))
        }
        let before = searches.count
        if searches.count > Self.mostSearches { searches.removeLast(searches.count - Self.mostSearches) }
        while searches.joined(separator: " ").utf8.count > Self.longestSearchLine { searches.removeLast() }
        if searches.count < before {
            messages.append(
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
                    + searches.joined(separator: " "))
        }
        return messages
    }

    /// A pod's configuration.
    ///
    /// - Parameter host: the node's own configuration.
    package init(_ pod: Pod, clusterServer: String, domain: String, host: ResolverConfiguration) {
        switch pod.spec.dnsPolicy {
        case "None":
            self.init()
        case "Default":
            self = host
        case "ClusterFirst" where pod.spec.hostNetwork:
            self = host
        default:
            let namespace = pod.metadata.namespace
            self.init(
                servers: [clusterServer],
                searches: Self.unique(
                    ["\(namespace).svc.\(domain)", "svc.\(domain)", domain] + host.searches),
                options: ["ndots:5"])
        }
        guard let own = pod.spec.dnsConfig else { return }
        servers = Self.unique(servers + own.nameservers)
        searches = Self.unique(searches + own.searches)
        for option in own.options {
            set(option.value.map { $0.isEmpty ? option.name : "\(option.name):\($0)" } ?? option.name)
        }
    }

    /// The last value of an option counts.
    private mutating func set(_ option: String) {
        let name = option.prefix { $0 != ":" }
        options.removeAll { $0.prefix { $0 != ":" } == name }
        options.append(option)
    }

    private static func unique(_ values: [String]) -> [String] {
        var seen: Set<String> = []
        return values.filter { seen.insert($0).inserted }
    }
}

/// A pod's `/etc/hosts`.
package enum HostsFile {
    package static func text(_ pod: Pod, addresses: [String], nodeFile: String, domain: String) -> String {
        var text: String
        if pod.spec.hostNetwork {
            text = "# Kubernetes-managed hosts file (host network).\n" + nodeFile
        } else {
            text = """
                # Kubernetes-managed hosts file.
                127.0.0.1\tlocalhost
                ::1\tlocalhost ip6-localhost ip6-loopback
                fe00::0\tip6-localnet
                fe00::0\tip6-mcastprefix
                fe00::1\tip6-allnodes
                fe00::2\tip6-allrouters

                """
            let name = PodName.hostname(pod)
            let names = PodName.qualified(pod, domain: domain).map { "\($0)\t\(name)" } ?? name
            for address in addresses { text += "\(address)\t\(names)\n" }
        }
        if !pod.spec.hostAliases.isEmpty {
            text += "\n# Entries added by HostAliases.\n"
            for alias in pod.spec.hostAliases {
                text += "\(alias.ip)\t\(alias.hostnames.joined(separator: "\t"))\n"
            }
        }
        return text
    }
}

/// A pod's host name.
package enum PodName {
    /// The host name: the spec's, else the pod's name, cut to the 63 characters a label may have.
    package static func hostname(_ pod: Pod) -> String {
        if let override = pod.spec.hostnameOverride, !override.isEmpty { return override }
        if !pod.spec.hostname.isEmpty { return pod.spec.hostname }
        var name = pod.metadata.name.prefix(63)
        while let last = name.last, last == "-" || last == "." { name = name.dropLast() }
        return String(name)
    }

    /// The name with the pod's domain behind it; nil for a pod without `subdomain`, and for one whose host name is
    /// the whole of it (KEP-4762).
    package static func qualified(_ pod: Pod, domain: String) -> String? {
        guard !pod.spec.subdomain.isEmpty, (pod.spec.hostnameOverride ?? "").isEmpty else { return nil }
        return "\(hostname(pod)).\(pod.spec.subdomain).\(pod.metadata.namespace).svc.\(domain)"
    }

    /// The name that the kernel is told: with `setHostnameAsFQDN` the qualified one, which must fit there.
    ///
    /// - Throws: ``ContainerConfigurationError`` if it does not.
    package static func kernelHostname(
        _ pod: Pod, domain: String
    ) throws(ContainerConfigurationError) -> String {
        guard pod.spec.setHostnameAsFQDN == true, let name = qualified(pod, domain: domain) else {
            return hostname(pod)
        }
        guard name.utf8.count <= longestKernelHostname else {
            throw ContainerConfigurationError(
                "failed to construct FQDN from pod hostname and cluster domain, FQDN \(name) is too long "
                    + "(\(longestKernelHostname) characters is the max, \(name.utf8.count) characters requested)"
            )
        }
        return name
    }

    /// sethostname(2)
    private static let longestKernelHostname = 64
}
