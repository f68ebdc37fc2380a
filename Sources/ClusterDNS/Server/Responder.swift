/// Turns a message that came in into the one that goes out, or into the question that another server has to
/// answer first. Shared by all threads.
package struct Responder: Sendable {
    private let chain: ResolverChain
    private let completion: SearchPathCompletion?

    package init(chain: ResolverChain, completion: SearchPathCompletion? = nil) {
        self.chain = chain
        self.completion = completion
    }

    package enum Transport: Sendable { case datagram, stream }

    /// A message for the client.
    package struct Reply: Sendable, Hashable {
        package var bytes: [UInt8]
        /// What it answers; nil if that was no query.
        package var query: Query?
        package var code: ResponseCode
        /// Who found the answer, for metrics.
        package var resolver: String
        /// Whether a name later on the client's search path was found.
        package var isCompleted: Bool
    }

    package enum Outcome: Sendable {
        case reply(Reply)
        case ignore
        case later(Pending)
    }

    /// A query that waits for another server.
    package struct Pending: Sendable {
        fileprivate var inquiry: Inquiry
        fileprivate var query: Query
        fileprivate var transport: Transport
        /// What to ask it.
        package fileprivate(set) var question: Question

        /// The reply when too many wait already.
        package var refusal: Reply {
            query.reply(Answer(code: .refused), over: transport, inquiry, "forward")
        }

        /// Asks other servers until there is an answer.
        package func reply(asking: (Question) async -> Answer) async -> Reply {
            var inquiry = inquiry
            var question = question
            while true {
                switch inquiry.received(await asking(question)) {
                case .forward(let next): question = next
                case .answer(let answer):
                    var generator = SystemRandomNumberGenerator()
                    return query.reply(
                        answer.shuffled(using: &generator), over: transport, inquiry, "forward")
                }
            }
        }
    }

    /// - Parameter client: who asks, if that is known.
    package func respond(
        to message: [UInt8], over transport: Transport, from client: HostAddress? = nil,
        using generator: inout some RandomNumberGenerator
    ) -> Outcome {
        switch Query.read(message) {
        case .ignored: return .ignore
        case .rejected(let bytes, let code):
            return .reply(Reply(bytes: bytes, query: nil, code: code, resolver: "", isCompleted: false))
        case .query(let query):
            var inquiry = inquiry(query.forwardedQuestion, from: client)
            switch inquiry.next() {
            case .answer(let answer):
                return .reply(
                    query.reply(
                        answer.shuffled(using: &generator), over: transport, inquiry, inquiry.resolver)
                )
            case .forward(let question):
                return .later(
                    Pending(inquiry: inquiry, query: query, transport: transport, question: question))
            }
        }
    }

    /// A question on its way.
    package func inquiry(_ question: Question, from client: HostAddress?, isTraced: Bool = false) -> Inquiry {
        Inquiry(question, chain: chain, completion: completion, client: client, isTraced: isTraced)
    }
}

extension Query {
    fileprivate func reply(
        _ answer: Answer, over transport: Responder.Transport, _ inquiry: Inquiry, _ resolver: String
    ) -> Responder.Reply {
        let limit =
            switch transport {
            case .datagram: datagramLimit
            case .stream: Self.largestMessage
            }
        return Responder.Reply(
            bytes: response(answer, limit: limit), query: self, code: answer.code, resolver: resolver,
            isCompleted: inquiry.isCompleted && answer.code == .noError)
    }
}

extension Answer {
    /// Clients take the first address: each gets another one. Aliases, and what comes with them, stay in front.
    package func shuffled(using generator: inout some RandomNumberGenerator) -> Answer {
        guard answers.count > 1 else { return self }
        let start = answers.lastIndex { $0.type == .cname }.map { $0 + 1 } ?? answers.startIndex
        var shuffled = self
        shuffled.answers[start...].shuffle(using: &generator)
        return shuffled
    }
}

/// A fast source of numbers that are good enough to spread clients (xorshift64*); the system's own costs a
/// call into the kernel for each.
package struct SpreadGenerator: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64 = .random(in: 1...UInt64.max)) {
        state = max(1, seed)
    }

    package mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }
}
