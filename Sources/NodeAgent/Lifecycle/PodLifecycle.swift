import ContainerRuntime
import KubernetesAPI

/// A pod's life as a value: what to do next, given what is wanted and what is there.
///
/// All that matters is read from the runtime at each step, so that a pod survives a restart of this program
/// untouched; only back-off and reasons for waiting are remembered. The rules are upstream's
/// (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/).
package struct PodLifecycle: Sendable {
    /// What a step yields.
    package struct Decision: Sendable, Hashable {
        package var actions: [PodAction] = []
        /// When to look again even if nothing happens.
        package var wakeAfter: Duration?

        fileprivate mutating func wake(after duration: Duration) {
            wakeAfter = min(wakeAfter ?? duration, duration)
        }
    }

    /// How far the end has come.
    package enum Termination: Sendable, Hashable {
        case none
        case stopping(grace: Duration)
        case stopped, finished
    }

    package private(set) var termination: Termination = .none
    /// Why containers wait, by name.
    package private(set) var waiting: [String: WaitingReason] = [:]
    /// A reason for the whole pod to have failed, such as DeadlineExceeded.
    package private(set) var failure: WaitingReason?

    /// Containers that are being ended, by id.
    private var ending: Set<String> = []
    /// Those among them, and among the ended, that start anew as their definition changed, by id.
    private var redefined: Set<String> = []
    /// The image of each container as the spec last had it, by the container's name.
    private var images: [String: String] = [:]
    private var restarts: [String: BackOff] = [:]
    private var pulls: [String: (backOff: BackOff, failedAt: Duration)] = [:]
    private var starts: [String: (backOff: BackOff, failedAt: Duration)] = [:]
    private var sandboxes: (backOff: BackOff, failedAt: Duration) = (.quick, .zero)

    package init() {}

    // MARK: - What happened

    /// A container could not be started; pulls have longer waits than other failures.
    package mutating func containerFailed(_ name: String, _ reason: WaitingReason, at now: Duration) {
        waiting[name] = reason
        if reason.reason == "ErrImagePull" || reason.reason == "RegistryUnavailable" {
            var backOff = pulls[name]?.backOff ?? .container
            backOff.failed(at: now)
            pulls[name] = (backOff, now)
        } else {
            var backOff = starts[name]?.backOff ?? .quick
            backOff.failed(at: now)
            starts[name] = (backOff, now)
        }
    }

    package mutating func containerStarted(_ name: String) {
        waiting[name] = nil
        pulls[name] = nil
        starts[name] = nil
    }

    package mutating func sandboxFailed(at now: Duration) {
        sandboxes.backOff.failed(at: now)
        sandboxes.failedAt = now
    }

    package mutating func sandboxCreated() { sandboxes.backOff = .quick }

    /// The shell is done with a `killContainer`.
    package mutating func containerEnded(_ id: String) { ending.remove(id) }

    /// The shell has taken the pod down: no container runs any more, its address is given back.
    package mutating func stopped() { termination = .stopped }

    /// The containers are removed and the object is gone.
    package mutating func finished() { termination = .finished }

    // MARK: - What to do

    /// The next actions. They are carried out in order; afterwards another step follows.
    ///
    /// - Parameters:
    ///   - wall: nanoseconds since 1970, the clock of the runtime's times.
    ///   - isGone: the API object does not exist any more.
    package mutating func step(
        _ pod: Pod, _ observation: PodObservation, isGone: Bool = false, now: Duration, wall: Int64
    ) -> Decision {
        if isGone || pod.metadata.deletionTimestamp != nil {
            return terminate(pod, isGone: isGone, observation)
        }
        if pod.hasEnded || failure != nil {
            return end(observation)
        }
        if let deadline = pod.spec.activeDeadlineSeconds, let start = pod.status.startTime {
            let left = Int64(start.seconds) + Int64(clamping: deadline) - wall / 1_000_000_000
            if left <= 0 {
                let reason = WaitingReason(
                    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
                failure = reason
                var decision = end(observation)
                decision.actions.insert(
                    .report(container: "", type: "Normal", reason: reason.reason, message: reason.message),
                    at: 0)
                return decision
            }
            var decision = run(pod, observation, now: now, wall: wall)
            decision.wake(after: .seconds(left))
            return decision
        }
        return run(pod, observation, now: now, wall: wall)
    }

    // MARK: - Going down

    private mutating func terminate(_ pod: Pod, isGone: Bool, _ observation: PodObservation) -> Decision {
        let wanted = pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
        // A forced deletion removes the object at once; what still runs is ended without delay.
        let grace: Duration = isGone ? .zero : .seconds(max(0, wanted))
        switch termination {
        case .none:
            termination = .stopping(grace: grace)
            return Decision(actions: [.terminate(grace: grace)])
        case .stopping(let before) where grace < before:
            termination = .stopping(grace: grace)
            return Decision(actions: [.hasten(grace: grace)])
        case .stopped:
            return Decision(actions: [.finish])
        case .stopping, .finished:
            return Decision()
        }
    }

    /// The pod has reached its final phase: whatever runs (sidecars, or all after a deadline) is stopped, and
    /// the network address given back; dead containers stay for their logs.
    private mutating func end(_ observation: PodObservation) -> Decision {
        var decision = Decision()
        let running = observation.containers.filter { $0.state == .running }
        for container in running {
            kill(container, "Stopping container \(container.name)", into: &decision)
        }
        // They need the network to their end.
        guard running.isEmpty else { return decision }
        for sandbox in observation.sandboxes where sandbox.isReady {
            decision.actions.append(.stopSandbox(id: sandbox.id))
        }
        return decision
    }

    // MARK: - Running

    private mutating func run(
        _ pod: Pod, _ observation: PodObservation, now: Duration, wall: Int64
    ) -> Decision {
        var decision = Decision()
        guard let sandbox = observation.readySandbox else {
            return replaceSandbox(pod, observation, now: now)
        }
        for stale in observation.sandboxes where stale.id != sandbox.id {
            decision.actions.append(.stopSandbox(id: stale.id))
            decision.actions.append(.removeSandbox(id: stale.id))
        }
        collectGarbage(pod, observation, into: &decision)
        forgetFailuresOfChanged(pod)

        if isInitialized(pod, observation) {
            for container in pod.spec.initContainers where container.isSidecar {
                keep(container, pod, observation, sandbox, now: now, wall: wall, into: &decision)
            }
            for container in pod.spec.containers {
                keep(container, pod, observation, sandbox, now: now, wall: wall, into: &decision)
            }
        } else {
            initialize(pod, observation, sandbox, now: now, wall: wall, into: &decision)
        }
        // Guests for debugging run once, whatever becomes of the others.
        for container in pod.spec.ephemeralContainers.map(\.asContainer)
        where observation.newest(container.name) == nil {
            start(container, pod, attempt: 0, now: now, into: &decision)
        }
        return decision
    }

    private mutating func replaceSandbox(_ pod: Pod, _ observation: PodObservation, now: Duration) -> Decision
    {
        var decision = Decision()
        // After a reboot everything has exited; with nothing to restart, the pod just ends.
        let all = pod.spec.containers
        let wantsSandbox = all.contains { container in
            guard let newest = observation.newest(container.name) else { return true }
            return newest.state != .exited || Self.restarts(container, pod, newest)
        }
        guard wantsSandbox else { return decision }
        if let left = sandboxes.backOff.remaining(since: sandboxes.failedAt, now: now) {
            decision.wake(after: left)
            return decision
        }
        for sandbox in observation.sandboxes { decision.actions.append(.stopSandbox(id: sandbox.id)) }
        let attempt = (observation.sandboxes.map(\.attempt).max() ?? -1) + 1
        decision.actions.append(.createSandbox(attempt: attempt))
        return decision
    }

    /// True once every ordinary init container has ended well and every sidecar has started.
    ///
    /// Main containers that exist prove it too: init containers may have been removed since.
    package func isInitialized(_ pod: Pod, _ observation: PodObservation) -> Bool {
        guard let sandbox = observation.readySandbox else { return false }
        let present = Set(observation.containers.filter { $0.sandboxID == sandbox.id }.map(\.name))
        if !present.isDisjoint(with: pod.spec.containers.map(\.name)) { return true }
        return pod.spec.initContainers.allSatisfy { Self.isDone($0, observation, sandbox) }
    }

    private static func isDone(
        _ container: Container, _ observation: PodObservation, _ sandbox: SandboxObservation
    ) -> Bool {
        guard let newest = observation.newest(container.name), newest.sandboxID == sandbox.id else {
            return false
        }
        if container.isSidecar {
            return newest.state == .running && observation.probeResults(newest).isStarted
        }
        return newest.state == .exited && newest.exitCode == 0
    }

    private mutating func initialize(
        _ pod: Pod, _ observation: PodObservation, _ sandbox: SandboxObservation, now: Duration, wall: Int64,
        into decision: inout Decision
    ) {
        for container in pod.spec.initContainers {
            if Self.isDone(container, observation, sandbox) {
                guard container.isSidecar else { continue }
                keep(container, pod, observation, sandbox, now: now, wall: wall, into: &decision)
                continue
            }
            if !container.isSidecar, let newest = observation.newest(container.name),
                newest.sandboxID == sandbox.id, newest.state == .exited, pod.spec.restartPolicy == "Never"
            {
                // The pod has failed; the phase says so.
                return
            }
            keep(container, pod, observation, sandbox, now: now, wall: wall, into: &decision)
            return
        }
    }

    /// Keeps one container running, as far as its restart policy wants it.
    private mutating func keep(
        _ container: Container, _ pod: Pod, _ observation: PodObservation, _ sandbox: SandboxObservation,
        now: Duration, wall: Int64, into decision: inout Decision
    ) {
        let name = container.name
        guard let newest = observation.newest(name) else {
            start(container, pod, attempt: 0, now: now, into: &decision)
            return
        }
        let belongs = newest.sandboxID == sandbox.id
        switch newest.state {
        case .running where belongs:
            keepUp(container, pod, newest, observation, into: &decision)
        case .running, .unknown:
            kill(newest, "Container \(name) is in an unknown state", into: &decision)
        case .created:
            // Created and never started: this program or the runtime ended in between.
            decision.actions.append(.removeContainer(id: newest.id))
            start(container, pod, attempt: newest.attempt, now: now, into: &decision)
        case .exited:
            if redefined.contains(newest.id) {
                // Whatever the restart policy, and without a wait.
                start(container, pod, attempt: newest.attempt + 1, now: now, into: &decision)
                return
            }
            guard !belongs || Self.restarts(container, pod, newest) else { return }
            if belongs, let left = crashBackOff(container, newest, now: now, wall: wall) {
                if waiting[name]?.reason != "CrashLoopBackOff" {
                    decision.actions.append(
                        .report(
                            container: name, type: "Warning", reason: "BackOff",
                            message: "Back-off restarting failed container \(name) in pod "
                                + "\(pod.metadata.name)_\(pod.metadata.namespace)(\(pod.metadata.uid))"))
                }
                waiting[name] = WaitingReason(
                    "CrashLoopBackOff",
                    "back-off \(Self.text(restarts[name]?.delay ?? .zero)) restarting failed "
                        + "container=\(name) pod=\(pod.metadata.name)_\(pod.metadata.namespace)(\(pod.metadata.uid))"
                )
                decision.wake(after: left)
                return
            }
            if start(container, pod, attempt: newest.attempt + 1, now: now, into: &decision), belongs {
                restarts[name, default: .container].failed(at: now)
                if waiting[name]?.reason == "CrashLoopBackOff" { waiting[name] = nil }
            }
        }
    }

    /// Has a running container ended if it is to start anew: because its definition changed, or a probe failed.
    private mutating func keepUp(
        _ container: Container, _ pod: Pod, _ running: ContainerObservation, _ observation: PodObservation,
        into decision: inout Decision
    ) {
        let isInit = pod.spec.initContainers.contains { $0.name == container.name }
        let name = "\(isInit ? "Init container" : "Container") \(container.name)"
        let consequence = isInit ? "" : ", will be restarted"
        if running.isOutdated(container), !isInit || container.isSidecar {
            redefined.insert(running.id)
            kill(running, "\(name) definition changed\(consequence)", into: &decision)
        } else if let failed = observation.probeResults(running).failure {
            kill(
                running,
                "\(name) failed \(failed.rawValue) probe"
                    + (pod.spec.restartPolicy == "Never" ? "" : consequence),
                probe: failed, into: &decision)
        }
    }

    /// Whether a container that has ended starts anew because its definition changed.
    package func isRedefined(_ id: String) -> Bool { redefined.contains(id) }

    /// Another image is another try: what failed with the one before does not hold it up.
    private mutating func forgetFailuresOfChanged(_ pod: Pod) {
        for container in pod.spec.initContainers + pod.spec.containers {
            let before = images.updateValue(container.image, forKey: container.name)
            guard let before, before != container.image else { continue }
            pulls[container.name] = nil
            starts[container.name] = nil
            restarts[container.name] = nil
            waiting[container.name] = nil
        }
    }

    /// Has a container ended, once: it takes its time.
    private mutating func kill(
        _ container: ContainerObservation, _ message: String, probe: ProbeResults.Failure? = nil,
        into decision: inout Decision
    ) {
        guard ending.insert(container.id).inserted else { return }
        decision.actions.append(
            .killContainer(id: container.id, name: container.name, message: message, probe: probe))
    }

    /// The wait that is left before the container may start again. The first restart is immediate.
    private mutating func crashBackOff(
        _ container: Container, _ newest: ContainerObservation, now: Duration, wall: Int64
    ) -> Duration? {
        // The runtime's time of day, on our clock.
        let sinceEnd = Duration.nanoseconds(max(0, wall - newest.finishedAt))
        return restarts[newest.name]?.remaining(since: now - sinceEnd, now: now)
    }

    /// Starts a container unless an earlier failure has it wait; tells which.
    @discardableResult
    private mutating func start(
        _ container: Container, _ pod: Pod, attempt: Int, now: Duration, into decision: inout Decision
    ) -> Bool {
        let name = container.name
        if let pull = pulls[name], let left = pull.backOff.remaining(since: pull.failedAt, now: now) {
            // The error itself is shown for a moment before the waiting that follows from it.
            let shown = pull.failedAt + Self.errorIsShown - now
            if shown > .zero {
                decision.wake(after: shown)
            } else {
                if let reason = waiting[name], reason.reason == "ErrImagePull" {
                    decision.actions += [
                        .report(
                            container: name, type: "Normal", reason: "BackOff",
                            message: "Back-off pulling image \"\(container.image)\""),
                        .report(
                            container: name, type: "Warning", reason: "Failed",
                            message: "Error: ImagePullBackOff"),
                    ]
                    waiting[name] = WaitingReason(
                        "ImagePullBackOff",
                        "Back-off pulling image \"\(container.image)\": ErrImagePull: \(reason.message)")
                }
                decision.wake(after: left)
            }
            return false
        }
        if let failed = starts[name], let left = failed.backOff.remaining(since: failed.failedAt, now: now) {
            decision.wake(after: left)
            return false
        }
        decision.actions.append(.startContainer(name: name, attempt: attempt))
        return true
    }

    /// How long `ErrImagePull` stays visible before it becomes `ImagePullBackOff`.
    package static let errorIsShown: Duration = .seconds(3)

    /// Dead attempts beyond the last two of each container go: the last for its state, the one before for
    /// `kubectl logs --previous`.
    private func collectGarbage(_ pod: Pod, _ observation: PodObservation, into decision: inout Decision) {
        for name in Set(observation.containers.map(\.name)).sorted() {
            for old in observation.attempts(name).dropFirst(2) where old.state == .exited {
                decision.actions.append(.removeContainer(id: old.id))
            }
        }
    }

    /// Whether an ended container is started again.
    package static func restarts(_ container: Container, _ pod: Pod, _ ended: ContainerObservation) -> Bool {
        if container.isSidecar { return true }
        let isInit = pod.spec.initContainers.contains { $0.name == container.name }
        switch pod.spec.restartPolicy {
        case "Never": return false
        case "OnFailure": return ended.exitCode != 0
        default: return !isInit || ended.exitCode != 0
        }
    }

    /// A duration as Go prints it: `10s`, `1m20s`, `5m0s`.
    package static func text(_ duration: Duration) -> String {
        let seconds = duration.components.seconds
        return seconds < 60 ? "\(seconds)s" : "\(seconds / 60)m\(seconds % 60)s"
    }
}
