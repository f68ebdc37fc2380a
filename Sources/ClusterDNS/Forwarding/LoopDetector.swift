import Synchronization

/// Finds out whether a question that we send to another server comes back to us.
package final class LoopDetector: Resolver {
    package let name = "loop"
    /// Questions that were sent, and who wants to know that they came back.
    private let tokens = Mutex<[Question: @Sendable () -> Void]>([:])

    package init() {}

    /// HINFO (RFC 1035, 3.2.2), which nobody else asks for.
    private static let type = RecordType(rawValue: 13)

    /// A question that nobody else asks, to be sent to the server in question.
    ///
    /// - Parameter returned: is called when it comes back, be it late.
    package func begin(_ returned: @escaping @Sendable () -> Void) -> Question {
        let labels = (0..<2).map { _ in String(UInt64.random(in: 0...UInt64.max), radix: 36) }
        let question = Question(name: DNSName(labels: labels) ?? .root, type: Self.type)
        tokens.withLock { $0[question] = returned }
        return question
    }

    /// Forgets a question.
    package func end(_ token: Question) {
        tokens.withLock { $0[token] = nil }
    }

    package func resolve(_ question: Question) -> Resolution {
        guard question.type == Self.type else { return .pass }
        // Servers on the way may have wishes of their own.
        let token = Question(name: question.name.lowercased, type: question.type)
        guard let returned = tokens.withLock({ $0[token] }) else { return .pass }
        returned()
        // Failing stops it from going round any further.
        return .answer(Answer(code: .serverFailure))
    }
}
