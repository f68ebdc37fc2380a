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

/// The resolvers in the order in which they are asked: loop check, cluster zone, reverse zones, cache. What
/// none of them answers goes to other servers.
package struct ResolverChain: Sendable {
    package let resolvers: [any Resolver]

    package init(_ resolvers: [any Resolver]) {
        self.resolvers = resolvers
    }

    /// What the first resolver that does not pass makes of a question, and its name.
    package func ask(_ question: Question) -> (resolver: String, resolution: Resolution) {
        for resolver in resolvers {
            let resolution = resolver.resolve(question)
            if resolution != .pass { return (resolver.name, resolution) }
        }
        return ("forward", .pass)
    }
}
