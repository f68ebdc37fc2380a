import Synchronization

// Queries come in, answers go out.
extension DNSServer {
    /// Queries that may wait for other servers at a time, several of which may ask the same. More are refused.
    static let mostWaiting = 8192

    /// A query that came by UDP and waits for another server.
    struct LateReply: Sendable {
        let pending: Responder.Pending
        let socket: DatagramSocket
        let peer: DatagramSocket.Peer
        let size: Int
        let start: ContinuousClock.Instant
    }

    /// Answers on the calling thread until the socket is stopped.
    func serve(_ socket: DatagramSocket, _ later: AsyncStream<LateReply>.Continuation) {
        var generator = SpreadGenerator()
        var recorder = QueryRecorder(metrics, logger: configuration.logsQueries ? logger : nil)
        socket.serve { message, peer in
            let start = ContinuousClock.now
            let client = peer.address
            switch responder.respond(
                to: message, over: .datagram, from: client?.address, using: &generator)
            {
            case .reply(let reply):
                recorder.record(
                    reply, to: client, requestSize: message.count, isStream: false,
                    took: ContinuousClock.now - start)
                return reply.bytes
            case .ignore: return nil
            case .later(let pending):
                let late = LateReply(
                    pending: pending, socket: socket, peer: peer, size: message.count, start: start)
                if case .enqueued = later.yield(late) { return nil }
                metrics.forward.rejected.increment()
                return pending.refusal.bytes
            }
        }
    }

    func answer(_ replies: AsyncStream<LateReply>) async {
        await withDiscardingTaskGroup { tasks in
            for await late in replies {
                guard waiting.load(ordering: .relaxed) < Self.mostWaiting else {
                    metrics.forward.rejected.increment()
                    late.socket.send(late.pending.refusal.bytes, to: late.peer)
                    continue
                }
                waiting.wrappingAdd(1, ordering: .relaxed)
                tasks.addTask { [self] in
                    let reply = await late.pending.reply { [forwarder] in await forwarder.answer($0) }
                    late.socket.send(reply.bytes, to: late.peer)
                    waiting.wrappingSubtract(1, ordering: .relaxed)
                    record(reply, late.peer.address, late.size, isStream: false, since: late.start)
                }
            }
        }
    }

    func respondToStream(_ message: [UInt8], from client: ListenAddress?) -> StreamReply {
        var generator = SpreadGenerator()
        let start = ContinuousClock.now
        switch responder.respond(to: message, over: .stream, from: client?.address, using: &generator) {
        case .reply(let reply):
            record(reply, client, message.count, isStream: true, since: start)
            return .now(reply.bytes)
        case .ignore: return .none
        case .later(let pending):
            return .later { [self] in
                let reply = await pending.reply { [forwarder] in await forwarder.answer($0) }
                record(reply, client, message.count, isStream: true, since: start)
                return reply.bytes
            }
        }
    }

    private func record(
        _ reply: Responder.Reply, _ client: ListenAddress?, _ size: Int, isStream: Bool,
        since start: ContinuousClock.Instant
    ) {
        let took = ContinuousClock.now - start
        recorder.withLock {
            $0.record(reply, to: client, requestSize: size, isStream: isStream, took: took)
        }
    }
}
