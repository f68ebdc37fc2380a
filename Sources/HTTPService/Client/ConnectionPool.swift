import NIOCore
import Synchronization

/// The connections of one client: at most one of HTTP/2, shared; of HTTP/1.1 those that are free.
final class ConnectionPool: Sendable {
    private struct Shared {
        var http2: ClientConnection?
        var idle: [ClientConnection] = []
        var all: [ObjectIdentifier: any Channel] = [:]
        /// The connection being opened that may turn out to be one of HTTP/2, and those who would like to share it.
        var isOpening = false
        var waiting: [OneShot<Void>] = []
        /// Whether the server is known to speak HTTP/1.1 only, so that everybody opens connections of their own.
        var isHTTP1 = false
        var isClosed = false
    }

    private let connector: Connector
    private let shared = Mutex(Shared())

    init(_ connector: Connector) {
        self.connector = connector
        if connector.tls == nil || !connector.configuration.offersHTTP2 {
            shared.withLock { $0.isHTTP1 = true }
        }
    }

    deinit {
        close()
    }

    private enum Choice {
        case use(ClientConnection)
        case open
        case wait(OneShot<Void>)
        case closed
    }

    /// A connection for one exchange, and whether it was used before.
    func take() async throws -> (ClientConnection, wasUsed: Bool) {
        while true {
            switch choose() {
            case .use(let connection):
                return (connection, true)
            case .closed:
                throw HTTPError(.closed, "the client was closed")
            case .wait(let turn):
                try await turn.value()
            case .open:
                do {
                    let connection = try await open()
                    opened(connection)
                    return (connection, false)
                } catch {
                    opened(nil)
                    throw error
                }
            }
        }
    }

    /// A connection of HTTP/1.1 that is used for nothing else.
    func connectForUpgrade() async throws -> ClientConnection {
        if shared.withLock({ $0.isClosed }) { throw HTTPError(.closed, "the client was closed") }
        // Not entered anywhere: a tunnel belongs to whoever asked for it.
        return try await connector.connect(forUpgrade: true)
    }

    /// Closes all connections.
    func close() {
        let channels = shared.withLock { shared in
            shared.isClosed = true
            shared.http2 = nil
            shared.idle = []
            defer { shared.all = [:] }
            return shared.all.values
        }
        for channel in channels { channel.close(promise: nil) }
    }

    private func choose() -> Choice {
        shared.withLock { shared in
            if shared.isClosed { return .closed }
            if let connection = shared.http2 { return .use(connection) }
            // The one used last is the least likely to have been closed by the server.
            if let connection = shared.idle.popLast() { return .use(connection) }
            if shared.isHTTP1 { return .open }
            if shared.isOpening {
                let turn = OneShot<Void>()
                shared.waiting.append(turn)
                return .wait(turn)
            }
            shared.isOpening = true
            return .open
        }
    }

    private func opened(_ connection: ClientConnection?) {
        let waiting = shared.withLock { shared in
            shared.isOpening = false
            if let connection {
                if connection.isHTTP2 {
                    if shared.all[ObjectIdentifier(connection.channel)] != nil { shared.http2 = connection }
                } else {
                    shared.isHTTP1 = true
                }
            }
            defer { shared.waiting = [] }
            return shared.waiting
        }
        for turn in waiting { turn.resolve(.success(())) }
    }

    private func open() async throws -> ClientConnection {
        let connection = try await connector.connect(forUpgrade: false) { [weak self] connection in
            guard let self else { return connection.channel.close(promise: nil) }
            idle(connection)
        } onClose: { [weak self] channel in
            self?.closed(channel)
        }
        let channel = connection.channel
        let isClosed = shared.withLock { shared in
            // It may have been closed again before it got here; then `closed` has nothing to strike out later.
            if !shared.isClosed && channel.isActive { shared.all[ObjectIdentifier(channel)] = channel }
            return shared.isClosed
        }
        if isClosed {
            channel.close(promise: nil)
            throw HTTPError(.closed, "the client was closed")
        }
        return connection
    }

    private func idle(_ connection: ClientConnection) {
        let isKept = shared.withLock { shared in
            guard !shared.isClosed, shared.idle.count < connector.configuration.maximumIdleConnections
            else { return false }
            shared.idle.append(connection)
            return true
        }
        if !isKept { connection.channel.close(promise: nil) }
    }

    private func closed(_ channel: any Channel) {
        shared.withLock { shared in
            shared.all[ObjectIdentifier(channel)] = nil
            if shared.http2?.channel === channel { shared.http2 = nil }
            shared.idle.removeAll { $0.channel === channel }
        }
    }
}
