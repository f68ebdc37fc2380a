import ContainerRuntime
import KubernetesAPI
import KubernetesClient

/// A container that could not be started: the reason for its status.
package struct ContainerStartFailure: Error, Sendable {
    package var reason: WaitingReason
    package init(_ reason: String, _ message: String) { self.reason = WaitingReason(reason, message) }
}

/// Starts one container: image, environment, mounts, create, start, postStart; with upstream's events.
package struct ContainerStarter: Sendable {
    package var context: PodContext
    package var pod: Pod
    package var sandbox: SandboxObservation
    package var volumes: [String: String]

    package init(context: PodContext, pod: Pod, sandbox: SandboxObservation, volumes: [String: String]) {
        self.context = context
        self.pod = pod
        self.sandbox = sandbox
        self.volumes = volumes
    }

    /// Returns the container's id.
    package func start(_ container: Container, attempt: Int) async throws(ContainerStartFailure) -> String {
        let image = try await ensureImage(container)
        let sandboxConfiguration: SandboxConfiguration
        do {
            sandboxConfiguration = try context.sandboxConfiguration(pod, attempt: sandbox.attempt)
        } catch {
            report(container, "Failed", "Error: \(error)")
            throw ContainerStartFailure("CreateContainerConfigError", "\(error)")
        }
        let configuration = try await configure(container, attempt: attempt, image: image)
        let id: String
        do {
            id = try await context.runtime.createContainer(
                in: sandbox.id, configuration, sandboxConfiguration: sandboxConfiguration)
        } catch {
            let text = error.goDescription
            report(container, "Failed", "Error: \(text)")
            throw ContainerStartFailure("CreateContainerError", text)
        }
        context.event(pod, "Normal", "Created", "Created container: \(container.name)", container: container)
        do {
            try await context.runtime.startContainer(id)
        } catch {
            let text = error.goDescription
            report(container, "Failed", "Error: \(text)")
            throw ContainerStartFailure("RunContainerError", text)
        }
        context.event(pod, "Normal", "Started", "Started container \(container.name)", container: container)
        try await postStart(container, id)
        return id
    }

    private func report(_ container: Container, _ reason: String, _ message: String) {
        context.event(pod, "Warning", reason, message, container: container)
    }

    // MARK: - Image

    private func ensureImage(_ container: Container) async throws(ContainerStartFailure) -> ImageObservation?
    {
        let name = container.image
        let reference: ImageReference
        do {
            reference = try ImageReference(parsing: name)
        } catch {
            let text =
                "Failed to apply default image tag \"\(name)\": couldn't parse image name \"\(name)\": "
                + "invalid reference format"
            report(container, "InspectFailed", text)
            report(container, "Failed", "Error: InvalidImageName")
            throw ContainerStartFailure("InvalidImageName", text)
        }
        let present: ImageObservation?
        do {
            present = try await context.runtime.image(name)
        } catch {
            let text = "Failed to inspect image \"\(name)\": \(error.goDescription)"
            report(container, "InspectFailed", text)
            throw ContainerStartFailure("ImageInspectError", text)
        }
        switch ImagePullPlan(policy: container.imagePullPolicy, image: name, isPresent: present != nil) {
        case .useLocal:
            reportPresent(container)
            return present
        case .never:
            let text = "Container image \"\(name)\" is not present with pull policy of Never"
            report(container, "ErrImageNeverPull", text)
            report(container, "Failed", "Error: ErrImageNeverPull")
            throw ContainerStartFailure("ErrImageNeverPull", text)
        case .pull
        where container.imagePullPolicy == "IfNotPresent" && context.configuration.hasImage(reference):
            // What was loaded into this machine is present; that the runtime has yet to read it is no pull.
            try await fetch(container, reference)
            reportPresent(container)
        case .pull:
            try await pull(container, reference)
        }
        do {
            return try await context.runtime.image(name)
        } catch {
            throw ContainerStartFailure("ImageInspectError", error.goDescription)
        }
    }

    private func pull(_ container: Container, _ reference: ImageReference) async throws(ContainerStartFailure)
    {
        let name = container.image
        context.event(pod, "Normal", "Pulling", "Pulling image \"\(name)\"", container: container)
        let begin = context.clock.now()
        try await fetch(container, reference)
        let milliseconds = (context.clock.now() - begin) / .milliseconds(1)
        let took = milliseconds < 1000 ? "\(Int(milliseconds))ms" : "\(Double(Int(milliseconds)) / 1000)s"
        let size = (try? await context.runtime.image(name))?.size ?? 0
        context.event(
            pod, "Normal", "Pulled",
            "Successfully pulled image \"\(name)\" in \(took) (\(took) including waiting). Image size: \(size) bytes.",
            container: container)
    }

    private func fetch(
        _ container: Container, _ reference: ImageReference
    ) async throws(ContainerStartFailure) {
        do {
            _ = try await context.runtime.pullImage(
                container.image, credentials: await credentials(reference))
        } catch {
            let text = error.goDescription
            report(container, "Failed", "Failed to pull image \"\(container.image)\": \(text)")
            report(container, "Failed", "Error: ErrImagePull")
            throw ContainerStartFailure("ErrImagePull", text)
        }
    }

    private func reportPresent(_ container: Container) {
        context.event(
            pod, "Normal", "Pulled", "Container image \"\(container.image)\" already present on machine",
            container: container)
    }

    private func credentials(_ reference: ImageReference) async -> RegistryCredentials? {
        for secret in pod.spec.imagePullSecrets {
            guard
                let object = try? await context.client.get(
                    Secret.self, name: secret.name, namespace: pod.metadata.namespace),
                let file = object.data[".dockerconfigjson"]
            else { continue }
            if let found = PullSecrets.credentials(file, registry: reference.registry) { return found }
        }
        return nil
    }

    // MARK: - Configuration

    private func configure(
        _ container: Container, attempt: Int, image: ImageObservation?
    ) async throws(ContainerStartFailure) -> ContainerConfiguration {
        do {
            let facts = context.facts(pod, addresses: sandbox.addresses)
            let variables = try await environment(container, facts).variables(container)
            let hosts = try writeHosts(facts)
            let mounts = try context.volumes.mounts(
                container, attempt: attempt, facts: facts, volumes: volumes, variables: variables,
                hosts: hosts)
            return try ContainerBuilder(
                pod: pod, variables: variables, mounts: mounts, image: image,
                memoryCapacity: context.memoryCapacity
            ).configuration(container, attempt: attempt)
        } catch {
            let text = (error as? APIError)?.status.message ?? "\(error)"
            report(container, "Failed", "Error: \(text)")
            throw ContainerStartFailure("CreateContainerConfigError", text)
        }
    }

    private func environment(_ container: Container, _ facts: DownwardAPI) async throws -> Environment {
        let needs = Environment.needs(container)
        var environment = Environment(facts: facts)
        for name in needs.configMaps {
            do {
                environment.configMaps[name] = try await context.client.get(
                    ConfigMap.self, name: name, namespace: pod.metadata.namespace)
            } catch  where isNotFound(error) {
                continue
            }
        }
        for name in needs.secrets {
            do {
                environment.secrets[name] = try await context.client.get(
                    Secret.self, name: name, namespace: pod.metadata.namespace)
            } catch  where isNotFound(error) {
                continue
            }
        }
        await context.services.waitForSync()
        environment.services = context.services.list(namespace: pod.metadata.namespace)
        if pod.metadata.namespace != "default",
            let api = context.services.get(namespace: "default", name: "kubernetes")
        {
            environment.services.append(api)
        }
        return environment
    }

    private func writeHosts(_ facts: DownwardAPI) throws -> String {
        let folder = context.folders.pod(pod.metadata.uid)
        try Files.createFolder(folder)
        let path = "\(folder)/etc-hosts"
        let text = HostsFile.text(
            pod, addresses: facts.podAddresses, nodeFile: Files.text("/etc/hosts") ?? "",
            domain: context.configuration.clusterDomain)
        // The file is mounted into containers that may run: written once for each sandbox, in place never.
        if Files.text(path) != text { try Files.write(Array(text.utf8), to: path) }
        return path
    }

    // MARK: - Hooks

    private func postStart(_ container: Container, _ id: String) async throws(ContainerStartFailure) {
        guard let hook = container.lifecycle?.postStart else { return }
        let outcome = await run(hook, container, id, limit: .seconds(24 * 3600))
        guard !outcome.isSuccess else { return }
        report(container, "FailedPostStartHook", "PostStartHook failed")
        context.event(
            pod, "Normal", "Killing", "FailedPostStartHook", container: container)
        try? await context.runtime.stopContainer(id, grace: .seconds(2))
        throw ContainerStartFailure("PostStartHookError", outcome.message)
    }

    /// Runs a lifecycle hook.
    package func run(
        _ hook: LifecycleHandler, _ container: Container, _ id: String, limit: Duration
    ) async -> ProbeOutcome {
        if let exec = hook.exec {
            return await context.probeClient.execute(exec.command, id: id, timeout: limit)
        }
        if let http = hook.httpGet {
            return await context.probeClient.get(
                http, container: container, address: sandbox.addresses.first ?? "127.0.0.1", timeout: limit)
        }
        if let sleep = hook.sleep {
            try? await context.clock.sleep(min(.seconds(max(0, sleep.seconds)), limit))
            return ProbeOutcome(true)
        }
        return ProbeOutcome(true)
    }
}
