import KubernetesAPI

/// The gates that stand between a pod and the end of its containers, as a value.
///
/// 1. **Proxies**: every node's proxy has confirmed that it sends the pod nothing new.
/// 2. **Connections**: those that the pod has through its Services have ended.
///
/// A pod behind no Service finds them open. Both together take no longer than the limit. What has been passed is
/// not remembered anywhere but here: after a restart of this program the answers are the same, so the pod goes on
/// where it was.
package struct TerminationGates: Sendable {
    package enum Gate: Sendable, Hashable { case proxies, connections }

    /// What to do next.
    package enum Next: Sendable, Hashable {
        /// Count connections and step again.
        case count
        /// Step again when somebody's standing changes, at the latest after so long.
        case wait(Duration)
        /// Nothing stands between the pod and its end any more.
        case open
    }

    package struct Decision: Sendable, Hashable {
        /// Gates that were passed in this step, in order.
        package var reports: [GateReport] = []
        package var next: Next

        package init(reports: [GateReport] = [], next: Next) {
            self.reports = reports
            self.next = next
        }
    }

    private let begin: Duration
    private let limit: Duration
    private var gate: Gate = .proxies
    /// Whether the pod had to do with Services in an earlier step.
    private var hadTraffic = false
    private var pause = TerminationGates.shortestPause
    /// Since when proxies send nothing new, and whether the pod was seen to be in use since.
    private var leaving: (since: Duration, isInUse: Bool)?

    /// How long it may take until a packet that met the old state has come where it can be seen: at most 209 µs were
    /// measured.
    package static let packetsInFlight: Duration = .milliseconds(2)

    /// Connections are counted again after pauses that double from this one …
    package static let shortestPause: Duration = .milliseconds(5)
    /// … to this one.
    package static let longestPause: Duration = .milliseconds(100)

    /// - Parameters:
    ///   - now: when the pod came to the gates.
    ///   - limit: how long they may take; zero opens them.
    package init(at now: Duration, limit: Duration) {
        begin = now
        self.limit = limit
    }

    /// - Parameter connections: as just counted, if the last decision asked for it.
    package mutating func step(
        _ standing: TrafficStanding, _ connections: PodConnections?, at now: Duration
    ) -> Decision {
        guard limit > .zero else { return Decision(next: .open) }
        switch standing {
        case .apart where !hadTraffic: return Decision(next: .open)
        case .apart, .left: return drain(connections, at: now)
        case .leaving: return lookAhead(connections, at: now)
        case .unknown, .reached:
            hadTraffic = true
            gate = .proxies
            leaving = nil
            let left = begin + limit - now
            if left > .zero { return Decision(next: .wait(left)) }
            return Decision(reports: [.unconfirmed(after: now - begin)], next: .open)
        case .lastResort:
            hadTraffic = true
            gate = .proxies
            leaving = nil
            return awaitSuccessor(connections, at: now)
        }
    }

    /// The pod's Service has nobody else: as long as somebody uses it, it waits for a successor.
    private mutating func awaitSuccessor(_ connections: PodConnections?, at now: Duration) -> Decision {
        guard let connections else { return Decision(next: .count) }
        let left = begin + limit - now
        if !connections.areRecent, connections.open == 0 {
            return Decision(reports: [.unused(after: now - begin)], next: .open)
        }
        if left > .zero { return Decision(next: .wait(min(left, nextPause()))) }
        return Decision(reports: [.withoutSuccessor(after: now - begin)], next: .open)
    }

    /// A pod that nobody uses need not wait for what is on its way to others; it is looked at once.
    private mutating func lookAhead(_ connections: PodConnections?, at now: Duration) -> Decision {
        hadTraffic = true
        let left = begin + limit - now
        guard left > .zero else { return Decision(reports: [.unconfirmed(after: now - begin)], next: .open) }
        let since = leaving?.since ?? now
        leaving = (since, leaving?.isInUse ?? false)
        if leaving?.isInUse == true { return Decision(next: .wait(left)) }
        if now - since < Self.packetsInFlight {
            return Decision(next: .wait(min(left, since + Self.packetsInFlight - now)))
        }
        guard let connections else { return Decision(next: .count) }
        if connections.areOver {
            return Decision(
                reports: [.confirmed(after: since - begin), .drained(after: now - begin)], next: .open)
        }
        leaving = (since, true)
        return Decision(next: .wait(left))
    }

    private mutating func drain(_ connections: PodConnections?, at now: Duration) -> Decision {
        var decision = Decision(next: .count)
        hadTraffic = true
        if gate == .proxies {
            gate = .connections
            pause = Self.shortestPause
            decision.reports.append(.confirmed(after: now - begin))
        }
        guard let connections else { return decision }
        let left = begin + limit - now
        if connections.open == 0 {
            decision.reports.append(.drained(after: now - begin))
            decision.next = .open
        } else if left <= .zero {
            decision.reports.append(.undrained(connections.open, after: now - begin))
            decision.next = .open
        } else {
            decision.next = .wait(min(left, nextPause()))
        }
        return decision
    }

    private mutating func nextPause() -> Duration {
        defer { pause = min(pause * 2, Self.longestPause) }
        return pause
    }
}

