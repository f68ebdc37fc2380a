internal import NIOHTTP1
import NIOPosix

/// Speaks HTTP to one server, over as many connections as it takes: one for all requests with HTTP/2, which is
/// negotiated over TLS, a pool with HTTP/1.1. Connections are closed when the last copy of the client and the last
/// response's body are gone.
public struct HTTPClient: Sendable {
    private let pool: ConnectionPool
    private let configuration: ClientConfiguration

    /// A client for the server that `configuration` names. Connects when there is something to send.
    /// - Throws: `HTTPError` with `tls` when certificates or keys cannot be used.
    public init(_ configuration: ClientConfiguration) throws(HTTPError) {
        self.configuration = configuration
        let connector = try Connector(
            configuration, group: configuration.thread?.eventLoop ?? MultiThreadedEventLoopGroup.singleton)
        pool = ConnectionPool(connector)
    }

    /// Sends a request; returns when the head of the response is there. Cancelling the task ends the request.
    ///
    /// A request that changes nothing when it is repeated is sent again when a connection that was used before turns
    /// out to be closed.
    /// - Throws: `HTTPError`, `CancellationError`.
    public func send(_ request: HTTPRequest) async throws -> ClientResponse {
        var repetitions = 0
        while true {
            let exchange = exchange(for: request, allowsUpgrade: false)
            let (connection, wasUsed) = try await pool.take()
            do {
                switch try await run(exchange, on: connection) {
                case .response(var response):
                    response.body = response.body.keeping(pool)
                    return response
                case .switched(_, let tunnel):
                    tunnel.close()
                    throw HTTPError(.malformed, "the server switched protocols without having been asked to")
                }
            } catch let error as HTTPError
                where error.code == .connectionClosed && wasUsed && exchange.mayRepeat && repetitions < 3
            {
                repetitions += 1
            }
        }
    }

    /// Sends a request that asks to leave HTTP (it carries `connection: Upgrade` and `upgrade`), on a connection
    /// of its own.
    /// - Throws: `HTTPError`, `CancellationError`.
    public func upgrade(_ request: HTTPRequest) async throws -> UpgradeResult {
        let connection = try await pool.connectForUpgrade()
        switch try await run(exchange(for: request, allowsUpgrade: true), on: connection) {
        case .response(let response): return .refused(response)
        case .switched(let headers, let tunnel): return .switched(headers: headers, tunnel: tunnel)
        }
    }

    /// Closes all connections but tunnels. Requests in flight end with an error, later ones with `closed`.
    public func close() async {
        pool.close()
    }

    private func run(
        _ exchange: ClientExchange, on connection: ClientConnection
    ) async throws -> ClientExchange.Outcome {
        connection.start(exchange)
        do {
            return try await exchange.outcome.value()
        } catch {
            exchange.cancel()
            throw error
        }
    }

    private func exchange(for request: HTTPRequest, allowsUpgrade: Bool) -> ClientExchange {
        var headers = request.headers
        if !headers.contains(name: "host") { headers.add(name: "host", value: host) }
        if let token = configuration.bearerToken?(), !headers.contains(name: "authorization") {
            headers.add(name: "authorization", value: "Bearer \(token)")
        }
        if !headers.contains(name: "content-length") {
            switch request.body {
            case .bytes(let bytes):
                let expectsBody = [.POST, .PUT, .PATCH].contains(request.method)
                if !bytes.isEmpty || expectsBody {
                    headers.add(name: "content-length", value: String(bytes.count))
                }
            case .stream:
                headers.replaceOrAdd(name: "transfer-encoding", value: "chunked")
            }
        }
        let head = HTTPRequestHead(
            version: .http1_1, method: request.method, uri: request.target, headers: headers)
        return ClientExchange(
            head: head, body: request.body, responseTimeout: configuration.responseTimeout,
            allowsUpgrade: allowsUpgrade)
    }

    private var host: String {
        guard case .tcp = configuration.endpoint else { return "localhost" }
        return configuration.endpoint.description
    }
}
