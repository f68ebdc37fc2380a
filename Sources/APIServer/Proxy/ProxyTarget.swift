import KubernetesAPI

/// How a `proxy` subresource names what is behind it: `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
package struct ProxyName: Sendable, Hashable {
    package var isTLS: Bool
    package var name: String
    /// A number or, for Services, a port's name; empty for the default.
    package var port: String

    /// Reads the name; nil when it has none of the three forms.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (1...3).contains(parts.count) else { return nil }
        let scheme = parts.count == 3 ? parts[0] : ""
        name = parts.count == 3 ? parts[1] : parts[0]
        port = parts.count == 1 ? "" : parts[parts.count - 1]
        guard !name.isEmpty, ["", "http", "https"].contains(scheme) else { return nil }
        isTLS = scheme == "https"
    }
}

/// Where a proxied request goes. Made by pure functions of the stored objects.
package enum ProxyTarget: Sendable, Hashable {
    case address(host: String, port: Int, isTLS: Bool)
    /// The agent of a node.
    case agent(node: String)

    /// The port of node agents (kubelets): the one that is meant when a node's proxy names none.
    package static let agentPort = "10250"

    /// A pod: at the port named, or at its first one.
    package static func pod(_ pod: Pod, _ name: ProxyName) throws(APIError) -> ProxyTarget {
        var port = name.port
        if port.isEmpty, let first = pod.spec.containers.lazy.flatMap(\.ports).first {
            port = String(first.containerPort)
        }
        return try address(
            pod.status.podIPs.first?.ip ?? pod.status.podIP, port, isTLS: name.isTLS)
    }

    /// A node: its agent, or another port of it.
    package static func node(_ node: Node, _ name: ProxyName) throws(APIError) -> ProxyTarget {
        if name.port.isEmpty || name.port == agentPort { return .agent(node: node.metadata.name) }
        let addresses = node.status.addresses
        let host = (addresses.first { $0.type == "InternalIP" } ?? addresses.first)?.address ?? ""
        return try address(host, name.port, isTLS: name.isTLS)
    }

    /// A Service: one of its ready endpoints, at the port that is named, numbered, or has no name.
    ///
    /// - Parameter choose: picks one of a number of endpoints.
    package static func service(
        _ service: Service, _ endpoints: Endpoints?, _ name: ProxyName, choose: (Range<Int>) -> Int
    ) throws(APIError) -> ProxyTarget {
        var portName = name.port
        if let number = Int(portName) {
            guard let port = service.spec.ports.first(where: { $0.port == number }) else {
                throw .serviceUnavailable(
                    "no service port \(number) found for service \"\(name.name)\"")
            }
            portName = port.name
        }
        for subset in endpoints?.subsets ?? [] where !subset.addresses.isEmpty {
            guard let port = subset.ports.first(where: { $0.name == portName }) else { continue }
            let ready = subset.addresses[choose(0..<subset.addresses.count)]
            return try address(ready.ip, String(port.port), isTLS: name.isTLS)
        }
        throw .serviceUnavailable("no endpoints available for service \"\(name.name)\"")
    }

    private static func address(
        _ host: String, _ port: String, isTLS: Bool
    ) throws(APIError) -> ProxyTarget {
        guard isReachable(host) else { throw .badRequest("address not allowed") }
        if port.isEmpty { return .address(host: host, port: isTLS ? 443 : 80, isTLS: isTLS) }
        guard let number = Int(port), (1...65535).contains(number) else {
            throw .badRequest("invalid port \"\(port)\"")
        }
        return .address(host: host, port: number, isTLS: isTLS)
    }

    /// The server's own surroundings are nobody's way into the cluster: loopback, link-local, multicast and
    /// unspecified addresses are refused.
    private static func isReachable(_ host: String) -> Bool {
        guard let address = NetworkAddress(host) else { return false }
        guard !address.isIPv6 else {
            let prefix = address.bits >> 112
            return address.bits > 1 && prefix & 0xFFC0 != 0xFE80 && prefix >> 8 != 0xFF
        }
        let first = address.bits >> 24
        return address.bits != 0 && first != 127 && first < 224 && address.bits >> 16 != 0xA9FE
    }
}
