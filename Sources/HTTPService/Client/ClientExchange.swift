import NIOCore
internal import NIOHTTP1
import Synchronization

/// One request on its way, and whoever waits for what comes of it.
final class ClientExchange: Sendable {
    /// What comes of a request.
    enum Outcome: Sendable {
        case response(ClientResponse)
        case switched(HTTPHeaders, Tunnel)
    }

    let head: HTTPRequestHead
    let body: RequestBody
    let responseTimeout: Duration?
    let allowsUpgrade: Bool
    let outcome = OneShot<Outcome>()

    private struct Shared {
        var close: (@Sendable () -> Void)?
        var isCancelled = false
        var hasResponse = false
    }

    private let shared = Mutex(Shared())

    init(head: HTTPRequestHead, body: RequestBody, responseTimeout: Duration?, allowsUpgrade: Bool) {
        self.head = head
        self.body = body
        self.responseTimeout = responseTimeout
        self.allowsUpgrade = allowsUpgrade
    }

    /// The exchange is now on a connection, where `close` ends it.
    /// - Returns: false if nobody waits for it any more.
    func attach(close: @escaping @Sendable () -> Void) -> Bool {
        shared.withLock { shared in
            shared.close = close
            return !shared.isCancelled
        }
    }

    /// The exchange is over, and its connection no longer its own.
    func detach() {
        shared.withLock { $0.close = nil }
    }

    /// Nobody waits any more: ends the exchange wherever it is.
    func cancel() {
        let close = shared.withLock { shared in
            shared.isCancelled = true
            defer { shared.close = nil }
            return shared.close
        }
        close?()
    }

    /// Whether the request may be sent again over another connection after this one was lost: when its effect is the
    /// same if it happens twice (RFC 9110 section 9.2.2), the body is at hand, and no part of a response came.
    var mayRepeat: Bool {
        guard case .bytes = body, !shared.withLock({ $0.hasResponse }) else { return false }
        switch head.method {
        case .GET, .HEAD, .OPTIONS, .PUT, .DELETE: return true
        default: return false
        }
    }

    /// A part of the response came.
    func responded() {
        shared.withLock { $0.hasResponse = true }
    }
}
