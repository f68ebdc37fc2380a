/// Names a Service: its labels in front of `svc`, in lower case.
struct ServiceKey: Sendable, Hashable {
    let name: DNSName

    init?(namespace: String, name: String) {
        guard let name = DNSName(labels: [name, namespace])?.lowercased else { return nil }
        self.name = name
    }

    init(_ name: DNSName) {
        self.name = name
    }
}

/// The records of the cluster's domain and of the addresses in it, kept up to date by one Service or slice at
/// a time. A change costs what its Service has in endpoints, however large the cluster is.
package struct ClusterZone: Sendable {
    /// In lower case.
    package let domain: DNSName
    /// The servers' own addresses.
    package let servers: [HostAddress]
    /// Counts the changes, for the serial number.
    package private(set) var version: UInt32 = 1
    /// What has yet to be taken in of that which existed at the beginning.
    package var missing: Set<Source> = [.namespaces, .services, .slices]

    private var services: [ServiceKey: Entry] = [:]
    private var reverse: [HostAddress: [ServiceKey: [DNSName]]] = [:]
    /// The Services that have slices with an endpoint at an address.
    private var owners: [HostAddress: [ServiceKey]] = [:]
    /// By label.
    private var namespaces: Set<DNSName> = []
    /// How many Services with names each namespace has.
    private var serviceCounts: [DNSName: Int] = [:]
    private let serviceDomain: DNSName

    package enum Source: Sendable, Hashable { case namespaces, services, slices }

    /// Whether a name that is not here does not exist. In the beginning it may well do so.
    package var isComplete: Bool { missing.isEmpty }

    private struct Entry {
        var service: ServiceDescription?
        var slices: [String: SliceDescription] = [:]
        var records = ServiceRecords.none

        func hasEndpoint(at address: HostAddress) -> Bool {
            slices.values.contains { $0.endpoints.contains { $0.address == address } }
        }

        /// Whether its name stands for addresses of its own, not for those of endpoints.
        private var isAddressed: Bool {
            if case .addressed? = service?.kind { return true }
            return false
        }

        /// The ready endpoints of a Service with addresses of its own. They have names as well, as with CoreDNS, but
        /// are asked for so seldom that no records are kept of them.
        private var namedEndpoints: some Sequence<SliceDescription.Endpoint> {
            (isAddressed ? Array(slices.values) : []).lazy.flatMap(\.endpoints).filter(\.isReady)
        }

        /// What the name of an endpoint holds.
        func addresses(ofEndpoint label: DNSName) -> [RecordData]? {
            guard label.labelStarts.count == 1 else { return nil }
            let found = Set(namedEndpoints.filter { $0.label == label }.map(\.address))
            return found.isEmpty ? nil : found.map(RecordData.address)
        }

        /// The names beneath the Service's that endpoints at an address have.
        func labels(ofEndpointAt address: HostAddress) -> Set<DNSName> {
            Set(namedEndpoints.filter { $0.address == address }.compactMap(\.label))
        }
    }

    /// - Parameter domain: the cluster's domain; `cluster.local`.
    package init(domain: DNSName, servers: [HostAddress] = []) {
        self.domain = domain.lowercased
        self.servers = servers
        serviceDomain = DNSName(labels: ["svc"], under: self.domain) ?? self.domain
    }

    /// Takes in that a namespace exists, or its removal.
    package mutating func setNamespace(_ name: String, exists: Bool) {
        guard let label = DNSName(labels: [name])?.lowercased, namespaces.contains(label) != exists else {
            return
        }
        version &+= 1
        if exists { namespaces.insert(label) } else { namespaces.remove(label) }
    }

    /// A name that has others below it exists (RFC 8020), and a Service may be heard of before its namespace.
    private func hasNamespace(_ label: DNSName) -> Bool {
        namespaces.contains(label) || serviceCounts[label] != nil
    }

    /// Takes in a Service, or with nil its removal.
    package mutating func setService(_ service: ServiceDescription?, namespace: String, name: String) {
        guard let key = ServiceKey(namespace: namespace, name: name) else { return }
        var entry = services.removeValue(forKey: key) ?? Entry()
        let existed = entry.service != nil
        entry.service = service
        count(key, (service == nil ? 0 : 1) - (existed ? 1 : 0))
        update(key, entry)
    }

    /// Takes in an EndpointSlice, or with nil its removal.
    package mutating func setSlice(
        _ slice: SliceDescription?, named sliceName: String, service: String, namespace: String
    ) {
        guard let key = ServiceKey(namespace: namespace, name: service) else { return }
        var entry = services.removeValue(forKey: key) ?? Entry()
        let before = Set(entry.slices[sliceName]?.endpoints.map(\.address) ?? [])
        entry.slices[sliceName] = slice
        let after = Set(slice?.endpoints.map(\.address) ?? [])
        for address in after.subtracting(before) where owners[address]?.contains(key) != true {
            owners[address, default: []].append(key)
        }
        for address in before.subtracting(after) where !entry.hasEndpoint(at: address) {
            owners[address]?.removeAll { $0 == key }
            if owners[address]?.isEmpty == true { owners[address] = nil }
        }
        if case .headless? = entry.service?.kind {
            update(key, entry)
        } else if entry.service != nil || !entry.slices.isEmpty {
            services[key] = entry
        }
    }

    private mutating func update(_ key: ServiceKey, _ entry: Entry) {
        version &+= 1
        var entry = entry
        for (address, _) in entry.records.reverse {
            reverse[address]?[key] = nil
            if reverse[address]?.isEmpty == true { reverse[address] = nil }
        }
        entry.records = .none
        if let service = entry.service, let name = key.name.appending(serviceDomain) {
            // Sorted, so that the same objects make the same records in the same order.
            let slices = entry.slices.sorted { $0.key < $1.key }.map(\.value)
            entry.records = ServiceRecords(service, slices: slices, name: name)
        }
        for (address, name) in entry.records.reverse {
            reverse[address, default: [:]][key, default: []].append(name)
        }
        if entry.service != nil || !entry.slices.isEmpty {
            services[key] = entry
        }
    }

    private mutating func count(_ key: ServiceKey, _ change: Int) {
        guard change != 0, let start = key.name.labelStarts.last else { return }
        let namespace = DNSName(wire: Array(key.name.wire[start...]))
        let count = serviceCounts[namespace, default: 0] + change
        serviceCounts[namespace] = count > 0 ? count : nil
    }
}

