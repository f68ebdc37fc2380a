import CLinux
import Glibc

/// Links, addresses, routes and rules of one network namespace, over rtnetlink.
///
/// Every function is one request to the kernel and has taken effect when it returns.
public struct RouteSocket: Sendable {
    let socket: NetlinkSocket

    /// Opens a socket in the calling thread's network namespace.
    public init() throws(NetlinkError) {
        socket = try NetlinkSocket(.route)
    }

    /// Opens a socket in `namespace`.
    public init(in namespace: NetworkNamespace) async throws {
        self = try await namespace.run { try RouteSocket() }
    }
}

/// A network interface.
public struct Link: Sendable, Hashable {
    /// The kernel's number for it, at least 1.
    public var index: Int32
    /// Its name.
    public var name: String
    /// Its type (`dummy`, `bridge`, `veth` …); nil for hardware and loopback.
    public var kind: String?
    /// The `IFF_…` flags.
    public var flags: UInt32
    /// The largest packet in bytes.
    public var mtu: UInt32
    /// The index of the bridge or bond that it belongs to.
    public var master: Int32?
    /// The index of the link at the other end (veth) or below.
    public var peer: Int32?

    public init(
        index: Int32, name: String, kind: String? = nil, flags: UInt32, mtu: UInt32, master: Int32? = nil,
        peer: Int32? = nil
    ) {
        self.index = index
        self.name = name
        self.kind = kind
        self.flags = flags
        self.mtu = mtu
        self.master = master
        self.peer = peer
    }

    /// Whether it is switched on.
    public var isUp: Bool { flags & 1 != 0 }
    /// Whether this is a loopback interface.
    public var isLoopback: Bool { flags & 8 != 0 }
}

/// What kind of virtual link to make.
public enum LinkKind: Sendable, Hashable {
    /// An interface that drops what is sent to it. Not every kernel has it.
    case dummy
    /// A bridge, at first without ports.
    case bridge
    /// A pair of interfaces, each the other's wire.
    case veth(peer: String)

    /// The kernel's name of the kind.
    public var name: String {
        switch self {
        case .dummy: "dummy"
        case .bridge: "bridge"
        case .veth: "veth"
        }
    }
}

extension RouteSocket {
    /// All links. Shell: `ip -details link show`.
    public func links() throws(NetlinkError) -> [Link] {
        try socket.dump("list the links", type: UInt16(RTM_GETLINK)) { Self.linkHeader(&$0) }
            .compactMap(Self.link)
    }

    /// The link of this name, or nil. Shell: `ip link show dev NAME`.
    public func link(named name: String) throws(NetlinkError) -> Link? {
        do {
            return try socket.query("show link \(name)", type: UInt16(RTM_GETLINK)) {
                Self.linkHeader(&$0)
                $0.attribute(IFLA_IFNAME, name)
            }
            .compactMap(Self.link).first
        } catch {
            if error.isNotThere { return nil }
            throw error
        }
    }

    /// Makes a link, which is down at first. Shell: `ip link add NAME type KIND [peer name PEER]`.
    /// - Parameter mtu: the largest packet in bytes; nil for the kernel's default.
    public func addLink(_ name: String, _ kind: LinkKind, mtu: UInt32? = nil) throws(NetlinkError) {
        try socket.request(
            "add link \(name) (\(kind.name))", type: UInt16(RTM_NEWLINK), flags: NLM_F_CREATE | NLM_F_EXCL
        ) { writer in
            Self.linkHeader(&writer)
            writer.attribute(IFLA_IFNAME, name)
            if let mtu { writer.attribute(IFLA_MTU, mtu) }
            writer.nest(IFLA_LINKINFO) { writer in
                writer.attribute(IFLA_INFO_KIND, kind.name)
                if case .veth(let peer) = kind {
                    writer.nest(IFLA_INFO_DATA) { writer in
                        writer.nest(VETH_INFO_PEER) { writer in
                            Self.linkHeader(&writer)
                            writer.attribute(IFLA_IFNAME, peer)
                            if let mtu { writer.attribute(IFLA_MTU, mtu) }
                        }
                    }
                }
            }
        }
    }

