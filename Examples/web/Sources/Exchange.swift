import NIOCore
import NIOHTTP1

/// Answers the requests of one connection, one after the other.
final class Exchange: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let site: Site
    private var head: HTTPRequestHead?

    init(site: Site) {
        self.site = site
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): self.head = head
        case .body: break
        case .end:
            if let head { answer(head, context) }
            head = nil
        }
    }

    /// `/api?delay=MILLISECONDS` is answered that much later, ten seconds at most.
    private func answer(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard let delay = site.delay(request.uri) else {
            respond(request, context)
            return
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(delay)) {
            let (exchange, context) = bound.value
            exchange.respond(request, context)
        }
    }

    private func respond(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let page = site.page(request.method, request.uri)
        var head = HTTPResponseHead(version: request.version, status: page.status)
        head.headers.add(name: "content-type", value: page.type)
        head.headers.add(name: "content-length", value: String(page.text.utf8.count))
        if !request.isKeepAlive {
            head.headers.add(name: "connection", value: "close")
        } else if request.version == .http1_0 {
            head.headers.add(name: "connection", value: "keep-alive")
        }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(string: page.text)))),
                promise: nil)
        }
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !request.isKeepAlive {
            let channel = context.channel
            written.whenComplete { _ in channel.close(promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
