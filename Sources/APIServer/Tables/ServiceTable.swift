import KubernetesAPI
import KubernetesJSON

/// The columns of Services and EndpointSlices.
package enum ServiceTable {
    static let printer = TablePrinter<Service>([
        .name,
        TableColumn("Type", "How the Service is reached: ClusterIP, NodePort, LoadBalancer, ExternalName."),
        TableColumn("Cluster-IP", "Its address inside the cluster."),
        TableColumn("External-IP", "Its addresses outside."),
        TableColumn("Port(s)", "Its ports, with the node ports behind the colon."),
        .age,
        .wide("Selector", "Which pods it sends traffic to."),
    ]) { service, now in
        let spec = service.spec
        return [
            .string(service.metadata.name), .string(spec.type),
            Cell.orNone(spec.clusterIPs.first ?? spec.clusterIP), .string(externalAddress(service)),
            .string(ports(spec.ports)), Cell.age(service.metadata.creationTimestamp, now),
            .string(Cell.labels(spec.selector)),
        ]
    }

    private static func ports(_ ports: [ServicePort]) -> String {
        guard !ports.isEmpty else { return "<none>" }
        return ports.map { port in
            port.nodePort > 0
                ? "\(port.port):\(port.nodePort)/\(port.`protocol`)" : "\(port.port)/\(port.`protocol`)"
        }.joined(separator: ",")
    }

    private static func externalAddress(_ service: Service) -> String {
        let fixed = service.spec.externalIPs
        switch service.spec.type {
        case "ClusterIP", "NodePort":
            return fixed.isEmpty ? "<none>" : fixed.joined(separator: ",")
        case "LoadBalancer":
            let given = Set(
                service.status.loadBalancer.ingress.map { $0.ip.isEmpty ? $0.hostname : $0.ip }
                    .filter { !$0.isEmpty }
            ).sorted()
            if !fixed.isEmpty { return (given + fixed).joined(separator: ",") }
            return given.isEmpty ? "<pending>" : given.joined(separator: ",")
        case "ExternalName":
            return service.spec.externalName
        default:
            return "<unknown>"
        }
    }

    static let slices = TablePrinter<EndpointSlice>([
        .name,
        TableColumn("AddressType", "IPv4, IPv6 or FQDN."),
        TableColumn("Ports", "The first ports."),
        TableColumn("Endpoints", "The first addresses."),
        .age,
    ]) { slice, now in
        let ports = slice.ports.map { port in
            port.port.map(String.init) ?? port.name ?? "*"
        }
        let addresses = slice.endpoints.flatMap(\.addresses)
        return [
            .string(slice.metadata.name), .string(slice.addressType),
            .string(ports.isEmpty ? "<unset>" : Cell.shortened(ports)),
            .string(addresses.isEmpty ? "<unset>" : Cell.shortened(addresses)),
            Cell.age(slice.metadata.creationTimestamp, now),
        ]
    }
}
