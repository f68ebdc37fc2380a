import CLinux
import Glibc
import Synchronization

/// Tells when somebody else changes certain tables. Shell: `nft monitor`.
public final class NftablesMonitor: Sendable {
    private let descriptor: Int32
    /// Says that something was missed.
    private let alarm: EventDescriptor
    private let tables: Mutex<[TableName]>
    private let socket: NftablesSocket
    private let ownPort: UInt32

    /// Begins to listen, in the calling thread's network namespace: what happens from now on is told.
    /// - Parameter socket: whose changes are not told of.
    public init(of tables: [TableName], ignoring socket: NftablesSocket) throws(NetlinkError) {
        self.tables = Mutex(tables)
        self.socket = socket
        ownPort = try socket.socket.port()
        let words = "listen to changes of nftables"
        alarm = try EventDescriptor(for: words)
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
        try listen(true)
    }

    deinit {
        close(descriptor)
    }

    private func listen(_ isListening: Bool) throws(NetlinkError) {
        let option = isListening ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP
        var group = Int32(truncatingIfNeeded: NFNLGRP_NFTABLES.rawValue)
        let length = socklen_t(MemoryLayout<Int32>.size)
        guard setsockopt(descriptor, SOL_NETLINK, Int32(option), &group, length) == 0 else {
            throw NetlinkError(
                .socket(call: "setsockopt", errno: errno), request: "listen to changes of nftables")
        }
    }

    /// From now on tells of changes to these tables.
    public func watch(_ tables: [TableName]) { self.tables.withLock { $0 = tables } }

    /// Makes a large change, through the socket of which this does not tell.
    ///
    /// As long as anybody listens the kernel writes a notice for each element, which takes as long as the change
    /// itself; so nobody does meanwhile. That somebody else changed something in this time, if only another table,
    /// shows in the generation of the rules, and is told as a change to ours.
    ///
    /// A transaction grows the generation first and is told of later, so at the beginning those that the generation
    /// includes are waited for: their notices are here then. At the end it is the other way round: whatever grows the
    /// generation after it was read finds somebody who listens.
    public func withoutNotices(_ change: () throws(NetlinkError) -> Void) throws(NetlinkError) {
        let (generation, count) = (try socket.generation(), socket.commitCount)
        try socket.waitForTransactions()
        try listen(false)
        var failure: NetlinkError?
        do { try change() } catch { failure = error }
        try listen(true)
        if try socket.generation() &- generation != socket.commitCount &- count {
            alarm.set()
        }
        if let failure { throw failure }
    }

    /// Takes back that something was missed.
    /// - Returns: whether something was.
    package func takeAlarm() -> Bool { alarm.take() }

    /// Yields once or more after each change by somebody else, until nobody takes what it yields any more. To be
    /// called once.
    public func disturbances() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self, bufferingPolicy: .bufferingNewest(1))
        // Both the thread and whoever ends the stream hold it, so that neither can meet a descriptor that is another's
        // by now.
        guard let stop = try? EventDescriptor(for: "stop listening") else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { _ in stop.set() }
        let thread = OwnThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while waitForNotice(or: stop) {
                if readsDisturbance(into: &buffer) { continuation.yield() }
            }
            continuation.finish()
        }
        if !thread.start() { continuation.finish() }
        return stream
    }

    private func waitForNotice(or stop: EventDescriptor) -> Bool {
        var waiting = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: stop.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: alarm.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&waiting, 3, -1) < 0 {
            guard errno == EINTR else { return false }
        }
        return waiting[1].revents == 0
    }

    /// Reads what has come, and says whether anything of it concerns our tables.
    private func readsDisturbance(into buffer: inout [UInt8]) -> Bool {
        var isDisturbed = takeAlarm()
        let tables = tables.withLock { $0 }
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

/// Something that a thread in `poll` can be told. Made with `eventfd`.
private final class EventDescriptor: Sendable {
    let descriptor: Int32

    init(for words: String) throws(NetlinkError) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard descriptor >= 0 else {
            throw NetlinkError(.socket(call: "eventfd", errno: errno), request: words)
        }
    }

    deinit {
        close(descriptor)
    }

    func set() {
        var one: UInt64 = 1
        write(descriptor, &one, 8)
    }

    /// Takes back what was told.
    /// - Returns: whether anything was.
    func take() -> Bool {
        var count: UInt64 = 0
        return read(descriptor, &count, 8) == 8
    }
}
