import ContainerRuntime
import KubernetesAPI

/// What is really there of a pod: the runtime's view, and what the probes say.
package struct PodObservation: Sendable, Hashable {
    /// All sandboxes of the pod, the newest first.
    package var sandboxes: [SandboxObservation]
    /// All containers of the pod, dead ones and earlier attempts too.
    package var containers: [ContainerObservation]
    /// By container id; a container without probes has no entry.
    package var probes: [String: ProbeResults]

    package init(
        sandboxes: [SandboxObservation] = [], containers: [ContainerObservation] = [],
        probes: [String: ProbeResults] = [:]
    ) {
        self.sandboxes = sandboxes.sorted { ($0.attempt, $0.createdAt) > ($1.attempt, $1.createdAt) }
        self.containers = containers
        self.probes = probes
    }

    /// The sandbox the pod lives in, if it is up.
    package var readySandbox: SandboxObservation? { sandboxes.first { $0.isReady } }

    /// The attempts of one container, the newest first.
    package func attempts(_ name: String) -> [ContainerObservation] {
        containers.filter { $0.name == name }.sorted {
            ($0.attempt, $0.createdAt) > ($1.attempt, $1.createdAt)
        }
    }

    /// The newest attempt of one container.
    package func newest(_ name: String) -> ContainerObservation? { attempts(name).first }

    /// What the probes say of a container; one without probes is started, ready and alive while it runs.
    package func probeResults(_ container: ContainerObservation) -> ProbeResults {
        probes[container.id] ?? ProbeResults(isStarted: true, isReady: true, failure: nil)
    }
}

/// What the probes of one running container say.
package struct ProbeResults: Sendable, Hashable {
    /// A probe that has failed so often that the container is to be restarted.
    package enum Failure: String, Sendable, Hashable { case liveness, startup }

    /// The startup probe has succeeded, or there is none.
    package var isStarted: Bool
    /// The readiness probe succeeds, or there is none.
    package var isReady: Bool
    package var failure: Failure?

    package init(isStarted: Bool, isReady: Bool, failure: Failure?) {
        self.isStarted = isStarted
        self.isReady = isReady
        self.failure = failure
    }
}

/// Something to be done for a pod.
package enum PodAction: Sendable, Hashable {
    /// Create and start a sandbox; `attempt` counts the pod's sandboxes.
    case createSandbox(attempt: Int)
    case stopSandbox(id: String)
    case removeSandbox(id: String)
    /// Fetch the image if necessary, create and start a container; `attempt` counts its restarts.
    case startContainer(name: String, attempt: Int)
    /// Stop a container that is to be restarted, with the pod's grace period or that of the probe that failed.
    case killContainer(id: String, name: String, message: String, probe: ProbeResults.Failure? = nil)
    case removeContainer(id: String)
    /// Tell people about a container, in an event; about the pod if none is named.
    case report(container: String, type: String, reason: String, message: String)
    /// Take the pod down: gate, preStop, SIGTERM, grace period, SIGKILL, network.
    case terminate(grace: Duration)
    /// The grace period got shorter while the pod is going down.
    case hasten(grace: Duration)
    /// Everything has stopped: remove containers, volumes, control groups and folders, and then the API object.
    case finish
}

/// Why a container does not run, as `state.waiting` shows it.
package struct WaitingReason: Sendable, Hashable {
    package var reason: String
    package var message: String

    package init(_ reason: String, _ message: String = "") {
        self.reason = reason
        self.message = message
    }

    package static let creating = WaitingReason("ContainerCreating")
    package static let initializing = WaitingReason("PodInitializing")
}

extension ContainerObservation {
    /// Whether it was made of another image than its definition names by now. Nothing else of a definition can
    /// change while a container runs.
    func isOutdated(_ container: Container) -> Bool {
        guard let image = annotations[ContainerBuilder.imageAnnotation] else { return false }
        return image != container.image
    }
}

extension Container {
    /// An init container that goes on running beside the others (a sidecar).
    package var isSidecar: Bool { restartPolicy == "Always" }
}

extension Pod {
    /// `namespace/name`.
    package var key: String { "\(metadata.namespace)/\(metadata.name)" }
    /// The spec's container of that name, init containers included.
    package func container(_ name: String) -> Container? {
        spec.containers.first { $0.name == name } ?? spec.initContainers.first { $0.name == name }
            ?? spec.ephemeralContainers.first { $0.name == name }?.asContainer
    }
    /// True once the phase is final.
    package var hasEnded: Bool { status.phase == "Succeeded" || status.phase == "Failed" }
}
