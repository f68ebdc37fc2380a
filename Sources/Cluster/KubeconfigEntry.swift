import KubernetesJSON
import Yams

/// The entries by which kubectl finds a cluster, and how they get into and out of the user's kubeconfig
/// (a v1 Config, "kind: Config").
public struct KubeconfigEntry: Sendable, Equatable {
    /// The name of the cluster, the user and the context.
    public static let contextName = "swiftlet"

    /// `https://ADDRESS:PORT`.
    public var server: String
    /// PEM.
    public var certificateAuthority: [UInt8]
    /// PEM.
    public var clientCertificate: [UInt8]
    /// PEM.
    public var clientKey: [UInt8]

    public init(
        server: String, certificateAuthority: [UInt8], clientCertificate: [UInt8], clientKey: [UInt8]
    ) {
        self.server = server
        self.certificateAuthority = certificateAuthority
        self.clientCertificate = clientCertificate
        self.clientKey = clientKey
    }

    /// A kubeconfig of its own.
    ///
    /// - Throws: ``ClusterError`` if YAML cannot be written.
    public func document() throws -> String {
        try merged(into: "")
    }

    /// A user's kubeconfig with our entries put in or renewed and our context made the current one. Everything
    /// else stays as it is.
    ///
    /// - Throws: ``ClusterError`` with code `kubeconfig` if `text` is no kubeconfig.
    public func merged(into text: String) throws -> String {
        var config = try Self.parse(text)
        config = config.setting("apiVersion", to: "v1", onlyIfMissing: true)
        config = config.setting("kind", to: "Config", onlyIfMissing: true)
        let name = Self.contextName
        config = config.replacingEntry(
            named: name, in: "clusters",
            with: [
                "cluster": [
                    "certificate-authority-data": Node(Self.encode(certificateAuthority)),
                    "server": Node(server),
                ],
                "name": Node(name),
            ])
        config = config.replacingEntry(
            named: name, in: "contexts",
            with: ["context": ["cluster": Node(name), "user": Node(name)], "name": Node(name)])
        config = config.replacingEntry(
            named: name, in: "users",
            with: [
                "name": Node(name),
                "user": [
                    "client-certificate-data": Node(Self.encode(clientCertificate)),
                    "client-key-data": Node(Self.encode(clientKey)),
                ],
            ])
        config = config.setting("current-context", to: name)
        return try Self.serialize(config)
    }

    /// A user's kubeconfig without our entries; nil if it holds none.
    ///
    /// - Throws: ``ClusterError`` with code `kubeconfig` if `text` is no kubeconfig.
    public static func removed(from text: String) throws -> String? {
        let config = try parse(text)
        var without = config
        for list in ["clusters", "contexts", "users"] {
            without = without.removingEntry(named: contextName, from: list)
        }
        if without["current-context"]?.string == contextName {
            without = without.setting("current-context", to: "")
        }
        return without == config ? nil : try serialize(without)
    }

    /// The files that kubectl reads: `KUBECONFIG`'s list, or `~/.kube/config`. It writes to the first that
    /// exists, else to the last.
    ///
    /// - Parameter exists: whether there is a file at a path.
    public static func userFile(
        environment: [String: String], home: String, exists: (String) -> Bool
    ) -> String {
        let listed = (environment["KUBECONFIG"] ?? "").split(separator: ":").map(String.init)
        return listed.first(where: exists) ?? listed.last ?? "\(home)/.kube/config"
    }

    private static func encode(_ pem: [UInt8]) -> String {
        String(decoding: Base64.encode(pem), as: UTF8.self)
    }

    private static func parse(_ text: String) throws -> Node {
        do {
            guard let node = try Yams.compose(yaml: text) else { return Node.mapping(.init([])) }
            if node.mapping != nil { return node }
            if node.scalar?.string.isEmpty == true { return Node.mapping(.init([])) }
        } catch {
            throw ClusterError(
                .kubeconfig,
                "The kubeconfig was expected to be YAML and is not. Mend it, or name another file in KUBECONFIG.",
                cause: error)
        }
        throw ClusterError(
            .kubeconfig,
            "The kubeconfig was expected to be a mapping and is something else. "
                + "Mend it, or name another file in KUBECONFIG.")
    }

    private static func serialize(_ node: Node) throws -> String {
        do {
            return try Yams.serialize(node: node, sortKeys: false)
        } catch {
            throw ClusterError(.kubeconfig, "The kubeconfig could not be written as YAML.", cause: error)
        }
    }
}

extension Node {
    /// This mapping with one scalar set.
    fileprivate func setting(_ key: String, to value: String, onlyIfMissing: Bool = false) -> Node {
        var copy = self
        if onlyIfMissing, copy[key] != nil { return copy }
        copy[key] = Node(value)
        return copy
    }

    /// This mapping with the entry of a list of named entries put in place of its namesake, or at the end.
    fileprivate func replacingEntry(named name: String, in list: String, with entry: Node) -> Node {
        var copy = self
        var entries = Array(self[list]?.sequence ?? .init([]))
        if let index = entries.firstIndex(where: { $0["name"]?.string == name }) {
            entries[index] = entry
        } else {
            entries.append(entry)
        }
        copy[list] = Node(entries)
        return copy
    }

    /// This mapping with an entry taken out of a list of named entries.
    fileprivate func removingEntry(named name: String, from list: String) -> Node {
        guard let entries = self[list]?.sequence else { return self }
        let kept = entries.filter { $0["name"]?.string != name }
        guard kept.count != entries.count else { return self }
        var copy = self
        copy[list] = Node(Array(kept))
        return copy
    }
}