/// What is told about a gate that was passed; each with the time since the pod came to the gates.
package enum GateReport: Sendable, Hashable {
    /// Every proxy has confirmed that it sends the pod nothing new.
    case confirmed(after: Duration)
    /// The time was up before all proxies had.
    case unconfirmed(after: Duration)
    /// Nobody else could serve, but nobody asked either.
    case unused(after: Duration)
    /// Nobody else could serve before the time was up.
    case withoutSuccessor(after: Duration)
    /// No connection is left.
    case drained(after: Duration)
    /// The time was up with connections left.
    case undrained(Int, after: Duration)

    package var isWarning: Bool {
        switch self {
        case .unconfirmed, .withoutSuccessor: true
        case .confirmed, .unused, .drained, .undrained: false
        }
    }

    /// One CamelCase word for it, for an Event and a condition.
    package var reason: String {
        switch self {
        case .confirmed: "OutOfService"
        case .unconfirmed: "ProxyNotConfirmed"
        case .unused: "LastEndpointUnused"
        case .withoutSuccessor: "LastEndpointStops"
        case .drained: "ConnectionsEnded"
        case .undrained: "ConnectionsLeft"
        }
    }

    package var message: String {
        switch self {
        case .confirmed(let time):
            "Every proxy has confirmed after \(text(time)) that Services send the pod nothing new"
        case .unconfirmed(let time):
            "Expected every proxy to confirm that Services send the pod nothing new, found none to do so in "
                + "\(text(time)); its containers are stopped all the same. See the log of swiftlet for what "
                + "keeps the proxy"
        case .unused(let time):
            "No other endpoint can serve and nobody uses this one, seen after \(text(time))"
        case .withoutSuccessor(let time):
            "Expected another endpoint to take over, found none ready in \(text(time)); new connections are "
                + "refused from now on. More replicas, or a longer \(TerminationPlan.annotation), prevent this"
        case .drained(let time): "No connection through a Service is left after \(text(time))"
        case .undrained(let count, let time):
            "\(count) connection\(count == 1 ? "" : "s") through Services left after \(text(time)); they go on "
                + "for as long as the containers keep them"
        }
    }

    /// The condition of a terminating pod that says it, for programs to read.
    package var conditionType: String {
        switch self {
        case .confirmed, .unconfirmed, .unused, .withoutSuccessor: "swiftlet.local/OutOfService"
        case .drained, .undrained: Self.drainedType
        }
    }

    /// Of a pod that has passed the last gate, others being there for its Services.
    package static let drainedType = "swiftlet.local/Drained"

    /// Whether the gate was passed for its reason, and not because the time was up.
    package var isFulfilled: Bool {
        switch self {
        case .confirmed, .unused, .drained: true
        case .unconfirmed, .withoutSuccessor, .undrained: false
        }
    }

    /// The report as a condition of the pod.
    package func condition(at time: Time) -> PodCondition {
        PodCondition(
            type: conditionType, status: isFulfilled ? "True" : "False", lastTransitionTime: time,
            reason: reason, message: message)
    }

    private func text(_ time: Duration) -> String { TerminationPlan.text(time) }
}
