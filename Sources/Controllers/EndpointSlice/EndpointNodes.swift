import KubernetesAPI

/// What endpoints need to know of the nodes that they are on.
package struct EndpointNodes: Sendable, Equatable {
    private static let zoneLabel = "topology.kubernetes.io/zone"

    private var zones: [String: String?]

    package init(_ nodes: [Node]) {
        zones = Dictionary(
            nodes.map { ($0.metadata.name, Self.zone(of: $0)) }, uniquingKeysWith: { a, _ in a })
    }

    /// Whether there is such a node.
    func contains(_ name: String) -> Bool { zones[name] != nil }

    /// The zone that a node is in, if it says so.
    func zone(of name: String) -> String? { zones[name] ?? nil }

    /// The zone in a node's label.
    static func zone(of node: Node) -> String? {
        node.metadata.labels[zoneLabel].flatMap { $0.isEmpty ? nil : $0 }
    }
}
