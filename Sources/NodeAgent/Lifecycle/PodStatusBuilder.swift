import ContainerRuntime
import KubernetesAPI

/// Makes a pod's status of what is there; a function of values.
package struct PodStatusBuilder: Sendable {
    package var nodeAddresses: [String]
    package var wall: Time
    /// What a container left in its termination message file, by container id.
    package var terminationMessages: [String: String]
    /// What the gates that a terminating pod has passed say.
    package var gateConditions: [PodCondition]

    package init(
        nodeAddresses: [String], wall: Time, terminationMessages: [String: String] = [:],
        gateConditions: [PodCondition] = []
    ) {
        self.nodeAddresses = nodeAddresses
        self.wall = wall
        self.terminationMessages = terminationMessages
        self.gateConditions = gateConditions
    }

    /// The status of a pod, made from its last known one: what others write into it is kept.
    package func status(
        _ pod: Pod, _ observation: PodObservation, _ lifecycle: PodLifecycle
    ) -> PodStatus {
        var status = pod.status
        let isInitialized = lifecycle.isInitialized(pod, observation) || hasRun(pod, observation)
        status.initContainerStatuses = pod.spec.initContainers.map {
            containerStatus($0, pod, observation, lifecycle, isInit: true, isInitialized: isInitialized)
        }
        status.containerStatuses = pod.spec.containers.map {
            containerStatus($0, pod, observation, lifecycle, isInit: false, isInitialized: isInitialized)
        }
        status.ephemeralContainerStatuses = pod.spec.ephemeralContainers.map {
            containerStatus(
                $0.asContainer, pod, observation, lifecycle, isInit: false, isInitialized: isInitialized)
        }
        status.startTime = status.startTime ?? wall
        status.qosClass = status.qosClass.isEmpty ? QualityOfService(pod).rawValue : status.qosClass
        if let first = nodeAddresses.first {
            status.hostIP = first
            status.hostIPs = nodeAddresses.map { HostIP(ip: $0) }
        }
        let addresses = pod.spec.hostNetwork ? nodeAddresses : observation.readySandbox?.addresses ?? []
        if let first = addresses.first, observation.readySandbox != nil {
            status.podIP = first
            status.podIPs = addresses.map { PodIP(ip: $0) }
        }
        if !pod.hasEnded {
            status.phase = phase(pod, observation, status, lifecycle)
        }
        if let failure = lifecycle.failure {
            status.phase = "Failed"
            status.reason = failure.reason
            status.message = failure.message
        }
        status.observedGeneration = pod.metadata.generation
        for condition in gateConditions
        where !status.conditions.contains(where: { $0.type == condition.type }) {
            status.conditions.append(condition)
        }
        status.conditions = conditions(pod, observation, status, isInitialized: isInitialized)
        return status
    }

    /// A main container that ever existed proves that initialization was over.
    private func hasRun(_ pod: Pod, _ observation: PodObservation) -> Bool {
        pod.spec.containers.contains { observation.newest($0.name) != nil }
    }

    // MARK: - Containers

    private func containerStatus(
        _ container: Container, _ pod: Pod, _ observation: PodObservation, _ lifecycle: PodLifecycle,
        isInit: Bool,
        isInitialized: Bool
    ) -> ContainerStatus {
        let known =
            pod.status.containerStatuses + pod.status.initContainerStatuses
            + pod.status.ephemeralContainerStatuses
        let before = known.first { $0.name == container.name }
        var status = ContainerStatus(name: container.name, image: container.image)
        let attempts = observation.attempts(container.name)
        let reason = lifecycle.waiting[container.name]
        guard let newest = attempts.first else {
            // A dead container may have been removed with its sandbox; what was known of it stays true.
            if let before, before.state.terminated != nil || !before.containerID.isEmpty, pod.hasEnded {
                return before
            }
            let fallback: WaitingReason =
                isInitialized || (isInit && isFirstPending(container, pod, observation))
                    || pod.spec.initContainers.isEmpty ? .creating : .initializing
            status.state.waiting = (reason ?? fallback).asState
            status.started = false
            return status
        }
        status.restartCount = newest.attempt
        status.containerID = "containerd://\(newest.id)"
        status.image = newest.image.isEmpty ? container.image : newest.image
        status.imageID = newest.imageReference
        if let previous = attempts.dropFirst().first(where: { $0.state == .exited }) {
            status.lastState.terminated = terminated(previous)
        }
        switch newest.state {
        case .running:
            let probes = observation.probeResults(newest)
            status.state.running = ContainerStateRunning(startedAt: Time(nanoseconds: newest.startedAt))
            status.started = probes.isStarted
            // What is to be restarted leaves its Services first.
            let stays = probes.failure == nil && !newest.isOutdated(container)
            status.ready =
                isInit && !container.isSidecar ? false : probes.isStarted && probes.isReady && stays
        case .created:
            status.state.waiting = (reason ?? .creating).asState
            status.started = false
        case .exited:
            let ended = terminated(newest)
            // What starts anew whatever the restart policy must not be shown as over: the API takes no way back.
            let reason = reason ?? (lifecycle.isRedefined(newest.id) ? .creating : nil)
            if let reason, !pod.hasEnded, pod.metadata.deletionTimestamp == nil {
                status.state.waiting = reason.asState
                status.lastState.terminated = ended
            } else {
                status.state.terminated = ended
            }
            status.started = false
            status.ready = isInit && !container.isSidecar && newest.exitCode == 0
        case .unknown:
            status.state.waiting = WaitingReason("ContainerStatusUnknown").asState
            status.started = false
        }
        return status
    }

    private func isFirstPending(_ container: Container, _ pod: Pod, _ observation: PodObservation) -> Bool {
        pod.spec.initContainers.first { observation.newest($0.name) == nil }?.name == container.name
    }

    private func terminated(_ container: ContainerObservation) -> ContainerStateTerminated {
        let text = terminationMessages[container.id] ?? container.message
        let reason =
            container.reason.isEmpty ? (container.exitCode == 0 ? "Completed" : "Error") : container.reason
        return ContainerStateTerminated(
            exitCode: container.exitCode, reason: reason, message: text,
            startedAt: container.startedAt > 0 ? Time(nanoseconds: container.startedAt) : nil,
            finishedAt: container.finishedAt > 0 ? Time(nanoseconds: container.finishedAt) : nil,
            containerID: "containerd://\(container.id)")
    }

    // MARK: - Phase

    /// The phase, by upstream's rules: what counts is how the containers are, and what will become of them.
    private func phase(
        _ pod: Pod, _ observation: PodObservation, _ status: PodStatus, _ lifecycle: PodLifecycle
    ) -> String {
        for (container, state) in zip(pod.spec.initContainers, status.initContainerStatuses)
        where !container.isSidecar {
            if let ended = state.state.terminated, ended.exitCode != 0, pod.spec.restartPolicy == "Never" {
                return "Failed"
            }
        }
        var running = 0
        var waiting = 0
        var stopped = 0
        var succeeded = 0
        for container in status.containerStatuses {
            let id = container.containerID.dropFirst("containerd://".count)
            if container.state.running != nil || lifecycle.isRedefined(String(id)) {
                running += 1
            } else if let ended = container.state.terminated {
                stopped += 1
                if ended.exitCode == 0 { succeeded += 1 }
            } else if container.lastState.terminated != nil {
                stopped += 1
            } else {
                waiting += 1
            }
        }
        if waiting > 0 { return "Pending" }
        if running > 0 { return "Running" }
        guard stopped > 0 else { return "Pending" }
        // A pod that is taken down ends as its containers did, whatever its restart policy.
        let isEnding = pod.metadata.deletionTimestamp != nil && lifecycle.termination != .none
        if pod.spec.restartPolicy == "Always", !isEnding { return "Running" }
        if stopped == succeeded { return "Succeeded" }
        if pod.spec.restartPolicy == "Never" || isEnding { return "Failed" }
        return "Running"
    }

    // MARK: - Conditions

    private func conditions(
        _ pod: Pod, _ observation: PodObservation, _ status: PodStatus, isInitialized: Bool
    ) -> [PodCondition] {
        let ended = status.phase == "Succeeded" || status.phase == "Failed"
        let completed =
            status.phase == "Succeeded" ? "PodCompleted" : status.phase == "Failed" ? "PodFailed" : ""
        let unready =
            status.containerStatuses.filter { !$0.ready }.map(\.name)
            + zip(pod.spec.initContainers, status.initContainerStatuses)
            .filter { $0.0.isSidecar && !$0.1.ready }.map(\.1.name)
        let unfinished = status.initContainerStatuses
            .filter { !$0.ready && !($0.started ?? false) }.map(\.name)

        var wanted: [PodCondition] = []
        wanted.append(
            Self.condition(
                "PodReadyToStartContainers",
                observation.readySandbox?.addresses.isEmpty == false
                    || (observation.readySandbox != nil && pod.spec.hostNetwork)))
        let initialized = isInitialized || unfinished.isEmpty || status.phase == "Succeeded"
        wanted.append(
            initialized
                ? Self.condition("Initialized", true, status.phase == "Succeeded" ? "PodCompleted" : "")
                : Self.condition(
                    "Initialized", false, "ContainersNotInitialized",
                    "containers with incomplete status: [\(unfinished.joined(separator: " "))]"))
        let notReady = "containers with unready status: [\(unready.joined(separator: " "))]"
        let areReady = !ended && unready.isEmpty && !status.containerStatuses.isEmpty
        let why = ended ? (completed, "") : ("ContainersNotReady", notReady)
        let gates = pod.spec.readinessGates.filter { gate in
            !pod.status.conditions.contains { $0.type == gate.conditionType && $0.status == "True" }
        }.map(\.conditionType)
        if areReady, hasLeftItsServices(pod, status) {
            wanted.append(
                Self.condition(
                    "Ready", false, "PodTerminating",
                    "Services have let go of the pod, and its containers are being stopped"))
        } else if areReady, !gates.isEmpty {
            wanted.append(
                Self.condition(
                    "Ready", false, "ReadinessGatesNotReady",
                    gates.map { "corresponding condition of pod readiness gate \"\($0)\" does not exist." }
                        .joined(separator: ", ")))
        } else {
            wanted.append(
                areReady ? Self.condition("Ready", true) : Self.condition("Ready", false, why.0, why.1))
        }
        wanted.append(
            areReady
                ? Self.condition("ContainersReady", true)
                : Self.condition("ContainersReady", false, why.0, why.1))
        wanted.append(Self.condition("PodScheduled", true))

        let ours = Set(wanted.map(\.type))
        var result = wanted.map { condition in
            var condition = condition
            condition.observedGeneration = pod.metadata.generation
            let before = pod.status.conditions.first { $0.type == condition.type }
            condition.lastTransitionTime =
                before?.status == condition.status ? before?.lastTransitionTime ?? wall : wall
            return condition
        }
        result += status.conditions.filter { !ours.contains($0.type) }
        return result
    }

    /// Whether others serve in the pod's place and its containers may be stopped at any time. From then on its
    /// endpoints must not say `serving`: should the others begin to terminate too, proxies would go back to it
    /// (KEP-1669). A last endpoint has no such condition, and serves for as long as its containers do.
    private func hasLeftItsServices(_ pod: Pod, _ status: PodStatus) -> Bool {
        pod.metadata.deletionTimestamp != nil
            && status.conditions.contains { $0.type == GateReport.drainedType }
    }

    private static func condition(
        _ type: String, _ isTrue: Bool, _ reason: String = "", _ message: String = ""
    ) -> PodCondition {
        PodCondition(type: type, status: isTrue ? "True" : "False", reason: reason, message: message)
    }
}

extension WaitingReason {
    fileprivate var asState: ContainerStateWaiting { ContainerStateWaiting(reason: reason, message: message) }
}
