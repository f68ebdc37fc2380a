import KubernetesAPI
import ObjectStore

/// Which addresses and node ports are taken, and from which ranges addresses come: what the stored Services,
/// IPAddresses and ServiceCIDRs say, kept up object by object.
package struct AddressBook: StoreProjection {
    package static let resources = [
        Service.resource.groupResource, IPAddress.resource.groupResource, ServiceCIDR.resource.groupResource,
    ]

    /// What one object takes.
    private struct Claims {
        var addresses: Set<NetworkAddress> = []
        var ports: Set<Int> = []
    }

    /// A ServiceCIDR.
    private struct Ranges {
        var ranges: [NetworkRange]
        /// Whether new Services get addresses from it (KEP-1880: it is ready and not being deleted).
        var isOpen: Bool
    }

    private var claims: [ObjectKey: Claims] = [:]
    /// By how many objects an address is taken: a Service and its IPAddress, as a rule.
    private var addresses: [NetworkAddress: Int] = [:]
    private var ports: [Int: Int] = [:]
    private var ranges: [String: Ranges] = [:]

    package init() {}

    package func isTaken(_ address: NetworkAddress) -> Bool { addresses[address] != nil }
    package func isTaken(port: Int) -> Bool { ports[port] != nil }

    /// Whether several objects have the port: Services, of which one is to be the only one.
    package func isShared(port: Int) -> Bool { ports[port, default: 0] > 1 }

    /// All ranges, also those from which nothing is to be taken any more.
    package var allRanges: [NetworkRange] {
        var result: [NetworkRange] = []
        for range in ranges.sorted(by: { $0.key < $1.key }).flatMap(\.value.ranges)
        where !result.contains(range) {
            result.append(range)
        }
        return result
    }

    /// How many addresses of the range are taken.
    package func countTaken(in range: NetworkRange) -> Int { addresses.keys.count { range.contains($0) } }

    /// How many ports of the range are taken.
    package func countTaken(in range: ClosedRange<Int>) -> Int { ports.keys.count { range.contains($0) } }

    /// The ranges that new addresses of a family come from. The cluster's first range is the first.
    package func openRanges(of family: String) -> [NetworkRange] {
        let open = ranges.filter(\.value.isOpen).sorted { a, b in
            (a.key == Self.defaultName ? 0 : 1, a.key) < (b.key == Self.defaultName ? 0 : 1, b.key)
        }
        var result: [NetworkRange] = []
        for range in open.flatMap(\.value.ranges) where range.family == family && !result.contains(range) {
            result.append(range)
        }
        return result
    }

    /// The name of the ServiceCIDR that the cluster was started with.
    package static let defaultName = "kubernetes"

    // MARK: Keeping up

    package mutating func put(_ object: StoredObject) {
        switch object.key.resource {
        case Service.resource.groupResource:
            guard let service = try? Service(json: object.bytes) else { return }
            set(
                object.key,
                Claims(
                    addresses: Set(Self.addresses(of: service)), ports: Set(Self.ports(of: service))))
        case IPAddress.resource.groupResource:
            set(object.key, Claims(addresses: Set([NetworkAddress(object.key.name)].compactMap { $0 })))
        default:
            guard let range = try? ServiceCIDR(json: object.bytes) else { return }
            ranges[object.key.name] = Ranges(
                ranges: range.spec.cidrs.compactMap { NetworkRange($0) },
                isOpen: range.metadata.deletionTimestamp == nil && range.isReady)
        }
    }

    package mutating func remove(_ key: ObjectKey) {
        set(key, nil)
        if key.resource == ServiceCIDR.resource.groupResource { ranges[key.name] = nil }
    }

    private mutating func set(_ key: ObjectKey, _ new: Claims?) {
        let old = claims[key]
        claims[key] = new
        for address in new?.addresses ?? [] { addresses[address, default: 0] += 1 }
        for port in new?.ports ?? [] { ports[port, default: 0] += 1 }
        for address in old?.addresses ?? [] { Self.release(address, from: &addresses) }
        for port in old?.ports ?? [] { Self.release(port, from: &ports) }
    }

    private static func release<Key>(_ key: Key, from counts: inout [Key: Int]) {
        guard let count = counts[key] else { return }
        counts[key] = count > 1 ? count - 1 : nil
    }

    // MARK: What a Service has

    /// The cluster addresses of a Service.
    package static func addresses(of service: Service) -> [NetworkAddress] {
        guard ServiceNormalization.needsClusterIP(service) else { return [] }
        return service.spec.clusterIPs.compactMap { NetworkAddress($0) }
    }

    /// The node ports of a Service, that of its health check included.
    package static func ports(of service: Service) -> [Int] {
        guard ServiceNormalization.mayHaveNodePorts(service) else { return [] }
        return (service.spec.ports.map(\.nodePort) + [service.spec.healthCheckNodePort]).filter { $0 != 0 }
    }
}

extension ServiceCIDR {
    /// Whether addresses may be taken from it: nobody says that it is not ready.
    package var isReady: Bool {
        status.conditions.first { $0.type == "Ready" }.map { $0.status == "True" } ?? true
    }
}
