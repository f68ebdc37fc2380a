import HTTPService
import Logging

/// Joins a client's upgraded connection with the container runtime's streaming server, byte for byte: the
/// protocol inside (SPDY/3.1, WebSocket) is between those two.
package struct StreamSplice: Sendable {
    package var logger: Logger

    package init(logger: Logger) { self.logger = logger }

    /// Replays the upgrade at `url`, which the runtime gave for this one use, and answers as it answers.
    /// - Parameter join: joins the client's connection with the runtime's, given the runtime's headers; returns when
    ///   both are closed.
    package func respond(
        to request: HTTPRequest, url: String,
        join: @escaping @Sendable (HTTPHeaders, Tunnel, Tunnel) async -> Void = { _, client, runtime in
            await Tunnel.join(client, runtime)
        }
    ) async -> HTTPResponse {
        guard let target = Self.parse(url) else {
            return NodeAPI.status(
                .internalServerError, "InternalError", "the runtime gave no usable address: \(url)")
        }
        guard request.headers.contains(name: "upgrade") else {
            return NodeAPI.status(.badRequest, "BadRequest", "Upgrade request required")
        }
        var replay = HTTPRequest(
            method: request.method, target: target.path, headers: Self.headers(request.headers))
        replay.headers.replaceOrAdd(name: "host", value: "\(target.host):\(target.port)")
        do {
            let configuration = ClientConfiguration(endpoint: .tcp(host: target.host, port: target.port))
            let client = try HTTPClient(configuration)
            switch try await client.upgrade(replay) {
            case .switched(let headers, let runtime):
                return HTTPResponse(
                    status: .switchingProtocols, headers: Self.answer(headers),
                    body: .tunnel { tunnel in
                        await join(headers, tunnel, runtime)
                        await client.close()
                    })
            case .refused(let response):
                let body = (try? await response.body.collect(upTo: 1 << 20)) ?? []
                await client.close()
                let type = response.headers.first(name: "content-type") ?? "text/plain"
                return HTTPResponse(status: response.status, contentType: type, body)
            }
        } catch {
            logger.warning("The runtime's streaming server does not answer: \(error)")
            return NodeAPI.status(.internalServerError, "InternalError", "error dialing backend: \(error)")
        }
    }

    /// What the runtime must see of the request: the upgrade and the protocols that are offered inside.
    package static func headers(_ headers: HTTPHeaders) -> HTTPHeaders {
        var result = HTTPHeaders()
        for (name, value) in headers {
            let lowered = name.lowercased()
            if ["connection", "upgrade", "x-stream-protocol-version"].contains(lowered)
                || lowered.hasPrefix("sec-websocket-")
            {
                result.add(name: name, value: value)
            }
        }
        return result
    }

    /// What the client must see of the answer; the length of a body that is none stays out.
    private static func answer(_ headers: HTTPHeaders) -> HTTPHeaders {
        var result = headers
        result.remove(name: "content-length")
        result.remove(name: "transfer-encoding")
        return result
    }

    /// `http://127.0.0.1:40123/exec/token`.
    package static func parse(_ url: String) -> (host: String, port: Int, path: String)? {
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard let colon = authority.lastIndex(of: ":"),
            let port = Int(authority[authority.index(after: colon)...]),
            1...65535 ~= port
        else { return nil }
        var host = String(authority[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        let path = String(rest.dropFirst(authority.count))
        return host.isEmpty ? nil : (host, port, path.hasPrefix("/") ? path : "/\(path)")
    }
}
