/// One way to answer. It answers, or passes the question on to the next in the chain; it does no IO.
package protocol Resolver: Sendable {
    /// For explanations and logs.
    var name: String { get }
    func resolve(_ question: Question) -> Resolution
}

/// What a resolver makes of a question.
package enum Resolution: Sendable, Hashable {
    case answer(Answer)
    /// The name is an alias: the answer so far ends in a CNAME to the name of the next question, which any
    /// resolver may answer.
    case alias(Answer, next: Question)
    /// Not mine.
    case pass
}

/// The resolvers in the order in which they are asked. What none of them answers goes to other servers.
///
/// The order is: cluster zone, reverse zones, cache. A resolver that completes search paths belongs before
/// the cluster zone, since it answers for names that the client is still going to try.
package struct ResolverChain: Sendable {
    package let resolvers: [any Resolver]

    package init(_ resolvers: [any Resolver]) {
        self.resolvers = resolvers
    }

    package enum Outcome: Sendable, Hashable {
        case answer(Answer)
        /// To be asked of other servers; `sofar` is what goes in front of their answer.
        case forward(Question, sofar: Answer?)
    }

    /// Enough for every alias that means well; stops those that name each other.
    private static let mostAliases = 8

    package func resolve(_ question: Question) -> Outcome {
        var sofar: Answer?
        var question = question
        for _ in 0...Self.mostAliases {
            switch ask(question) {
            case .answer(let answer):
                return .answer(sofar.map { $0.followed(by: answer) } ?? answer)
            case .alias(let answer, let next):
                sofar = sofar.map { $0.followed(by: answer) } ?? answer
                question = next
            case .pass:
                return .forward(question, sofar: sofar)
            }
        }
        return .answer(Answer(code: .serverFailure))
    }

    private func ask(_ question: Question) -> Resolution {
        for resolver in resolvers {
            let resolution = resolver.resolve(question)
            if resolution != .pass { return resolution }
        }
        return .pass
    }
}

extension Answer {
    /// An alias's records, and then those of what it stands for.
    package func followed(by other: Answer) -> Answer {
        var joined = other
        joined.answers = answers + other.answers
        // RFC 1034, 4.3.1: the authority is that for the first name.
        joined.isAuthoritative = isAuthoritative
        return joined
    }
}