extension ClusterZone {
    /// What there is of a name.
    enum Content: Sendable, Hashable {
        /// The name exists and holds these records, perhaps none.
        case records([RecordData])
        /// - Parameter ofService: a Service of that name exists, or one that the name is below.
        case absent(ofService: Bool)
    }

    /// The version of the specification that the domain's records follow.
    private static let specification = "1.1.0"

    /// - Parameter labels: the name without the domain, in lower case.
    func content(of labels: DNSName) -> Content {
        let starts = labels.labelStarts
        guard let last = starts.last else {
            return .records([soa] + nameServers.map { .ns($0) })
        }
        switch labels.wire[last...] {
        case Self.svc:
            return serviceContent(labels, starts)
        case Self.pod:
            return podContent(labels, starts)
        case Self.dnsVersion where starts.count == 1:
            return .records([.txt([Array(Self.specification.utf8)])])
        case Self.dns where starts.count == 1:
            return .records([])
        case Self.dns where starts.count == 2 && labels.wire[..<last] == Self.ns:
            return .records(servers.map(RecordData.address))
        default:
            return .absent(ofService: false)
        }
    }

    private static let svc = ArraySlice(DNSName(labels: ["svc"])?.wire ?? [])
    private static let pod = ArraySlice(DNSName(labels: ["pod"])?.wire ?? [])
    private static let dns = ArraySlice(DNSName(labels: ["dns"])?.wire ?? [])
    private static let ns = ArraySlice(DNSName(labels: ["ns"])?.wire ?? [])
    private static let dnsVersion = ArraySlice(DNSName(labels: ["dns-version"])?.wire ?? [])

