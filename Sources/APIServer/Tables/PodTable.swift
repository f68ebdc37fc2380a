import KubernetesAPI
import KubernetesJSON

/// The columns of pods. The status is not the phase: it is the most telling thing that is known of the
/// containers, as users of `kubectl get pods` are used to.
package enum PodTable {
    static let printer = TablePrinter<Pod>([
        .name,
        TableColumn("Ready", "How many of the pod's containers are ready, of how many."),
        TableColumn("Status", "The state of the pod, told from its containers."),
        TableColumn("Restarts", "How often containers were restarted, and how long ago the last time."),
        .age,
        .wide("IP", "The pod's address."),
        .wide("Node", "The node the pod was assigned to."),
        .wide("Nominated Node", "The node on which room is being made for the pod."),
        .wide("Readiness Gates", "How many of the pod's readiness gates are passed, of how many."),
    ]) { pod, now in
        let summary = Summary(pod)
        var restarts = "\(summary.restarts)"
        if summary.restarts > 0, let last = summary.lastRestart {
            restarts += " (\(HumanDuration.text(seconds: now.seconds - last.seconds)) ago)"
        }
        return [
            .string(pod.metadata.name), .string("\(summary.ready)/\(summary.total)"),
            .string(summary.status), .string(restarts), Cell.age(pod.metadata.creationTimestamp, now),
            Cell.orNone(pod.status.podIPs.first?.ip ?? pod.status.podIP),
            Cell.orNone(pod.spec.nodeName),
            Cell.orNone(pod.status.nominatedNodeName),
            .string(gates(pod)),
        ]
    }

    private static func gates(_ pod: Pod) -> String {
        let gates = pod.spec.readinessGates
        guard !gates.isEmpty else { return "<none>" }
        let passed = gates.filter { gate in
            pod.status.conditions.contains { $0.type == gate.conditionType && $0.status == "True" }
        }
        return "\(passed.count)/\(gates.count)"
    }

    /// What the narrow columns show of a pod.
    package struct Summary: Sendable, Hashable {
        package var ready = 0
        package var total = 0
        package var status = ""
        package var restarts = 0
        package var lastRestart: Time?

        package init(_ pod: Pod) {
            total = pod.spec.containers.count
            status = pod.status.reason.isEmpty ? pod.status.phase : pod.status.reason
            if pod.status.conditions.contains(where: {
                $0.type == "PodScheduled" && $0.reason == "SchedulingGated"
            }) {
                status = "SchedulingGated"
            }
            let sidecars = Set(
                pod.spec.initContainers.filter { $0.restartPolicy == "Always" }.map(\.name))
            total += sidecars.count
            var sidecarRestarts = 0
            let isInitializing = readInitContainers(pod, sidecars: sidecars, &sidecarRestarts)
            let isInitialized = pod.status.conditions.contains {
                $0.type == "Initialized" && $0.status == "True"
            }
            if !isInitializing || isInitialized {
                restarts = sidecarRestarts
                readContainers(pod)
            }
            guard pod.metadata.deletionTimestamp != nil else { return }
            if pod.status.reason == "NodeLost" {
                status = "Unknown"
            } else if pod.status.phase != "Succeeded", pod.status.phase != "Failed" {
                status = "Terminating"
            }
        }

        /// - Returns: whether an init container still stands between the pod and its containers.
        private mutating func readInitContainers(
            _ pod: Pod, sidecars: Set<String>, _ sidecarRestarts: inout Int
        ) -> Bool {
            for (index, container) in pod.status.initContainerStatuses.enumerated() {
                restarts += container.restartCount
                noteRestart(container)
                let isSidecar = sidecars.contains(container.name)
                if isSidecar { sidecarRestarts += container.restartCount }
                if let terminated = container.state.terminated, terminated.exitCode == 0 { continue }
                if isSidecar, container.started == true {
                    if container.ready { ready += 1 }
                    continue
                }
                if let terminated = container.state.terminated {
                    status = "Init:" + Summary.reason(terminated)
                } else if let waiting = container.state.waiting, !waiting.reason.isEmpty,
                    waiting.reason != "PodInitializing"
                {
                    status = "Init:" + waiting.reason
                } else {
                    status = "Init:\(index)/\(pod.spec.initContainers.count)"
                }
                return true
            }
            return false
        }

        private mutating func readContainers(_ pod: Pod) {
            var hasRunning = false
            for container in pod.status.containerStatuses.reversed() {
                restarts += container.restartCount
                noteRestart(container)
                if let waiting = container.state.waiting, !waiting.reason.isEmpty {
                    status = waiting.reason
                } else if let terminated = container.state.terminated {
                    status = Summary.reason(terminated)
                } else if container.ready, container.state.running != nil {
                    hasRunning = true
                    ready += 1
                }
            }
            guard status == "Completed", hasRunning else { return }
            let isReady = pod.status.conditions.contains { $0.type == "Ready" && $0.status == "True" }
            status = isReady ? "Running" : "NotReady"
        }

        private mutating func noteRestart(_ container: ContainerStatus) {
            guard let finished = container.lastState.terminated?.finishedAt else { return }
            if let last = lastRestart, last >= finished { return }
            lastRestart = finished
        }

        private static func reason(_ terminated: ContainerStateTerminated) -> String {
            if !terminated.reason.isEmpty { return terminated.reason }
            if terminated.signal != 0 { return "Signal:\(terminated.signal)" }
            return "ExitCode:\(terminated.exitCode)"
        }
    }
}
