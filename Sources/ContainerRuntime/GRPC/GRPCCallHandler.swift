import NIOCore
import NIOHPACK
import NIOHTTP2

/// One call on one HTTP/2 stream: sends the request when the stream opens, hands on what comes back.
final class GRPCCallHandler: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    /// What a call yields: messages, then exactly one end (nil for success).
    enum Event {
        case message([UInt8])
        case end(GRPCError?)
    }

    private let method: String
    private let headers: HPACKHeaders
    private let request: [UInt8]
    private let yield: (Event) -> Void

    private var deframer = GRPCDeframer()
    private var httpStatus: Int?
    private var ended = false

    init(
        method: String, headers: HPACKHeaders, request: [UInt8], yield: @escaping (Event) -> Void
    ) {
        self.method = method
        self.headers = headers
        self.request = request
        self.yield = yield
    }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.headers(.init(headers: headers))), promise: nil)
        let buffer = context.channel.allocator.buffer(bytes: GRPCDeframer.frame(request))
        context.writeAndFlush(
            wrapOutboundOut(.data(.init(data: .byteBuffer(buffer), endStream: true))), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let frame): receive(frame.headers, isLast: frame.endStream)
        case .data(let frame): receive(frame, context: context)
        default: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(GRPCError(.unavailable, "The connection closed before the call ended.", method: method))
        context.fireChannelInactive()
    }

    /// A stream may also go without ever having been active.
    func handlerRemoved(context: ChannelHandlerContext) {
        end(GRPCError(.unavailable, "The connection closed before the call was sent.", method: method))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(GRPCError(.unavailable, "\(error)", method: method))
        context.close(promise: nil)
    }

    private func receive(_ headers: HPACKHeaders, isLast: Bool) {
        if httpStatus == nil { httpStatus = headers.first(name: ":status").flatMap(Int.init) ?? 0 }
        guard isLast else { return }
        guard let text = headers.first(name: "grpc-status"), let number = Int(text) else {
            let status = httpStatus ?? 0
            return end(
                GRPCError(
                    GRPCError.code(httpStatus: status), "HTTP status \(status) without a gRPC status.",
                    method: method))
        }
        let code = GRPCError.Code(rawValue: number) ?? .unknown
        guard code != .ok else { return end(nil) }
        let message = GRPCError.decodeMessage(headers.first(name: "grpc-message") ?? "")
        end(GRPCError(code, message, method: method))
    }

    private func receive(_ frame: HTTP2Frame.FramePayload.Data, context: ChannelHandlerContext) {
        guard case .byteBuffer(let buffer) = frame.data, !ended else { return }
        deframer.append(buffer.readableBytesView)
        do {
            while let message = try deframer.next() { yield(.message(message)) }
        } catch {
            end(GRPCError(error.code, error.message, method: method))
            context.close(promise: nil)
            return
        }
        if frame.endStream {
            end(GRPCError(.unknown, "The stream ended without trailers.", method: method))
        }
    }

    private func end(_ error: GRPCError?) {
        guard !ended else { return }
        ended = true
        if error == nil, deframer.isInsideMessage {
            yield(.end(GRPCError(.internal, "The last message was cut short.", method: method)))
        } else {
            yield(.end(error))
        }
    }
}

extension HPACKHeaders {
    fileprivate func first(name: String) -> String? { self[name].first }
}
