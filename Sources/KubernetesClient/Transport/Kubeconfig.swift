import Glibc
import HTTPService
import KubernetesJSON
import Yams

/// Why a kubeconfig file, or what it names, cannot be used.
public struct KubeconfigError: Error, Sendable, CustomStringConvertible {
    /// The kinds of failure that callers tell apart.
    public enum Code: Sendable, Hashable {
        /// A file cannot be read.
        case unreadable
        /// The file is not YAML, or has something of the wrong type.
        case malformed
        /// A context, cluster or user that is asked for is not there.
        case missing
        /// The file asks for something that is not supported here.
        case unsupported
    }

    /// The kind of failure.
    public var code: Code
    /// What was expected, what was found, what to do next.
    public var message: String
    /// The failure below this one, if there is one.
    public var cause: (any Error)?

    init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    public var description: String { cause.map { "\(message) (\($0))" } ?? message }
}

/// A kubeconfig file (client.authentication.k8s.io, `v1 Config`): clusters, users, and contexts that join them.
public struct Kubeconfig: Sendable, Hashable {
    /// Something secret or public that is in the file itself or in another one.
    public enum Source: Sendable, Hashable {
        case inline([UInt8])
        /// The path, made absolute.
        case file(String)
    }

    /// Where a server is and how to know it.
    public struct Cluster: Sendable, Hashable {
        /// `https://host:port`, perhaps with a path.
        public var server: String
        /// Who may have signed the server's certificate; nil for those whom the system trusts.
        public var certificateAuthority: Source?
        /// The name to expect in the server's certificate instead of the host.
        public var tlsServerName: String?
        /// Whether any certificate is taken.
        public var skipsTLSVerify = false

        /// A cluster from its parts.
        public init(
            server: String, certificateAuthority: Source? = nil, tlsServerName: String? = nil,
            skipsTLSVerify: Bool = false
        ) {
            self.server = server
            self.certificateAuthority = certificateAuthority
            self.tlsServerName = tlsServerName
            self.skipsTLSVerify = skipsTLSVerify
        }
    }

    /// Who one is to the server.
    public struct User: Sendable, Hashable {
        /// The certificate chain to show, PEM.
        public var clientCertificate: Source?
        /// That certificate's key, PEM.
        public var clientKey: Source?
        /// The bearer token to show.
        public var token: Source?
        /// What the file asks for and is not supported: `exec`, `auth-provider`, a password.
        public var unsupported: String?

        /// A user from its parts.
        public init(
            clientCertificate: Source? = nil, clientKey: Source? = nil, token: Source? = nil,
            unsupported: String? = nil
        ) {
            self.clientCertificate = clientCertificate
            self.clientKey = clientKey
            self.token = token
            self.unsupported = unsupported
        }
    }

    /// A cluster and a user to be there.
    public struct Context: Sendable, Hashable {
        /// The name of the cluster.
        public var cluster: String
        /// The name of the user.
        public var user: String
        /// The namespace that commands mean when they name none.
        public var namespace: String?

        /// A context from its parts.
        public init(cluster: String, user: String, namespace: String? = nil) {
            self.cluster = cluster
            self.user = user
            self.namespace = namespace
        }
    }

    /// A file with nothing in it.
    public init() {}

    /// The clusters by name.
    public var clusters: [String: Cluster] = [:]
    /// The users by name.
    public var users: [String: User] = [:]
    /// The contexts by name.
    public var contexts: [String: Context] = [:]
    /// The name of the context that is meant when none is named.
    public var currentContext = ""

    // MARK: Reading

    /// Reads the file at a path.
    ///
    /// - Throws: `unreadable` or `malformed`.
    public static func load(path: String) throws(KubeconfigError) -> Kubeconfig {
        let text = String(decoding: try Files.read(path), as: UTF8.self)
        let directory = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        return try Kubeconfig(yaml: text, directory: directory, name: path)
    }

