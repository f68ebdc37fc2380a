import CLinux
import Glibc
import Synchronization

/// A netlink socket: requests go in, acknowledgements and dumps come out.
///
/// The socket belongs for ever to the network namespace of the thread that opened it, and may then be used from
/// any thread. The kernel handles a request within `send`, so no call here waits for anybody but the kernel.
public final class NetlinkSocket: Sendable {
    /// The part of the kernel that the socket talks to.
    public enum Bus: Sendable {
        /// Links, addresses, routes and rules (rtnetlink).
        case route
        /// nftables and connection tracking (nfnetlink).
        case netfilter
    }

    private struct State {
        var sequence: UInt32 = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    /// Opens a socket in the network namespace of the calling thread.
    /// - Throws: `NetlinkError` with `.socket` when the kernel has no such bus or descriptors are used up.
    public init(_ bus: Bus) throws(NetlinkError) {
        let number = bus == .route ? NETLINK_ROUTE : NETLINK_NETFILTER
        descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), number)
        guard descriptor >= 0 else {
            throw NetlinkError(.socket(call: "socket", errno: errno), request: "open a netlink socket")
        }
        // Answers with words (extended ACK), without a copy of the request, and dumps that obey their filter.
        // All three are absent on old kernels, where we do without.
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            if option == NETLINK_GET_STRICT_CHK, bus != .route { continue }
            set(SOL_NETLINK, Int32(option), 1)
        }
        // A transaction is one datagram, so it must fit the send buffer whole; *FORCE passes the system's limit
        // (needs CAP_NET_ADMIN). The memory is taken only while a datagram is under way.
        if bus == .netfilter {
            if !set(SOL_SOCKET, SO_SNDBUFFORCE, 512 << 20) { set(SOL_SOCKET, SO_SNDBUF, 8 << 20) }
            if !set(SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20) { set(SOL_SOCKET, SO_RCVBUF, 8 << 20) }
        }
    }

    deinit {
        close(descriptor)
    }

    /// The number by which the kernel knows this socket; notices bear it as the number of who made a change.
    func port() throws(NetlinkError) -> UInt32 {
        var address = sockaddr_nl()
        var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        guard result == 0 else {
            throw NetlinkError(.socket(call: "getsockname", errno: errno), request: "name a netlink socket")
        }
        if address.nl_pid != 0 { return address.nl_pid }
        // The kernel names a socket when it first sends, or here.
        address.nl_family = sa_family_t(AF_NETLINK)
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        guard bound == 0 else {
            throw NetlinkError(.socket(call: "bind", errno: errno), request: "name a netlink socket")
        }
        return try port()
    }

    @discardableResult
    private func set(_ level: Int32, _ option: Int32, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// Sends one request and waits for its acknowledgement.
    ///
    /// - Parameters:
    ///   - words: what is asked, for the error that may come of it.
    ///   - type: the message type; `flags` are added to REQUEST and ACK.
    ///   - body: writes the family header and the attributes.
    /// - Throws: `NetlinkError`, with the kernel's own words if it has any.
    public func request(
        _ words: @autoclosure () -> String, type: UInt16, flags: Int32 = 0,
        _ body: (inout MessageWriter) -> Void
    ) throws(NetlinkError) {
        _ = try exchange(words(), type: type, flags: flags | NLM_F_ACK, body)
    }

    /// Sends one request that is answered by one message, and returns the messages that came before the
    /// acknowledgement.
    public func query(
        _ words: @autoclosure () -> String, type: UInt16, flags: Int32 = 0,
        _ body: (inout MessageWriter) -> Void
    ) throws(NetlinkError) -> [Message] {
        try exchange(words(), type: type, flags: flags | NLM_F_ACK, body)
    }

    /// Reads a whole table of the kernel's. A dump during which the table changed is read again, up to 16 times.
    public func dump(
        _ words: @autoclosure () -> String, type: UInt16, _ body: (inout MessageWriter) -> Void
    ) throws(NetlinkError) -> [Message] {
        for _ in 0..<16 {
            do {
                return try exchange(words(), type: type, flags: NLM_F_DUMP, body)
            } catch {
                guard error.code == .interrupted else { throw error }
            }
        }
        throw NetlinkError(.interrupted, request: words())
    }

    private func exchange(
        _ words: @autoclosure () -> String, type: UInt16, flags: Int32,
        _ body: (inout MessageWriter) -> Void
    ) throws(NetlinkError) -> [Message] {
        try state.withLock { (state) throws(NetlinkError) -> [Message] in
            // The upper half of the numbers is for transactions.
            state.sequence = (state.sequence &+ 1) & 0x7fff_ffff
            var writer = MessageWriter()
            writer.message(
                type: type, flags: UInt16(truncatingIfNeeded: NLM_F_REQUEST | flags),
                sequence: state.sequence,
                body)
            try send(writer, words())
            var answers: [Message] = []
            var wasInterrupted = false
            while true {
                guard let datagram = try receive(into: &state.buffer, words()) else {
                    throw NetlinkError(.unanswered, request: words())
                }
                // Answers to a request that was given up are left in the queue; they are not ours.
                for message in Messages(datagram) where message.sequence == state.sequence {
                    if Int32(message.flags) & NLM_F_DUMP_INTR != 0 { wasInterrupted = true }
                    switch Int32(message.type) {
                    case NLMSG_DONE:
                        // A dump that failed on the way says so at its end.
                        if let number: Int32 = message.payload.integer(), number < 0 {
                            throw NetlinkError(.refused(errno: -number), request: words())
                        }
                        if wasInterrupted { throw NetlinkError(.interrupted, request: words()) }
                        return answers
                    case NLMSG_ERROR:
                        if let error = Acknowledgement(message)?.error(words()) { throw error }
                        return answers
                    default:
                        answers.append(message)
                    }
                }
            }
        }
    }

    /// The sequence number of the first message of what `sendAll` sends.
    static let firstOfMany: UInt32 = 0x8000_0000

    /// Sends many messages in one datagram. All are handled before this returns.
    ///
    /// - Parameters:
    ///   - messages: the messages, numbered upwards from `firstOfMany`.
    ///   - answer: is called with each answer that is no acknowledgement.
    /// - Returns: the acknowledgements, good and bad, in the order in which the kernel gave them.
    func sendAll(
        _ words: @autoclosure () -> String, _ messages: borrowing MessageWriter,
        answer: (Message) -> Void = { _ in }
    ) throws(NetlinkError) -> [Acknowledgement] {
        try state.withLock { (state) throws(NetlinkError) -> [Acknowledgement] in
            try send(messages, words())
            var result: [Acknowledgement] = []
            while let datagram = try receive(into: &state.buffer, words(), waiting: false) {
                for message in Messages(datagram) where message.sequence >= Self.firstOfMany {
                    if Int32(message.type) != NLMSG_ERROR {
                        answer(message)
                    } else if let acknowledgement = Acknowledgement(message) {
                        result.append(acknowledgement)
                    }
                }
            }
            return result
        }
    }

    private func send(
        _ writer: borrowing MessageWriter, _ words: @autoclosure () -> String
    ) throws(NetlinkError) {
        guard !writer.isOversized else { throw NetlinkError(.oversized, request: words()) }
        while true {
            let sent = writer.bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
            if sent == writer.bytes.count { return }
            if sent < 0, errno == EINTR { continue }
            throw NetlinkError(.socket(call: "send", errno: sent < 0 ? errno : EMSGSIZE), request: words())
        }
    }

    /// The next datagram; nil when there is none and `waiting` is false.
    private func receive(
        into buffer: inout [UInt8], _ words: @autoclosure () -> String, waiting: Bool = true
    ) throws(NetlinkError) -> ArraySlice<UInt8>? {
        while true {
            let flags = Int32(MSG_TRUNC) | (waiting ? 0 : Int32(MSG_DONTWAIT))
            let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, flags) }
            if count < 0 {
                if errno == EINTR { continue }
                if !waiting, errno == EAGAIN { return nil }
                throw NetlinkError(.socket(call: "recv", errno: errno), request: words())
            }
            // With MSG_TRUNC the kernel returns the datagram's real length.
            guard count <= buffer.count else { throw NetlinkError(.malformedAnswer, request: words()) }
            return buffer[..<count]
        }
    }
}

