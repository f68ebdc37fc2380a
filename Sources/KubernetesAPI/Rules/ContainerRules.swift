/// Rules on the containers of one pod.
struct ContainerRules {
    /// The pod's spec.
    let spec: PodSpec
    /// Those of the pod's volumes that are sound, by name.
    let volumes: [String: Volume]

    private static let protocols = ["SCTP", "TCP", "UDP"]

    func regular(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        if spec.containers.isEmpty { errors.required(path) }
        var names: Set<String> = []
        for (index, container) in spec.containers.enumerated() {
            let path = path.index(index)
            errors += common(path, container)
            if !names.insert(container.name).inserted {
                errors.duplicate(path.child("name"), container.name)
            }
            errors += running(path, container)
            if let policy = container.restartPolicy {
                errors.requireOneOf(path.child("restartPolicy"), policy, ["Always", "OnFailure", "Never"])
            }
        }
        return errors + hostPorts(path, spec.containers)
    }

    func initial(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        var names = Set(spec.containers.map(\.name))
        for (index, container) in spec.initContainers.enumerated() {
            let path = path.index(index)
            errors += common(path, container)
            if let policy = container.restartPolicy {
                errors.requireOneOf(path.child("restartPolicy"), policy, ["Always", "OnFailure", "Never"])
            }
            if !names.insert(container.name).inserted {
                errors.duplicate(path.child("name"), container.name)
            }
            errors += hostPorts(path, [container])
            if container.restartPolicy == "Always" {
                errors += running(path, container)
            } else {
                let hooks: [(String, Bool)] = [
                    ("lifecycle", container.lifecycle != nil),
                    ("livenessProbe", container.livenessProbe != nil),
                    ("readinessProbe", container.readinessProbe != nil),
                    ("startupProbe", container.startupProbe != nil),
                ]
                for (field, isSet) in hooks where isSet {
                    errors.forbidden(
                        path.child(field), "may not be set for init containers without restartPolicy=Always")
                }
            }
        }
        return errors
    }

    func ephemeral(_ path: RulePath) -> [FieldError] {
        var errors: [FieldError] = []
        let others = Set(spec.containers.map(\.name) + spec.initContainers.map(\.name))
        var names = others
        for (index, ephemeral) in spec.ephemeralContainers.enumerated() {
            let path = path.index(index)
            let container = ephemeral.asContainer
            errors += common(path, container) + Self.trimmedImage(path, container.image)
            if !names.insert(ephemeral.name).inserted {
                errors.duplicate(path.child("name"), ephemeral.name)
            }
            if !ephemeral.targetContainerName.isEmpty, !others.contains(ephemeral.targetContainerName) {
                errors.notFound(path.child("targetContainerName"), ephemeral.targetContainerName)
            }
            // It is a guest for debugging: nothing may depend on it and it may claim nothing.
            let refused: [(String, Bool)] = [
                ("ports", !container.ports.isEmpty), ("resources", container.resources != .init()),
                ("resizePolicy", !container.resizePolicy.isEmpty),
                ("restartPolicy", container.restartPolicy != nil),
                ("livenessProbe", container.livenessProbe != nil),
                ("readinessProbe", container.readinessProbe != nil),
                ("startupProbe", container.startupProbe != nil), ("lifecycle", container.lifecycle != nil),
            ]
            for (field, isSet) in refused where isSet {
                errors.forbidden(path.child(field), "cannot be set for an Ephemeral Container")
            }
            for (number, mount) in container.volumeMounts.enumerated() {
                let path = path.child("volumeMounts").index(number)
                for (field, value) in [("subPath", mount.subPath), ("subPathExpr", mount.subPathExpr)]
                where !value.isEmpty {
                    errors.forbidden(path.child(field), "cannot be set for an Ephemeral Container")
                }
            }
        }
        return errors
    }

    static func trimmedImage(_ path: RulePath, _ image: String) -> [FieldError] {
        let isPadded = image.first?.isWhitespace == true || image.last?.isWhitespace == true
        guard isPadded else { return [] }
        return [
            .invalid(
                path.child("image").text, .string(image), "must not have leading or trailing whitespace")
        ]
    }

    // MARK: - Every container

