import ContainerRuntime
import Glibc
import KubernetesAPI
import KubernetesClient
import Logging
import Synchronization

/// What the workers of a node's pods share.
package struct PodContext: Sendable {
    package var configuration: NodeConfiguration
    package var client: KubernetesClient
    package var services: Informer<Service>
    package var runtime: any RuntimeService
    package var volumes: VolumeManager
    package var recorder: EventRecorder
    package var traffic: any PodTraffic
    package var podIsWired: @Sendable () -> Void
    package var clock: AgentClock
    package var logger: Logger
    /// How many sandboxes and containers are started at a time; more only get in each other's way.
    package var starts: Turnstile
    /// What the node gives to pods.
    package var allocatable: [String: Quantity]
    package var memoryCapacity: Int

    package var folders: PodFolders { configuration.folders }
    package var probeClient: ProbeClient { ProbeClient(runtime: runtime, version: configuration.version) }

    package func facts(_ pod: Pod, addresses: [String]) -> DownwardAPI {
        DownwardAPI(
            pod: pod, podAddresses: pod.spec.hostNetwork ? configuration.addresses : addresses,
            nodeAddresses: configuration.addresses, allocatable: allocatable)
    }

    /// - Throws: ``ContainerConfigurationError`` if the pod's host name is longer than the kernel takes.
    package func sandboxConfiguration(
        _ pod: Pod, attempt: Int
    ) throws(ContainerConfigurationError) -> SandboxConfiguration {
        let host = ResolverConfiguration.host(configuration.hostResolverFile) { Files.text($0) }
        var resolver = ResolverConfiguration(
            pod, clusterServer: configuration.clusterDNS, domain: configuration.clusterDomain, host: host)
        for message in resolver.enforceLimits() { event(pod, "Warning", "DNSConfigForming", message) }
        let logs = folders.logs(
            namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid)
        return try SandboxBuilder(
            logDirectory: logs, controlGroup: configuration.controlGroup, resolver: resolver,
            domain: configuration.clusterDomain
        )
        .configuration(pod, attempt: attempt)
    }

    package func event(
        _ pod: Pod, _ type: String, _ reason: String, _ message: String, container: Container? = nil
    ) {
        guard let container else {
            recorder.record(pod, type: type, reason: reason, message: message)
            return
        }
        var field = "containers"
        if pod.spec.initContainers.contains(where: { $0.name == container.name }) { field = "initContainers" }
        if pod.spec.ephemeralContainers.contains(where: { $0.name == container.name }) {
            field = "ephemeralContainers"
        }
        let path = "spec.\(field){\(container.name)}"
        recorder.record(
            object: ObjectReference(to: pod, fieldPath: path), type: type, reason: reason, message: message)
    }
}

/// Lets a number of tasks through at a time; the others wait their turn.
package final class Turnstile: Sendable {
    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state: Mutex<State>

    package init(width: Int) { state = Mutex(State(free: width)) }

    package func pass<Result: Sendable, Failure: Error>(
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.free > 0 {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
        defer {
            let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
                if state.waiting.isEmpty {
                    state.free += 1
                    return nil
                }
                return state.waiting.removeFirst()
            }
            next?.resume()
        }
        return try await body()
    }
}
