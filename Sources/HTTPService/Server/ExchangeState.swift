import NIOCore
package import NIOHTTP1

/// Where one connection of HTTP/1.1, or one stream of HTTP/2, stands: one request at a time is being answered, the
/// ones sent behind it wait. Decides only; `ExchangeHandler` acts.
package struct ExchangeState {
    /// What to do next.
    package enum Action {
        case nothing
        /// Answer a request whose body is complete.
        case begin(HTTPRequestHead, body: [UInt8])
        /// Answer a request whose body is still arriving; these bytes of it are there.
        case beginStreaming(HTTPRequestHead, first: [UInt8], awaitsContinue: Bool)
        /// Hand on a part of the running request's body.
        case chunk([UInt8])
        /// The running request's body is complete.
        case bodyEnd
        /// Close the connection (the stream).
        case close
    }

    private enum Request {
        /// Between two requests.
        case none
        /// A head arrived, and perhaps parts of the body, in the present burst of reads.
        case opening(HTTPRequestHead, body: [UInt8])
        /// Being answered; `awaitsContinue` while the client waits for 100 (Continue) to send its body.
        case running(bodyIsOpen: Bool, awaitsContinue: Bool, isUpgrade: Bool)
    }

    private var request = Request.none
    private var responseHasStarted = false
    private var responseHasEnded = false
    private var waiting = CircularBuffer<HTTPServerRequestPart>()
    private var discarded = 0
    private var inputHasEnded = false
    /// Whether the connection can take another request after the running one.
    package private(set) var keepsAlive = true
    /// Whether the server is shutting down.
    package private(set) var isDraining = false

    /// How much of a body that nobody reads is skipped so that the connection can be used again.
    package static let discardLimit = 256 * 1024

    private let isStream: Bool

    /// The state of a connection, or of a stream of HTTP/2, which carries one request and ends by itself.
    package init(isStream: Bool = false) {
        self.isStream = isStream
    }

    /// Whether no request is there.
    package var isIdle: Bool {
        if case .none = request { return waiting.isEmpty }
        return false
    }

    /// Whether a request is there whose body is not complete.
    package var bodyIsOpen: Bool {
        if case .running(bodyIsOpen: true, _, _) = request { return true }
        return false
    }

    /// Whether the client waits for 100 (Continue).
    package var awaitsContinue: Bool {
        if case .running(_, awaitsContinue: true, _) = request { return !responseHasStarted }
        return false
    }

    /// Whether a request is being answered and its response has not begun.
    package var awaitsResponse: Bool {
        if case .running = request { return !responseHasStarted }
        return false
    }

    /// Whether the head of the response may be 101.
    package var mayUpgrade: Bool {
        if case .running(_, _, isUpgrade: true) = request { return !responseHasStarted }
        return false
    }

    /// Whether more should be read, as far as this state is concerned. While a request is answered, reading goes on
    /// until something arrives behind it, in order to see the client leave.
    package var wantsToRead: Bool {
        if case .running(_, _, isUpgrade: true) = request { return false }
        return waiting.isEmpty
    }

    /// A part of a request arrived.
    package mutating func received(_ part: HTTPServerRequestPart) -> Action {
        switch (part, request) {
        case (.head, .opening), (.head, .running):
            waiting.append(part)
            return .nothing
        case (_, .running(bodyIsOpen: false, _, _)):
            // Belongs to a request that waits.
            waiting.append(part)
            return .nothing
        case (.head(let head), .none):
            return opened(head)
        case (_, .none):
            return .nothing
        case (.body(let buffer), .opening(let head, var body)):
            body.append(contentsOf: buffer.readableBytesView)
            request = .opening(head, body: body)
            return .nothing
        case (.end, .opening(let head, let body)):
            let isUpgrade = Self.isUpgrade(head)
            request = .running(bodyIsOpen: false, awaitsContinue: false, isUpgrade: isUpgrade)
            // The parser stops behind a request that asks to leave HTTP, whatever becomes of it.
            if isUpgrade { keepsAlive = false }
            return .begin(head, body: body)
        case (.body(let buffer), .running):
            guard responseHasEnded else { return .chunk(Array(buffer.readableBytesView)) }
            discarded += buffer.readableBytes
            return discarded > Self.discardLimit ? .close : .nothing
        case (.end, .running(_, let awaitsContinue, let isUpgrade)):
            request = .running(bodyIsOpen: false, awaitsContinue: awaitsContinue, isUpgrade: isUpgrade)
            return responseHasEnded ? (isStream ? .nothing : next()) : .bodyEnd
        }
    }

    /// The present burst of reads is over: what is there of a request has to be dealt with.
    package mutating func readCompleted() -> Action {
        guard case .opening(let head, let body) = request else { return .nothing }
        request = .running(bodyIsOpen: true, awaitsContinue: false, isUpgrade: false)
        return .beginStreaming(head, first: body, awaitsContinue: false)
    }

    /// The client was told to go on with its body.
    package mutating func continued() {
        guard case .running(let isOpen, _, let isUpgrade) = request else { return }
        request = .running(bodyIsOpen: isOpen, awaitsContinue: false, isUpgrade: isUpgrade)
    }

    /// The head of the response is about to be sent.
    package mutating func responseStarted() {
        responseHasStarted = true
        if isDraining || inputHasEnded { keepsAlive = false }
        // A client that waits for 100 and gets a response may or may not send the body now: the connection cannot
        // be used any further.
        if case .running(bodyIsOpen: true, awaitsContinue: true, _) = request { keepsAlive = false }
    }

    /// The end of the response can only be told by closing the connection.
    package mutating func mustClose() {
        keepsAlive = false
    }

    /// The response is complete.
    package mutating func responseEnded() -> Action {
        responseHasEnded = true
        if isStream { return .nothing }
        guard keepsAlive else { return .close }
        return bodyIsOpen ? .nothing : next()
    }

    /// The client sends nothing more.
    package mutating func inputEnded() -> Action {
        inputHasEnded = true
        guard case .running = request, !responseHasEnded else { return .close }
        return .nothing
    }

    /// The server shuts down.
    package mutating func drain() -> Action {
        isDraining = true
        return isIdle ? .close : .nothing
    }

    private mutating func opened(_ head: HTTPRequestHead) -> Action {
        keepsAlive = head.isKeepAlive
        responseHasStarted = false
        responseHasEnded = false
        discarded = 0
        if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            request = .running(bodyIsOpen: true, awaitsContinue: true, isUpgrade: false)
            return .beginStreaming(head, first: [], awaitsContinue: true)
        }
        request = .opening(head, body: [])
        return .nothing
    }

    private mutating func next() -> Action {
        guard !isDraining, !inputHasEnded else { return .close }
        request = .none
        while let part = waiting.popFirst() {
            let action = received(part)
            if case .nothing = action { continue }
            return action
        }
        return readCompleted()
    }

    private static func isUpgrade(_ head: HTTPRequestHead) -> Bool {
        head.method == .CONNECT
            || (head.headers.contains(name: "upgrade")
                && head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "upgrade" })
    }
}
