import KubernetesAPI

/// The course of one probe of one container as a value: when to probe, and what the results mean
/// (https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/).
package struct ProbeState: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, CaseIterable { case startup, readiness, liveness }

    package let kind: Kind
    package let probe: Probe
    /// The outcome in force; nil before the first one that counts.
    package private(set) var isPassing: Bool?
    private var successes = 0
    private var failures = 0
    private var quickLooks = 0
    /// When the next regular probe is due, counted from the container's start.
    private var nextRegular: Duration

    package init(_ kind: Kind, _ probe: Probe) {
        self.kind = kind
        self.probe = probe
        nextRegular = .seconds(max(0, probe.initialDelaySeconds))
    }

    /// Whether the next probe is one beside the regular rhythm; its failure does not count.
    package struct Turn: Sendable, Hashable {
        package var due: Duration
        package var isQuickLook: Bool

        package init(due: Duration, isQuickLook: Bool) {
            self.due = due
            self.isQuickLook = isQuickLook
        }
    }

    private var period: Duration { .seconds(max(1, probe.periodSeconds)) }

    /// The next probe's time since the container's start, given how long it has run.
    ///
    /// Until a startup or readiness probe has succeeded once, there are quick looks between the regular ones,
    /// 50 ms after the first and then ever rarer, so that a container that is ready soon is seen to be
    /// ready soon. They change nothing when they fail.
    package mutating func next(after age: Duration) -> Turn {
        let begin = Duration.seconds(max(0, probe.initialDelaySeconds))
        if kind != .liveness, isPassing != true, successes == 0, quickLooks < 12 {
            let quick = begin + .milliseconds(50) * (1 << quickLooks)
            if nextRegular > begin, max(quick, age) < nextRegular {
                quickLooks += 1
                return Turn(due: max(quick, age), isQuickLook: true)
            }
        }
        let due = max(nextRegular, age)
        while nextRegular <= due { nextRegular += period }
        return Turn(due: due, isQuickLook: false)
    }

    /// Notes a result; true when the outcome in force has changed.
    package mutating func record(success: Bool, isQuickLook: Bool = false) -> Bool {
        if success {
            failures = 0
            successes += 1
            guard successes >= max(1, probe.successThreshold), isPassing != true else { return false }
            isPassing = true
            return true
        }
        if isQuickLook { return false }
        successes = 0
        failures += 1
        guard failures >= max(1, probe.failureThreshold), isPassing != false else { return false }
        isPassing = false
        return true
    }
}

/// The probes of one container together: which may run, and what they add up to.
package struct ContainerProbes: Sendable, Hashable {
    package private(set) var states: [ProbeState.Kind: ProbeState] = [:]
    /// Whether the pod is on its way out.
    private var isTerminating = false

    package init(_ container: Container) {
        if let probe = container.startupProbe { states[.startup] = ProbeState(.startup, probe) }
        if let probe = container.readinessProbe { states[.readiness] = ProbeState(.readiness, probe) }
        if let probe = container.livenessProbe { states[.liveness] = ProbeState(.liveness, probe) }
    }

    /// A container that ran before this program started and had passed, goes on as passing.
    package mutating func assumePassing() {
        for kind in states.keys where kind != .liveness { _ = states[kind]?.record(success: true) }
    }

    package var isEmpty: Bool { states.isEmpty }

    /// Readiness and liveness wait for the startup probe. What has condemned the container is done with it.
    package func mayRun(_ kind: ProbeState.Kind) -> Bool {
        switch kind {
        case .startup: !isTerminating && states[.startup]?.isPassing == nil
        case .readiness: hasStarted
        case .liveness: !isTerminating && hasStarted && states[.liveness]?.isPassing != false
        }
    }

    /// The pod is on its way out: it ends as its grace period has it, and nothing but its readiness is asked for
    /// meanwhile (kubelet's `prober/worker.go` does likewise). True when this changes what the probes add up to.
    package mutating func podIsTerminating() -> Bool {
        guard !isTerminating else { return false }
        isTerminating = true
        let before = results
        states[.startup] = nil
        states[.liveness] = nil
        return results != before
    }

    private var hasStarted: Bool { states[.startup].map { $0.isPassing == true } ?? true }

    package mutating func next(_ kind: ProbeState.Kind, after age: Duration) -> ProbeState.Turn? {
        states[kind]?.next(after: age)
    }

    package mutating func record(_ kind: ProbeState.Kind, success: Bool, isQuickLook: Bool = false) -> Bool {
        states[kind]?.record(success: success, isQuickLook: isQuickLook) ?? false
    }

    package var results: ProbeResults {
        var failure: ProbeResults.Failure?
        if states[.startup]?.isPassing == false { failure = .startup }
        if states[.liveness]?.isPassing == false { failure = .liveness }
        let isReady = hasStarted && (states[.readiness].map { $0.isPassing == true } ?? true)
        return ProbeResults(isStarted: hasStarted, isReady: isReady, failure: failure)
    }
}
