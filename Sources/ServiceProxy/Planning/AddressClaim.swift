import Netlink

/// Why a Service has an address, and which of its ports is meant.
package struct AddressClaim: Sendable, Hashable {
    /// What kind of address it is.
    package enum Kind: Sendable, Hashable {
        /// The Service's own, inside the cluster.
        case cluster
        /// Its load balancer's.
        case loadBalancer
        /// One of `externalIPs`.
        case external
        /// The node's.
        case nodePort
    }

    package var kind: Kind
    package var port: ServiceFacts.Port

    /// All that a Service claims. Where one address is given to it in two ways, the way that is named first in
    /// ``Kind`` counts.
    package static func all(
        of service: ServiceFacts, _ configuration: ProxyConfiguration
    ) -> [ServiceAddress: AddressClaim] {
        var result: [ServiceAddress: AddressClaim] = [:]
        func claim(_ addresses: some Sequence<IPAddress>, _ kind: Kind) {
            for address in addresses where !configuration.nodeLocalAddresses.contains(address) {
                for port in service.ports {
                    guard let number = kind == .nodePort ? port.nodePort : port.number else { continue }
                    let entry = ServiceAddress(address, port.transportProtocol, number)
                    if result[entry] == nil { result[entry] = AddressClaim(kind: kind, port: port) }
                }
            }
        }
        claim(service.clusterAddresses, .cluster)
        // Only the families that the Service has: it has no endpoints of the other.
        let families = Set(service.clusterAddresses.map(\.family))
        func own(_ addresses: [IPAddress]) -> [IPAddress] {
            addresses.filter { families.contains($0.family) && !$0.isUnspecified }
        }
        claim(own(service.loadBalancerAddresses), .loadBalancer)
        claim(own(service.externalAddresses), .external)
        claim(families.map(IPAddress.unspecified), .nodePort)
        return result
    }
}
