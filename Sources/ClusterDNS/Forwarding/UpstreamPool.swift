/// The servers that questions are forwarded to, and how they are. A value: `Upstreams` asks and tells.
package struct UpstreamPool: Sendable {
    private struct Member: Sendable {
        let address: ListenAddress
        /// Attempts in a row without an answer; of questions one counts at most.
        var failures = 0
        /// Somebody finds out how it is.
        var isBeingChecked = false
        /// Asks us what we ask it.
        var isLoop = false

        var isDown: Bool { failures >= UpstreamPool.failuresToGoDown }
    }

    private var members: [Member] = []

    /// A lost datagram is no failure of the server, nor is a domain for which it has to wait for others: it is a
    /// check that decides.
    private static let failuresToGoDown = 2

    package init() {}

    /// Takes the servers to ask from now on. Those that stay keep what is known of their health; that one was a
    /// loop is forgotten, since whoever changed the servers may have mended it.
    package mutating func setServers(_ addresses: [ListenAddress]) {
        members = addresses.map { address in
            var member = members.first { $0.address == address } ?? Member(address: address)
            member.isLoop = false
            return member
        }
    }

    package var servers: [ListenAddress] { members.map(\.address) }

    /// The servers in the order in which to try them: those that are well, at random, so that the load spreads.
    /// If none is, all of them: better one attempt too many than none.
    package func order(using generator: inout some RandomNumberGenerator) -> [ListenAddress] {
        let usable = members.filter { !$0.isLoop }
        let well = usable.filter { !$0.isDown }
        return (well.isEmpty ? usable : well).map(\.address).shuffled(using: &generator)
    }

    /// Whether no server is expected to answer.
    package var isDown: Bool { members.allSatisfy { $0.isDown || $0.isLoop } }

    package func contains(_ address: ListenAddress) -> Bool { members.contains { $0.address == address } }

    package func isDown(_ address: ListenAddress) -> Bool {
        members.contains { $0.address == address && $0.isDown }
    }

    /// - Returns: whether the server had been down.
    @discardableResult
    package mutating func answered(_ address: ListenAddress) -> Bool {
        var wasDown = false
        change(address) {
            wasDown = $0.isDown
            $0.failures = 0
            $0.isBeingChecked = false
        }
        return wasDown
    }

    /// A question was not answered.
    ///
    /// - Returns: whether the server is to be checked, until it answers.
    package mutating func failed(_ address: ListenAddress) -> Bool {
        var isToBeChecked = false
        change(address) {
            $0.failures = max(1, $0.failures)
            isToBeChecked = !$0.isBeingChecked
            $0.isBeingChecked = true
        }
        return isToBeChecked
    }

    /// A check was not answered.
    ///
    /// - Returns: whether the server counts as down from now on.
    package mutating func failedCheck(_ address: ListenAddress) -> Bool {
        var wentDown = false
        change(address) {
            $0.failures += 1
            wentDown = $0.failures == Self.failuresToGoDown
        }
        return wentDown
    }

    package func isBeingChecked(_ address: ListenAddress) -> Bool {
        members.contains { $0.address == address && $0.isBeingChecked }
    }

    /// The server turned out to forward to us; it is left out.
    ///
    /// - Returns: whether that is news.
    package mutating func isLoop(_ address: ListenAddress) -> Bool {
        var isNews = false
        change(address) {
            isNews = !$0.isLoop
            $0.isLoop = true
        }
        return isNews
    }

    private mutating func change(_ address: ListenAddress, _ body: (inout Member) -> Void) {
        guard let index = members.firstIndex(where: { $0.address == address }) else { return }
        body(&members[index])
    }
}
