import CLinux
import Glibc

/// An address of an interface.
public struct InterfaceAddress: Sendable, Hashable {
    /// The address with the length of its network's prefix.
    public var network: IPNetwork
    /// The index of the interface.
    public var link: Int32
    /// How far the address is valid: 0 everywhere (global), 253 on the link, 254 on this host.
    public var scope: UInt8
    /// The label, an interface name with an optional suffix.
    public var label: String?
    /// Whether the kernel is still asking the link if somebody else has the address (RFC 4862, 5.4); it is not
    /// answered for until then. A second or two, of IPv6 addresses alone.
    public var isTentative = false

    public init(_ network: IPNetwork, link: Int32, scope: UInt8 = 0, label: String? = nil) {
        self.network = network
        self.link = link
        self.scope = scope
        self.label = label
    }

    /// Whether the address can be used from other machines.
    public var isGlobal: Bool { scope == 0 && !network.address.isLoopback }
}

extension RouteSocket {
    /// All addresses of all interfaces. Shell: `ip address show`.
    public func addresses() throws(NetlinkError) -> [InterfaceAddress] {
        try socket.dump("list the addresses", type: UInt16(RTM_GETADDR)) {
            Self.addressHeader(&$0, family: UInt8(AF_UNSPEC), prefixLength: 0, scope: 0, link: 0)
        }
        .compactMap(Self.address)
    }

    /// Gives an interface an address. Shell: `ip address add ADDRESS/LENGTH dev NAME`.
    public func addAddress(_ address: InterfaceAddress) throws(NetlinkError) {
        try socket.request(
            "add address \(address.network) to link \(address.link)", type: UInt16(RTM_NEWADDR),
            flags: NLM_F_CREATE | NLM_F_EXCL
        ) { Self.write(address, to: &$0) }
    }

    /// Takes an address away. Shell: `ip address delete ADDRESS/LENGTH dev NAME`.
    public func removeAddress(_ address: InterfaceAddress) throws(NetlinkError) {
        try socket.request(
            "delete address \(address.network) from link \(address.link)", type: UInt16(RTM_DELADDR)
        ) { Self.write(address, to: &$0) }
    }

    private static func write(_ address: InterfaceAddress, to writer: inout MessageWriter) {
        let network = address.network
        addressHeader(
            &writer, family: network.address.family.rawValue,
            prefixLength: UInt8(truncatingIfNeeded: network.prefixLength), scope: address.scope,
            link: address.link)
        writer.attribute(IFA_LOCAL, network.address.bytes)
        writer.attribute(IFA_ADDRESS, network.address.bytes)
        if let label = address.label { writer.attribute(IFA_LABEL, label) }
        // Nobody else can have it, so IPv6 need not ask the link first.
        if network.address.family == .ipv6 { writer.attribute(IFA_FLAGS, UInt32(IFA_F_NODAD)) }
    }

    /// `struct ifaddrmsg`.
    private static func addressHeader(
        _ writer: inout MessageWriter, family: UInt8, prefixLength: UInt8, scope: UInt8, link: Int32
    ) {
        writer.raw(family)
        writer.raw(prefixLength)
        writer.raw(UInt8(0))
        writer.raw(scope)
        writer.raw(link)
    }

    package static func address(_ message: Message) -> InterfaceAddress? {
        guard Int(message.type) == RTM_NEWADDR, let length: UInt8 = message.integer(at: 1),
            let scope: UInt8 = message.integer(at: 3), let link: Int32 = message.integer(at: 4)
        else { return nil }
        let attributes = message.attributes(afterHeaderOf: 8)
        guard let address = (attributes[IFA_LOCAL] ?? attributes[IFA_ADDRESS])?.address,
            let network = IPNetwork(address, prefixLength: Int(length))
        else { return nil }
        var result = InterfaceAddress(
            network, link: link, scope: scope, label: attributes[IFA_LABEL]?.string)
        let flags: UInt32 = attributes[IFA_FLAGS]?.integer() ?? 0
        result.isTentative = flags & UInt32(IFA_F_TENTATIVE) != 0
        return result
    }
}
