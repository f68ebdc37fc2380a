import KubernetesAPI

/// Walks a pod through its ``TerminationGates``.
package struct GateKeeper: Sendable {
    package var traffic: any PodTraffic
    package var clock: AgentClock

    package init(traffic: any PodTraffic, clock: AgentClock) {
        self.traffic = traffic
        self.clock = clock
    }

    /// Returns once the gates are open, at the latest after `limit` or when the task is cancelled.
    ///
    /// - Parameter report: is told of each gate that was passed.
    package func pass(
        _ pod: Pod, limit: Duration, report: @Sendable (GateReport) async -> Void
    ) async {
        var gates = TerminationGates(at: clock.now(), limit: limit)
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watching = Task { [changes = traffic.changes()] in
            for await _ in changes { wake.yield() }
        }
        defer { watching.cancel() }
        var connections: PodConnections?
        while !Task.isCancelled {
            let decision = gates.step(traffic.standing(of: pod), connections, at: clock.now())
            for passed in decision.reports { await report(passed) }
            connections = nil
            switch decision.next {
            case .open: return
            case .count: connections = await count(pod)
            case .wait(let duration):
                let alarm = Task { [sleep = clock.sleep] in
                    do { try await sleep(duration) } catch { return }
                    wake.yield()
                }
                for await _ in wakes { break }
                alarm.cancel()
            }
        }
    }

    /// Nothing that cannot be counted holds a pod up.
    private func count(_ pod: Pod) async -> PodConnections {
        (try? await traffic.connections(to: pod)) ?? PodConnections()
    }
}
