import CLinux
import Glibc

/// Tells when somebody else changes certain tables. Shell: `nft monitor`.
public final class NftablesMonitor: Sendable {
    private let descriptor: Int32
    private let tables: [TableName]
    private let ownPort: UInt32

    /// Begins to listen, in the calling thread's network namespace: what happens from now on is told.
    /// - Parameter socket: whose changes are not told of.
    public init(of tables: [TableName], ignoring socket: NftablesSocket) throws(NetlinkError) {
        self.tables = tables
        ownPort = try socket.socket.port()
        let words = "listen to changes of nftables"
        descriptor = Glibc.socket(
            AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), NETLINK_NETFILTER)
        guard descriptor >= 0 else {
            throw NetlinkError(.socket(call: "socket", errno: errno), request: words)
        }
        // A transaction of ours may be long, and is told of too.
        var size: Int32 = 64 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, socklen_t(MemoryLayout<Int32>.size))
        // A socket without a number of its own hears nothing: the kernel takes it for the sender.
        var address = sockaddr_nl()
        address.nl_family = sa_family_t(AF_NETLINK)
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
            }
        }
        guard bound == 0 else { throw NetlinkError(.socket(call: "bind", errno: errno), request: words) }
        var group = Int32(truncatingIfNeeded: NFNLGRP_NFTABLES.rawValue)
        let length = socklen_t(MemoryLayout<Int32>.size)
        guard setsockopt(descriptor, SOL_NETLINK, Int32(NETLINK_ADD_MEMBERSHIP), &group, length) == 0 else {
            throw NetlinkError(.socket(call: "setsockopt", errno: errno), request: words)
        }
    }

    deinit {
        close(descriptor)
    }

    /// Yields once or more after each change by somebody else, until nobody takes what it yields any more. To be
    /// called once.
    public func disturbances() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let stop = eventfd(0, Int32(EFD_CLOEXEC))
        guard stop >= 0 else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { _ in
            var one: UInt64 = 1
            write(stop, &one, 8)
        }
        let thread = OwnThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while waitForNotice(or: stop) {
                if readsDisturbance(into: &buffer) { continuation.yield() }
            }
            close(stop)
            continuation.finish()
        }
        if !thread.start() { continuation.finish() }
        return stream
    }

    private func waitForNotice(or stop: Int32) -> Bool {
        var waiting = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&waiting, 2, -1) < 0 {
            guard errno == EINTR else { return false }
        }
        return waiting[1].revents == 0
    }

    /// Reads what has come, and says whether anything of it concerns our tables.
    private func readsDisturbance(into buffer: inout [UInt8]) -> Bool {
        var isDisturbed = false
        while true {
            let count = buffer.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
            }
            if count < 0, errno == EINTR { continue }
            // Notices were lost: there may have been one for us.
            if count < 0, errno == ENOBUFS {
                isDisturbed = true
                continue
            }
            guard count > 0 else { return isDisturbed }
            isDisturbed =
                isDisturbed
                || Messages(buffer[..<count]).contains { message in
                    message.port != ownPort && tables.contains { Self.concerns(message, $0) }
                }
        }
    }

    /// Whether a notice tells of a change to this table or to something in it.
    package static func concerns(_ message: Message, _ table: TableName) -> Bool {
        guard message.type >> 8 == UInt16(NFNL_SUBSYS_NFTABLES),
            message.payload.first == table.family.rawValue
        else { return false }
        // The table's name is the first attribute of all of them; the end of a transaction names none.
        guard message.type & 0xff != UInt16(truncatingIfNeeded: NFT_MSG_NEWGEN.rawValue) else { return false }
        return message.attributes(afterHeaderOf: 4)[NFTA_TABLE_NAME]?.string == table.name
    }
}
