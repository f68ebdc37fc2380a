/// A question on its way through the chain: which names are still to be tried, which aliases were followed,
/// what was found so far.
///
/// A value that never waits. Where another server has to be asked it says so, and goes on with that server's
/// answer.
package struct Inquiry: Sendable {
    package enum Step: Sendable, Hashable {
        case answer(Answer)
        /// To be asked of other servers; their answer is to be given to `received`.
        case forward(Question)
    }

    /// What one resolver found, for explanations.
    package struct Finding: Sendable, Hashable {
        package var question: Question
        package var resolver: String
        package var resolution: Resolution
    }

    package let question: Question
    /// What the resolvers found, in order; nil unless it was asked for.
    package private(set) var findings: [Finding]?

    private let chain: ResolverChain
    private let completion: SearchPathCompletion?
    private let client: HostAddress?
    /// What is asked at present: the question itself, what an alias stands for, or another name of the client's
    /// search path.
    private var current: Question
    /// The name that the search path is at.
    private var candidate: DNSName
    /// Names of the search path that come after it; nil as long as nobody needed them.
    private var alternatives: ArraySlice<DNSName>?
    /// The aliases that lead from the candidate to what is asked at present.
    private var sofar: Answer?
    private var aliases = 0
    /// Who answered last, for metrics: `cluster`, `reverse`, `cache`.
    package private(set) var resolver = ""
    /// That the question's own name does not exist, if a name later on the search path was tried.
    private var denial: Answer?

    /// Enough for every alias that means well; stops those that name each other.
    package static let mostAliases = 8

    /// - Parameters:
    ///   - completion: tries the rest of the client's search path where the name does not exist.
    ///   - client: who asks, if that is known.
    ///   - isTraced: whether `findings` are kept.
    package init(
        _ question: Question, chain: ResolverChain, completion: SearchPathCompletion? = nil,
        client: HostAddress? = nil, isTraced: Bool = false
    ) {
        self.question = question
        self.chain = chain
        self.completion = completion
        self.client = client
        current = question
        candidate = question.name
        if isTraced { findings = [] }
    }

    /// Whether other names of the client's search path were tried.
    package var isCompleted: Bool { denial != nil }

    /// Goes on until there is an answer, or another server has to be asked.
    package mutating func next() -> Step {
        while true {
            let (resolver, resolution) = chain.ask(current)
            self.resolver = resolver
            findings?.append(Finding(question: current, resolver: resolver, resolution: resolution))
            switch resolution {
            case .answer(let answer):
                if let final = settle(answer) { return .answer(final) }
            case .alias(let answer, let next):
                aliases += 1
                guard aliases <= Self.mostAliases else { return .answer(Answer(code: .serverFailure)) }
                sofar = sofar.map { $0.followed(by: answer) } ?? answer
                current = next
            case .pass:
                return .forward(current)
            }
        }
    }

    /// Takes in what other servers answered to the question of the last step.
    package mutating func received(_ answer: Answer) -> Step {
        findings?.append(
            Finding(question: current, resolver: "other servers", resolution: .answer(answer)))
        if let final = settle(answer) { return .answer(final) }
        return next()
    }

    /// What the client is told, or nil if another name of its search path is to be tried.
    private mutating func settle(_ answer: Answer) -> Answer? {
        let whole = sofar.map { $0.followed(by: answer) } ?? answer
        if whole.code == .nameError {
            // A name that exists ends the search, whatever it holds: what a client is told of one name must
            // not depend on the type that it asks for.
            let rest = alternatives ?? ArraySlice(completion?.alternatives(to: question, for: client) ?? [])
            guard let next = rest.first, !whole.endsSearch else { return denial ?? whole }
            denial = denial ?? whole
            alternatives = rest.dropFirst()
            candidate = next
            current = question.asked(of: next)
            sofar = nil
            aliases = 0
            return nil
        }
        guard let denial else { return whole }
        // Only the question's own name may fail: of the others the client is going to ask by itself.
        guard whole.code == .noError, let completion else { return denial }
        // So it is of a name that exists and holds nothing of this type: glibc goes on then, musl does not. An alias would
        // be an answer to either.
        guard whole.answers.contains(where: { $0.type == question.type }) else {
            var empty = denial
            empty.code = .noError
            return empty
        }
        let alias = ResourceRecord(
            name: question.name, timeToLive: completion.timeToLive, data: .cname(candidate))
        return Answer(isAuthoritative: true, answers: [alias]).followed(by: whole)
    }
}

extension Answer {
    /// An alias's records, and then those of what it stands for. The outcome is that of the last name
    /// (RFC 6604, 3), the authority that for the first one (RFC 1034, 4.3.1).
    package func followed(by other: Answer) -> Answer {
        var joined = other
        joined.answers = answers + other.answers
        joined.isAuthoritative = isAuthoritative
        joined.isTruncated = isTruncated || other.isTruncated
        joined.isAuthenticated = isAuthenticated && other.isAuthenticated
        // The alias exists.
        joined.endsSearch = true
        return joined
    }
}