    /// Removes a link. Shell: `ip link delete dev NAME`.
    public func removeLink(_ index: Int32) throws(NetlinkError) {
        try socket.request("delete link \(index)", type: UInt16(RTM_DELLINK)) {
            Self.linkHeader(&$0, index: index)
        }
    }

    /// Switches a link on or off. Shell: `ip link set dev NAME up`.
    public func setLink(_ index: Int32, up: Bool) throws(NetlinkError) {
        try change(index, "switch link \(index) \(up ? "on" : "off")", flags: up ? 1 : 0, mask: 1)
    }

    /// Switches address resolution off, so that packets are sent without asking who has the address.
    /// Shell: `ip link set dev NAME arp off`.
    public func setLink(_ index: Int32, addressResolution: Bool) throws(NetlinkError) {
        try change(
            index, "set address resolution of link \(index)", flags: addressResolution ? 0 : 0x80, mask: 0x80)
    }

    /// Sets the largest packet in bytes. Shell: `ip link set dev NAME mtu MTU`.
    public func setLink(_ index: Int32, mtu: UInt32) throws(NetlinkError) {
        try change(index, "set the MTU of link \(index) to \(mtu)") { $0.attribute(IFLA_MTU, mtu) }
    }

    /// Makes a link a port of a bridge. Shell: `ip link set dev NAME master BRIDGE`.
    public func setLink(_ index: Int32, master: Int32?) throws(NetlinkError) {
        try change(index, "set the master of link \(index)") { $0.attribute(IFLA_MASTER, master ?? 0) }
    }

    /// Moves a link to another network namespace, where it arrives switched off and without addresses.
    /// Shell: `ip link set dev NAME netns FILE`.
    public func moveLink(_ index: Int32, to namespace: NetworkNamespace) throws(NetlinkError) {
        let result: Result<Void, NetlinkError> = namespace.withDescriptor { descriptor in
            do throws(NetlinkError) {
                return .success(
                    try change(index, "move link \(index) to a namespace") {
                        $0.attribute(IFLA_NET_NS_FD, descriptor)
                    })
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    private func change(
        _ index: Int32, _ words: String, flags: UInt32 = 0, mask: UInt32 = 0,
        _ attributes: (inout MessageWriter) -> Void = { _ in }
    ) throws(NetlinkError) {
        try socket.request(words, type: UInt16(RTM_NEWLINK)) {
            Self.linkHeader(&$0, index: index, flags: flags, mask: mask)
            attributes(&$0)
        }
    }

    /// `struct ifinfomsg`.
    static func linkHeader(
        _ writer: inout MessageWriter, index: Int32 = 0, flags: UInt32 = 0, mask: UInt32 = 0
    ) {
        writer.raw(UInt8(AF_UNSPEC))
        writer.raw(UInt8(0))
        writer.raw(UInt16(0))
        writer.raw(index)
        writer.raw(flags)
        writer.raw(mask)
    }

    package static func link(_ message: Message) -> Link? {
        guard Int(message.type) == RTM_NEWLINK, let index: Int32 = message.integer(at: 4),
            let flags: UInt32 = message.integer(at: 8)
        else { return nil }
        let attributes = message.attributes(afterHeaderOf: 16)
        guard let name = attributes[IFLA_IFNAME]?.string else { return nil }
        return Link(
            index: index, name: name,
            kind: attributes[IFLA_LINKINFO]?.attributes[IFLA_INFO_KIND]?.string, flags: flags,
            mtu: attributes[IFLA_MTU]?.integer() ?? 0, master: attributes[IFLA_MASTER]?.integer(),
            peer: attributes[IFLA_LINK]?.integer())
    }
}
