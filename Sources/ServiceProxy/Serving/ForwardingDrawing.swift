import Netlink

/// The forwarding table as a person would draw it: Service, port, addresses, endpoints, and why each is in or out.
public struct ForwardingDrawing: CustomStringConvertible {
    private let explanations: [ServicePortExplanation]

    public init(_ explanations: [ServicePortExplanation]) {
        self.explanations = explanations
    }

    public var description: String {
        guard !explanations.isEmpty else { return "There is no Service with an address.\n" }
        var text = ""
        var last: ObjectName?
        for port in explanations {
            if port.service != last {
                text += last == nil ? "" : "\n"
                text += "\(port.service)\n"
            }
            last = port.service
            draw(port, into: &text)
        }
        return text
    }

    private func draw(_ port: ServicePortExplanation, into text: inout String) {
        let name = port.port.name.isEmpty ? "" : "\(port.port.name) "
        text += "  port \(name)\(port.port.number)/\(port.port.transportProtocol)"
        if let seconds = port.affinityTimeout {
            text += ", a client stays with its endpoint for \(seconds) s"
        }
        if port.isInternalTrafficLocal { text += ", from inside to this node only" }
        if port.isExternalTrafficLocal { text += ", from outside to this node only" }
        text += "\n"
        for address in port.addresses {
            text += "    \(at(address.address)) (\(address.kind.rawValue)) \(outcome(address))\n"
        }
        if port.endpoints.isEmpty { text += "    no endpoints\n" }
        let width = port.endpoints.map { $0.backend.description.count }.max() ?? 0
        for endpoint in port.endpoints {
            let backend = endpoint.backend.description
            let place = endpoint.isOnNode ? "this node" : endpoint.nodeName.map { "node \($0)" } ?? "no node"
            text += "    \(endpoint.anywhere.isIn || endpoint.onNode?.isIn == true ? "+" : "-") "
            text += backend + String(repeating: " ", count: width - backend.count)
            text += "  \(place): \(reason(endpoint))\n"
        }
    }

    /// A node port is one of every address of the node.
    private func at(_ address: ServiceAddress) -> String {
        address.address.isUnspecified ? "*:\(address.port)/\(address.transportProtocol)" : "\(address)"
    }

    private func outcome(_ address: ServicePortExplanation.Address) -> String {
        if let holder = address.holder { return "-> nothing: Service \(holder), which is older, has it" }
        switch address.forwarding {
        case nil: return "-> nothing yet"
        case let forwarding?:
            let count = forwarding.backends.count
            if count > 0 { return "-> \(count == 1 ? "1 endpoint" : "one of \(count) endpoints, at random")" }
            return forwarding == .drop
                ? "-> dropped: no endpoint on this node" : "-> refused: no endpoint is ready"
        }
    }

    private func reason(_ endpoint: ServicePortExplanation.Endpoint) -> String {
        guard let here = endpoint.onNode, here != endpoint.anywhere else { return endpoint.anywhere.reason }
        return "\(endpoint.anywhere.reason); for traffic that stays on the node \(here.isIn ? "in" : "out"): "
            + here.reason
    }
}
