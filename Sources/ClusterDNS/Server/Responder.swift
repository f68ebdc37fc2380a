/// Turns a message that came in into the one that goes out, or into the question that another server has to
/// answer first. Shared by all threads.
package struct Responder: Sendable {
    private let chain: ResolverChain

    package init(chain: ResolverChain) {
        self.chain = chain
    }

    package enum Transport: Sendable { case datagram, stream }

    package enum Outcome: Sendable {
        case reply([UInt8])
        case ignore
        case later(Pending)
    }

    /// A query that waits for another server.
    package struct Pending: Sendable {
        /// What to ask it.
        package var question: Question
        fileprivate var query: Query
        fileprivate var transport: Transport
        fileprivate var sofar: Answer?

        /// The message for the client.
        package func reply(_ answer: Answer) -> [UInt8] {
            var answer = answer
            if let sofar {
                // An alias is true even if what it stands for cannot be found out just now.
                if answer.code == .serverFailure { answer.code = .noError }
                answer = sofar.followed(by: answer)
            }
            return query.response(answer, limit: transport.limit(query))
        }
    }

    package func respond(
        to message: [UInt8], over transport: Transport, using generator: inout some RandomNumberGenerator
    ) -> Outcome {
        switch Query.read(message) {
        case .ignored: return .ignore
        case .rejected(let reply): return .reply(reply)
        case .query(let query):
            switch chain.resolve(query.question) {
            case .answer(let answer):
                return .reply(
                    query.response(answer.shuffled(using: &generator), limit: transport.limit(query)))
            case .forward(let question, let sofar):
                return .later(
                    Pending(question: question, query: query, transport: transport, sofar: sofar))
            }
        }
    }
}

extension Responder.Transport {
    fileprivate func limit(_ query: Query) -> Int {
        switch self {
        case .datagram: query.datagramLimit
        case .stream: Query.largestMessage
        }
    }
}

extension Answer {
    /// Clients take the first address: each gets another one. Aliases stay in front.
    package func shuffled(using generator: inout some RandomNumberGenerator) -> Answer {
        guard answers.count > 1 else { return self }
        let start = answers.firstIndex { $0.type != .cname } ?? answers.endIndex
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
