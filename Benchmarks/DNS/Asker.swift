import BenchmarkSupport
import ClusterDNS
import Dispatch
import Glibc

/// Asks one question at a time, over one UDP socket.
final class Asker: Sendable {
    private let descriptor: Int32
    private let queue = DispatchQueue(label: "asker")

    init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafePointer(to: &address) { [descriptor] in
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) }
        }
        guard descriptor >= 0, result == 0 else { throw Command.Failure(description: "no UDP socket") }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    struct Reply: Sendable {
        var addresses: [String]
        var milliseconds: Double
    }

    /// Asks for A records until there is an answer.
    func ask(_ text: String) async throws -> Reply {
        guard let name = DNSName(text) else { throw Command.Failure(description: "\(text) is no name") }
        return await withCheckedContinuation { continuation in
            // What blocks does so where no task waits for it.
            queue.async { [self] in continuation.resume(returning: exchange(name)) }
        }
    }

    private func exchange(_ name: DNSName) -> Reply {
        let question = Question(name: name, type: .a)
        var buffer = [UInt8](repeating: 0, count: 4096)
        let begin = ContinuousClock.now
        while true {
            let query = Query(id: .random(in: 0...UInt16.max), question: question)
            let message = query.message()
            _ = send(descriptor, message, message.count, Int32(MSG_NOSIGNAL))
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                guard let response = try? Response(reading: Array(buffer[..<count])), response.answers(query)
                else { continue }
                let addresses = response.answer.answers.compactMap { record -> String? in
                    if case .address(let address) = record.data { "\(address)" } else { nil }
                }
                let took = (ContinuousClock.now - begin) / .milliseconds(1)
                return Reply(addresses: addresses, milliseconds: took)
            }
        }
    }

    /// Asks until the answer holds an address, or any.
    func wait(for name: String, _ address: String?) async throws {
        while true {
            let reply = try await ask(name)
            if let address {
                if reply.addresses.contains(address) { return }
            } else if !reply.addresses.isEmpty {
                return
            }
        }
    }
}
