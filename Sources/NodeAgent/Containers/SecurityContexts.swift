import ContainerRuntime
import KubernetesAPI

/// Turns security contexts into what the container runtime understands.
package enum SecurityContexts {
    /// What CRI hides from unprivileged containers; containerd adds nothing of its own.
    private static let maskedPaths = [
        "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    private static let readonlyPaths = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]

    package static func namespaces(_ pod: Pod) -> Runtime_V1_NamespaceOption {
        var options = Runtime_V1_NamespaceOption()
        options.network = pod.spec.hostNetwork ? .node : .pod
        options.ipc = pod.spec.hostIPC ? .node : .pod
        options.pid = pod.spec.hostPID ? .node : pod.spec.shareProcessNamespace == true ? .pod : .container
        return options
    }

    package static func isPrivileged(_ pod: Pod) -> Bool {
        (pod.spec.containers + pod.spec.initContainers).contains { $0.securityContext?.privileged == true }
    }

    /// The context of a container: its own fields, else the pod's.
    ///
    /// Throws when the container must not run as root and would.
    package static func container(
        _ container: Container, _ pod: Pod, image: ImageObservation?
    ) throws(ContainerConfigurationError) -> Runtime_V1_LinuxContainerSecurityContext {
        let own = container.securityContext ?? SecurityContext()
        let shared = pod.spec.securityContext ?? PodSecurityContext()
        var context = Runtime_V1_LinuxContainerSecurityContext()
        context.namespaceOptions = namespaces(pod)
        context.privileged = own.privileged ?? false
        context.readonlyRootfs = own.readOnlyRootFilesystem ?? false
        context.noNewPrivs = own.allowPrivilegeEscalation == false
        if let user = own.runAsUser ?? shared.runAsUser {
            context.runAsUser.value = Int64(user)
        } else if let user = image?.userID {
            context.runAsUser.value = user
        } else if let name = image?.userName, !name.isEmpty {
            context.runAsUsername = name
        }
        if let group = own.runAsGroup ?? shared.runAsGroup { context.runAsGroup.value = Int64(group) }
        if own.runAsNonRoot ?? shared.runAsNonRoot ?? false {
            try refuseRoot(container, pod, context, image)
        }
        context.supplementalGroups = (shared.supplementalGroups + [shared.fsGroup].compactMap { $0 }).map(
            Int64.init)
        context.capabilities.addCapabilities = own.capabilities?.add ?? []
        context.capabilities.dropCapabilities = own.capabilities?.drop ?? []
        context.seccomp = profile(own.seccompProfile ?? shared.seccompProfile)
        if !context.privileged, own.procMount != "Unmasked" {
            context.maskedPaths = maskedPaths
            context.readonlyPaths = readonlyPaths
        }
        return context
    }

    private static func refuseRoot(
        _ container: Container, _ pod: Pod, _ context: Runtime_V1_LinuxContainerSecurityContext,
        _ image: ImageObservation?
    ) throws(ContainerConfigurationError) {
        let about =
            "(pod: \"\(pod.metadata.name)_\(pod.metadata.namespace)(\(pod.metadata.uid))\", container: \(container.name))"
        if !context.runAsUsername.isEmpty {
            throw ContainerConfigurationError(
                "container has runAsNonRoot and image has non-numeric user (\(context.runAsUsername)), cannot verify "
                    + "user is non-root \(about)")
        }
        guard context.hasRunAsUser else {
            throw ContainerConfigurationError(
                "container has runAsNonRoot and image will run as root \(about)")
        }
        if context.runAsUser.value == 0 {
            throw ContainerConfigurationError(
                container.securityContext?.runAsUser == nil && pod.spec.securityContext?.runAsUser == nil
                    ? "container has runAsNonRoot and image will run as root \(about)"
                    : "container's runAsUser breaks non-root policy \(about)")
        }
    }

    package static func profile(_ profile: SeccompProfile?) -> Runtime_V1_SecurityProfile {
        var result = Runtime_V1_SecurityProfile()
        switch profile?.type {
        case "RuntimeDefault": result.profileType = .runtimeDefault
        case "Localhost":
            result.profileType = .localhost
            result.localhostRef = profile?.localhostProfile ?? ""
        default: result.profileType = .unconfined
        }
        return result
    }
}