    /// `[…].[service].[namespace].svc`
    private func serviceContent(_ labels: DNSName, _ starts: [Int]) -> Content {
        let end = starts[starts.count - 1]
        switch starts.count {
        case 1:
            return .records([])
        case 2:
            return hasNamespace(DNSName(wire: Array(labels.wire[..<end])))
                ? .records([]) : .absent(ofService: false)
        default:
            let start = starts[starts.count - 3]
            let key = ServiceKey(DNSName(wire: Array(labels.wire[start..<end])))
            guard let entry = services[key] else { return .absent(ofService: false) }
            let label = DNSName(wire: Array(labels.wire[..<start]))
            let found =
                start == 0
                ? entry.records.own : entry.records.below[label] ?? entry.addresses(ofEndpoint: label)
            return found.map(Content.records) ?? .absent(ofService: entry.service != nil)
        }
    }

    /// `10-244-0-5.[namespace].pod`: the label itself says the address, as with upstream's `pods insecure`.
    private func podContent(_ labels: DNSName, _ starts: [Int]) -> Content {
        guard starts.count > 1 else { return .records([]) }
        let namespace = labels.wire[starts[starts.count - 2]..<starts[starts.count - 1]]
        guard starts.count <= 3, hasNamespace(DNSName(wire: Array(namespace))) else {
            return .absent(ofService: false)
        }
        guard starts.count == 3 else { return .records([]) }
        let label = String(decoding: labels.wire[1..<starts[1]], as: UTF8.self)
        guard let address = HostAddress(dashed: label) else { return .absent(ofService: false) }
        return .records([.address(address)])
    }

    /// The names that an address stands for.
    func names(of address: HostAddress) -> [DNSName] {
        var found = reverse[address] ?? [:]
        for key in owners[address] ?? [] {
            guard let name = key.name.appending(serviceDomain) else { continue }
            for label in services[key]?.labels(ofEndpointAt: address) ?? [] {
                if let whole = label.appending(name) { found[key, default: []].append(whole) }
            }
        }
        if found.count == 1, let names = found.values.first { return names }
        return found.sorted { $0.key.name.wire.lexicographicallyPrecedes($1.key.name.wire) }.flatMap(\.value)
    }

    /// Why a name does not exist, for people. What is asked is `labels` in front of the domain.
    func reason(forAbsenceOf labels: DNSName) -> String {
        let texts = labels.labels.map { String(decoding: $0, as: UTF8.self) }
        switch texts.last {
        case "svc" where texts.count == 2: return "there is no namespace \(texts[0])"
        case "svc":
            let (service, namespace) = (texts[texts.count - 3], texts[texts.count - 2])
            let whole = "Service \(namespace)/\(service)"
            guard let key = ServiceKey(namespace: namespace, name: service), let entry = services[key],
                let kind = entry.service?.kind
            else { return "there is no \(whole)" }
            let count = entry.slices.values.reduce(0) { $0 + $1.endpoints.count }
            switch kind {
            case .headless where texts.count == 3 || entry.records.own == nil:
                return "\(whole) is headless, and "
                    + (count == 0 ? "has no endpoints" : "none of its \(count) endpoints is ready")
            case .unresolvable:
                return "\(whole) has no address yet, or an external name that is no domain name"
            case .external: return "\(whole) is an ExternalName; nothing is below it"
            case .headless, .addressed: return "\(whole) has no ready endpoint and no named port of that name"
            }
        case "pod":
            return "a pod's name is its address with dashes, and a namespace that exists"
        default: return "names in \(domain) are below svc or pod"
        }
    }

    private var nameServers: [DNSName] {
        DNSName(labels: ["ns", "dns"], under: domain).map { [$0] } ?? []
    }

    /// The start of authority. Its minimum says how long an answer "no such name" may be kept: not at all, for
    /// the name may come into being at any moment.
    var soa: RecordData {
        .soa(
            primary: nameServers.first ?? domain,
            mailbox: DNSName(labels: ["hostmaster"], under: domain) ?? domain,
            serial: version, refresh: 7200, retry: 1800, expire: 86400, minimum: 0)
    }
}
