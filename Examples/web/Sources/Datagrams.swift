import NIOCore

/// Answers every datagram with what `/api` answers.
final class Datagrams: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let site: Site

    init(site: Site) {
        self.site = site
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let question = unwrapInboundIn(data)
        let answer = context.channel.allocator.buffer(string: site.page(.GET, "/api").text)
        context.writeAndFlush(
            wrapOutboundOut(AddressedEnvelope(remoteAddress: question.remoteAddress, data: answer)),
            promise: nil)
    }
}
