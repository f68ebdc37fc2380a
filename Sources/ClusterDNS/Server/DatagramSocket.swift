import CLinux
import Glibc

/// A UDP socket with a thread of its own, closed with its last user.
final class DatagramSocket: Sendable {
    private let descriptor: Int32
    let address: ListenAddress

    /// Linux: one of several sockets on the same address and port.
    init(_ address: ListenAddress) throws(DNSError) {
        descriptor = address.withSocketAddress { swiftlet_datagram_socket($0, $1) }
        guard descriptor >= 0 else {
            throw DNSError(
                .cannotListen,
                "cannot listen for DNS queries on \(address) (UDP): \(errorText(-descriptor))"
                    + (-descriptor == EADDRINUSE ? "; see what does with: ss -lunp" : ""))
        }
        self.address = ListenAddress(
            address: address.address, port: address.port == 0 ? Self.port(of: descriptor) : address.port)
    }

    deinit {
        close(descriptor)
    }

    private static func port(of descriptor: Int32) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard result == 0 else { return 0 }
        // The port has the same place in IPv4's and IPv6's socket addresses.
        return withUnsafeBytes(of: &storage) { UInt16($0[2]) << 8 | UInt16($0[3]) }
    }

    /// Who sent a datagram.
    struct Peer: Sendable {
        fileprivate var storage: sockaddr_storage
        fileprivate var length: socklen_t

        /// Its address and port; nil for other families than IP's.
        var address: ListenAddress? {
            withUnsafeBytes(of: storage) { bytes in
                let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
                switch Int32(storage.ss_family) {
                case AF_INET:
                    let number = bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
                    return ListenAddress(address: .v4(UInt32(bigEndian: number)), port: port)
                case AF_INET6:
                    let high = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
                    let low = bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
                    return ListenAddress(
                        address: .v6(UInt64(bigEndian: high), UInt64(bigEndian: low)), port: port)
                default: return nil
                }
            }
        }
    }

    /// Makes `serve` return. The kernel calls it an error for a socket that is not connected, and wakes the
    /// receivers all the same.
    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Sends one datagram; if that fails the client asks again.
    func send(_ bytes: [UInt8], to peer: Peer) {
        var peer = peer
        _ = bytes.withUnsafeBytes { bytes in
            withUnsafeMutablePointer(to: &peer.storage) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    sendto(
                        descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), $0,
                        peer.length)
                }
            }
        }
    }

    private static let batch = Int(SWIFTLET_DATAGRAMS)
    /// No query is longer than that; what is cut off makes it malformed.
    private static let queryCapacity = 2048

    /// Answers datagrams until `stop`, on the calling thread. `respond` gives the answer, if it is to be sent
    /// at once.
    func serve(_ respond: ([UInt8], Peer) -> [UInt8]?) {
        let queries = Batch(capacity: Self.queryCapacity)
        let replies = Batch(capacity: Query.largestDatagram)
        while true {
            let count = Int(swiftlet_receive_datagrams(descriptor, queries.slots, Int32(Self.batch)))
            if count == -Int(EINTR) { continue }
            // Zero, or datagrams from nobody: the socket was shut down.
            guard count > 0, queries.slots[0].peer_length > 0 else { return }
            var pending = 0
            for index in 0..<count {
                let query = queries.slots[index]
                let peer = Peer(storage: query.peer, length: query.peer_length)
                let bytes = Array(UnsafeRawBufferPointer(start: query.bytes, count: query.length))
                guard let reply = respond(bytes, peer), reply.count <= Query.largestDatagram else { continue }
                reply.withUnsafeBytes {
                    if let start = $0.baseAddress {
                        replies.slots[pending].bytes.copyMemory(from: start, byteCount: $0.count)
                    }
                }
                replies.slots[pending].length = reply.count
                replies.slots[pending].peer = query.peer
                replies.slots[pending].peer_length = query.peer_length
                pending += 1
            }
            var sent = 0
            while sent < pending {
                let result = Int(
                    swiftlet_send_datagrams(descriptor, replies.slots + sent, Int32(pending - sent)))
                if result == -Int(EINTR) { continue }
                // One that cannot be sent (its peer may be unreachable) must not hold the others up.
                sent += max(1, result)
            }
        }
    }

    /// Room for as many datagrams as one call moves.
    private final class Batch {
        let slots: UnsafeMutablePointer<swiftlet_datagram>
        private let storage: UnsafeMutableRawPointer

        init(capacity: Int) {
            storage = .allocate(byteCount: DatagramSocket.batch * capacity, alignment: 64)
            slots = .allocate(capacity: DatagramSocket.batch)
            for index in 0..<DatagramSocket.batch {
                var slot = swiftlet_datagram()
                slot.bytes = storage + index * capacity
                slot.capacity = capacity
                (slots + index).initialize(to: slot)
            }
        }

        deinit {
            slots.deallocate()
            storage.deallocate()
        }
    }
}

func errorText(_ number: Int32) -> String {
    String(cString: strerror(number))
}

/// Runs a body that blocks on a thread of its own, and waits for it without blocking.
func onThread(named name: String, _ body: @escaping @Sendable () -> Void) async {
    final class Work {
        let name: String
        let body: @Sendable () -> Void
        let done: CheckedContinuation<Void, Never>

        init(name: String, body: @escaping @Sendable () -> Void, done: CheckedContinuation<Void, Never>) {
            self.name = name
            self.body = body
            self.done = done
        }
    }
    await withCheckedContinuation { done in
        let work = Unmanaged.passRetained(Work(name: name, body: body, done: done))
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        let result = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let work = Unmanaged<Work>.fromOpaque(argument).takeRetainedValue()
                swiftlet_name_thread(work.name)
                work.body()
                work.done.resume()
                return nil
            }, work.toOpaque())
        if result != 0 {
            work.release()
            done.resume()
        }
    }
}