    /// Reads the text of a kubeconfig file.
    ///
    /// - Parameters:
    ///   - directory: what relative paths in the file are relative to.
    ///   - name: how errors call the file.
    public init(
        yaml: String, directory: String = "", name: String = "kubeconfig"
    ) throws(KubeconfigError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw KubeconfigError(.malformed, "\(name) is not YAML", cause: error)
        }
        guard let root else { return }
        guard let mapping = root.mapping else {
            throw KubeconfigError(.malformed, "\(name) should be a mapping with clusters, users and contexts")
        }
        let reader = Reader(directory: directory, name: name)
        currentContext = mapping["current-context"]?.string ?? ""
        for (key, node) in try reader.entries(mapping, "clusters", "cluster") {
            guard let server = node["server"]?.string else {
                throw KubeconfigError(.malformed, "\(name): cluster \"\(key)\" has no server")
            }
            clusters[key] = Cluster(
                server: server,
                certificateAuthority: try reader.source(node, "certificate-authority"),
                tlsServerName: node["tls-server-name"]?.string,
                skipsTLSVerify: node["insecure-skip-tls-verify"]?.bool ?? false)
        }
        for (key, node) in try reader.entries(mapping, "users", "user") {
            let token = node["token"]?.string.map { Source.inline(Array($0.utf8)) }
            let tokenFile = node["tokenFile"]?.string.map { Source.file(reader.absolute($0)) }
            users[key] = User(
                clientCertificate: try reader.source(node, "client-certificate"),
                clientKey: try reader.source(node, "client-key"),
                token: tokenFile ?? token,
                unsupported: ["exec", "auth-provider", "username"].first { node[$0] != nil })
        }
        for (key, node) in try reader.entries(mapping, "contexts", "context") {
            contexts[key] = Context(
                cluster: node["cluster"]?.string ?? "", user: node["user"]?.string ?? "",
                namespace: node["namespace"]?.string)
        }
    }

    private struct Reader {
        let directory: String
        let name: String

        /// The entries of a list like `clusters: [{name: …, cluster: {…}}]`.
        func entries(
            _ root: Node.Mapping, _ list: String, _ member: String
        ) throws(KubeconfigError) -> [(String, Node.Mapping)] {
            guard let node = root[Node(list)], node.null == nil else { return [] }
            guard let sequence = node.sequence else {
                throw KubeconfigError(.malformed, "\(name): \(list) should be a list")
            }
            var entries: [(String, Node.Mapping)] = []
            for (index, entry) in sequence.enumerated() {
                guard let key = entry.mapping?["name"]?.string else {
                    throw KubeconfigError(.malformed, "\(name): \(list)[\(index)] has no name")
                }
                let value = entry.mapping?[Node(member)]
                guard let mapping = value?.mapping ?? (value?.null != nil || value == nil ? [:] : nil) else {
                    throw KubeconfigError(
                        .malformed, "\(name): \(list)[\(index)].\(member) should be a mapping")
                }
                entries.append((key, mapping))
            }
            return entries
        }

        /// What `key-data` holds in base64, or else the file that `key` names. The data go first, as upstream.
        func source(_ node: Node.Mapping, _ key: String) throws(KubeconfigError) -> Source? {
            if let data = node[Node(key + "-data")]?.string, !data.isEmpty {
                guard let bytes = Base64.decode(data) else {
                    throw KubeconfigError(.malformed, "\(name): \(key)-data is not base64")
                }
                return .inline(bytes)
            }
            guard let path = node[Node(key)]?.string, !path.isEmpty else { return nil }
            return .file(absolute(path))
        }

        func absolute(_ path: String) -> String {
            path.hasPrefix("/") || directory.isEmpty ? path : directory + "/" + path
        }
    }

    // MARK: Choosing

    /// The cluster, user and namespace of a context.
    ///
    /// - Parameter context: nil for the file's current one.
    /// - Throws: `missing`.
    public func select(
        context name: String? = nil
    ) throws(KubeconfigError) -> (cluster: Cluster, user: User, namespace: String) {
        let name = name ?? currentContext
        guard let context = contexts[name] else {
            let known = contexts.keys.sorted().joined(separator: ", ")
            throw KubeconfigError(
                .missing,
                name.isEmpty
                    ? "the kubeconfig has no current-context; name one of: \(known)"
                    : "the kubeconfig has no context \"\(name)\"; it has: \(known)")
        }
        guard let cluster = clusters[context.cluster] else {
            throw KubeconfigError(
                .missing, "context \"\(name)\" names cluster \"\(context.cluster)\", which is not there")
        }
        guard let user = context.user.isEmpty ? User() : users[context.user] else {
            throw KubeconfigError(
                .missing, "context \"\(name)\" names user \"\(context.user)\", which is not there")
        }
        return (cluster, user, context.namespace ?? "default")
    }

    /// Where kubectl looks: the first file of `$KUBECONFIG`, or `~/.kube/config`.
    public static var defaultPath: String {
        func variable(_ name: String) -> String {
            guard let value = getenv(name) else { return "" }
            return String(cString: value)
        }
        if let first = variable("KUBECONFIG").split(separator: ":").first { return String(first) }
        let home = variable("HOME")
        return (home.isEmpty ? "/root" : home) + "/.kube/config"
    }
}

extension Kubeconfig.Source {
    /// The bytes themselves.
    public func load() throws(KubeconfigError) -> [UInt8] {
        switch self {
        case .inline(let bytes): bytes
        case .file(let path): try Files.read(path)
        }
    }
}

enum Files {
    /// - Throws: `unreadable`.
    static func read(_ path: String) throws(KubeconfigError) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw failure(path) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(path)
            }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    private static func failure(_ path: String) -> KubeconfigError {
        KubeconfigError(.unreadable, "cannot read \(path): \(String(cString: strerror(errno)))")
    }
}