/// The kernel's answer to one message: done, or why not (`NLMSG_ERROR`, with the extended acknowledgement).
struct Acknowledgement: Sendable, Hashable {
    /// The sequence number of the message that this answers.
    let sequence: UInt32
    /// 0, or an errno value.
    let errorNumber: Int32
    /// The kernel's words.
    let kernelMessage: String?

    init?(_ message: Message) {
        guard let number: Int32 = message.payload.integer() else { return nil }
        sequence = message.sequence
        errorNumber = number == .min ? EIO : abs(number)
        var said: String?
        if message.flags & UInt16(NLM_F_ACK_TLVS) != 0,
            let length: UInt32 = message.payload.dropFirst(4).integer()
        {
            // The request's header follows the number; its body only when the answer is not capped.
            let isCapped = message.flags & UInt16(NLM_F_CAPPED) != 0
            let skipped = 4 + (isCapped ? 16 : Int(min(length, 1 << 30)))
            said = Attributes(message.payload.dropFirst((skipped + 3) & ~3))[NLMSGERR_ATTR_MSG]?.string
        }
        kernelMessage = said
    }

    /// The error that this answer is, or nil when all is well.
    func error(_ words: @autoclosure () -> String) -> NetlinkError? {
        errorNumber == 0
            ? nil : NetlinkError(.refused(errno: errorNumber), request: words(), kernelMessage: kernelMessage)
    }
}
