import NIOCore
internal import NIOHTTP1

/// The way from the task that answers a request back to the handler that sends the answer.
struct ExchangeLink: Sendable {
    let handler: NIOLoopBound<ExchangeHandler>
    let eventLoop: any EventLoop
    let number: UInt64

    /// Asks the responder, and sees its answer through.
    func answer(_ request: HTTPRequest, responder: any HTTPResponder) async {
        let response = await responder.respond(to: request)
        switch response.body {
        case .empty, .bytes:
            send(response)
        case .stream where request.method == .HEAD || !response.status.mayHaveResponseBody:
            send(response)
        case .stream(let write):
            let pipe = BytePipe()
            eventLoop.execute { handler.value.respond(number, response, pipe: pipe) }
            do {
                try await write(PipeWriter(pipe: pipe))
                pipe.finish()
            } catch {
                pipe.finish(throwing: error)
                eventLoop.execute { handler.value.cutOff(number) }
            }
        case .tunnel(let use):
            let tunnel = try? await eventLoop.submit { handler.value.switchProtocols(number, response) }.get()
            guard let tunnel = tunnel ?? nil else {
                let text = "the connection cannot be upgraded: the request does not ask for it\n"
                return send(HTTPResponse(status: .internalServerError, text: text))
            }
            do {
                try await use(tunnel)
                await tunnel.finish()
            } catch {
                // The tunnel's user has told its peer what there was to tell.
            }
            tunnel.close()
        }
    }

    private func send(_ response: HTTPResponse) {
        eventLoop.execute { handler.value.respond(number, response) }
    }
}

/// Writes a streamed body into the pipe that its connection empties.
private struct PipeWriter: ResponseWriter {
    let pipe: BytePipe

    func write(_ bytes: [UInt8]) async throws {
        try await pipe.write(bytes)
    }
}

extension HTTPResponse {
    /// Whether the length of the body is not known beforehand.
    var isStream: Bool {
        if case .stream = body { return true }
        return false
    }
}
