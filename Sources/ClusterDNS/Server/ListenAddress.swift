import CLinux
import Glibc
import NIOCore

/// An address and port to answer queries on, or of another server.
public struct ListenAddress: Sendable, Hashable {
    public var address: HostAddress
    public var port: UInt16
    /// The interface that a link-local address is on, by its index (RFC 4007); otherwise 0.
    public var scope: UInt32

    public init(address: HostAddress, port: UInt16 = 53, scope: UInt32 = 0) {
        self.address = address
        self.port = port
        self.scope = scope
    }

    /// Reads `10.96.0.10`, `10.96.0.10:53`, `fd00::a`, `[fd00::a]:53` or `fe80::1%eth0`; nil for anything else.
    public init?(_ text: String) {
        if let whole = ListenAddress(host: text) {
            self = whole
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.init(host: String(host), port: port)
    }

    /// Reads an address, if need be with the name or the index of an interface that there is.
    package init?(host: String, port: UInt16 = 53) {
        let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init)
        guard let address = HostAddress(parts[0]) else { return nil }
        self.init(address: address, port: port)
        guard parts.count == 2 else { return }
        guard case .v6 = address else { return nil }
        scope = UInt32(parts[1]) ?? if_nametoindex(parts[1])
        if scope == 0 { return nil }
    }

    func withSocketAddress<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
        switch address {
        case .v4:
            var four = sockaddr_in()
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &four.sin_addr) { $0.copyBytes(from: address.bytes) }
            return withUnsafePointer(to: four) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        case .v6:
            return withUnsafePointer(to: socketAddress6) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
    }

    private var socketAddress6: sockaddr_in6 {
        var six = sockaddr_in6()
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = port.bigEndian
        six.sin6_scope_id = scope
        withUnsafeMutableBytes(of: &six.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return six
    }

    func socketAddress() throws -> SocketAddress {
        switch address {
        case .v4: try SocketAddress(ipAddress: address.description, port: Int(port))
        case .v6: SocketAddress(socketAddress6)
        }
    }
}

extension ListenAddress: CustomStringConvertible {
    public var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: scope == 0 ? "[\(address)]:\(port)" : "[\(address)%\(scope)]:\(port)"
        }
    }
}