    private func common(_ path: RulePath, _ container: Container) -> [FieldError] {
        var errors: [FieldError] = []
        if container.name.isEmpty {
            errors.required(path.child("name"))
        } else {
            errors.require(NameRules.label, path.child("name"), container.name)
        }
        if container.image.isEmpty { errors.required(path.child("image")) }
        errors.requireNamed(
            path.child("terminationMessagePolicy"), container.terminationMessagePolicy,
            ["File", "FallbackToLogsOnError"])
        errors += ports(path.child("ports"), container.ports)
        errors += EnvironmentRules.variables(path.child("env"), container.env)
        errors += EnvironmentRules.sources(path.child("envFrom"), container.envFrom)
        errors += MountRules(container: container, volumes: volumes).validate(path)
        errors.requireNamed(
            path.child("imagePullPolicy"), container.imagePullPolicy, ["Always", "IfNotPresent", "Never"])
        errors += ResourceRules.requirements(
            path.child("resources"), container.resources, claims: spec.resourceClaims)
        errors += resizing(path.child("resizePolicy"), container.resizePolicy)
        errors += SecurityRules.container(
            path.child("securityContext"), container.securityContext, hostUsers: spec.hostUsers != false)
        return errors
    }

    private func ports(_ path: RulePath, _ ports: [ContainerPort]) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = path.index(index)
            if !port.name.isEmpty {
                let messages = NameRules.portName(port.name)
                errors.invalid(path.child("name"), port.name, messages: messages)
                if messages.isEmpty, !names.insert(port.name).inserted {
                    errors.duplicate(path.child("name"), port.name)
                }
            }
            if port.containerPort == 0 {
                errors.required(path.child("containerPort"))
            } else {
                errors.requireRange(path.child("containerPort"), port.containerPort, RuleText.ports)
            }
            if port.hostPort != 0 {
                errors.requireRange(path.child("hostPort"), port.hostPort, RuleText.ports)
            }
            errors.requireNamed(path.child("protocol"), port.protocol, Self.protocols)
        }
        return errors
    }

    private func hostPorts(_ path: RulePath, _ containers: [Container]) -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, container) in containers.enumerated() {
            for (number, port) in container.ports.enumerated() where port.hostPort != 0 {
                let key = "\(port.protocol)/\(port.hostIP)/\(port.hostPort)"
                if !seen.insert(key).inserted {
                    errors.duplicate(
                        path.index(index).child("ports").index(number).child("hostPort"), key)
                }
            }
        }
        return errors
    }

    private func resizing(_ path: RulePath, _ policies: [ContainerResizePolicy]) -> [FieldError] {
        var errors: [FieldError] = []
        var seen: Set<String> = []
        for (index, policy) in policies.enumerated() {
            if !seen.insert(policy.resourceName).inserted {
                errors.duplicate(path.index(index), policy.resourceName)
            }
            errors.requireNamed(path, policy.resourceName, ["cpu", "memory"])
            errors.requireNamed(path, policy.restartPolicy, ["NotRequired", "RestartContainer"])
            if spec.restartPolicy == "Never", policy.restartPolicy != "NotRequired" {
                errors.invalid(
                    path, policy.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'")
            }
        }
        return errors
    }

    // MARK: - Containers that keep running

    private func running(_ path: RulePath, _ container: Container) -> [FieldError] {
        let grace = spec.terminationGracePeriodSeconds
        var errors: [FieldError] = []
        if let lifecycle = container.lifecycle {
            errors += ProbeRules.hook(path.child("lifecycle.postStart"), lifecycle.postStart, grace)
            errors += ProbeRules.hook(path.child("lifecycle.preStop"), lifecycle.preStop, grace)
            if lifecycle.stopSignal != nil, spec.os == nil {
                errors.forbidden(
                    path.child("lifecycle.stopSignal"), "may not be set for containers with empty os.name")
            }
        }
        errors += ProbeRules.probe(
            path.child("livenessProbe"), container.livenessProbe, mayNeedSeveral: false)
        errors += ProbeRules.probe(
            path.child("readinessProbe"), container.readinessProbe, mayNeedSeveral: true)
        if let grace = container.readinessProbe?.terminationGracePeriodSeconds {
            errors.invalid(
                path.child("readinessProbe.terminationGracePeriodSeconds"), grace,
                "must not be set for readinessProbes")
        }
        errors += ProbeRules.probe(path.child("startupProbe"), container.startupProbe, mayNeedSeveral: false)
        return errors
    }
}

extension EphemeralContainer {
    /// The same as an ordinary container.
    package var asContainer: Container {
        Container(
            name: name, image: image, command: command, args: args, workingDir: workingDir, ports: ports,
            envFrom: envFrom, env: env, resources: resources, resizePolicy: resizePolicy,
            restartPolicy: restartPolicy, restartPolicyRules: restartPolicyRules, volumeMounts: volumeMounts,
            volumeDevices: volumeDevices, livenessProbe: livenessProbe, readinessProbe: readinessProbe,
            startupProbe: startupProbe, lifecycle: lifecycle, terminationMessagePath: terminationMessagePath,
            terminationMessagePolicy: terminationMessagePolicy, imagePullPolicy: imagePullPolicy,
            securityContext: securityContext, stdin: stdin, stdinOnce: stdinOnce, tty: tty)
    }
}
