extension Pod: Validating {
    public func validate() -> [FieldError] {
        var errors = validateMetadataAndSpec()
        if !spec.ephemeralContainers.isEmpty {
            errors.forbidden("spec.ephemeralContainers", "cannot be set on create")
        }
        if !spec.nodeName.isEmpty, !spec.schedulingGates.isEmpty {
            errors.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
        }
        return errors + SeccompAnnotation.contradictions("spec", metadata.annotations, spec)
    }

    /// The rules on a pod as it is, whether new or changed.
    func validateMetadataAndSpec() -> [FieldError] {
        var errors = metadata.validate(isNamespaced: true, name: NameRules.subdomain)
        errors += PodAnnotationRules.rules("metadata.annotations", metadata.annotations, spec)
        errors += PodRules.spec("spec", spec, of: self)
        if spec.serviceAccountName.isEmpty {
            for (index, volume) in spec.volumes.enumerated() {
                for (part, source) in (volume.projected?.sources ?? []).enumerated()
                where source.serviceAccountToken != nil {
                    errors.forbidden(
                        RulePath("spec.volumes").index(index).child("projected.sources").index(part)
                            .child("serviceAccountToken"),
                        "must not be specified when serviceAccountName is not set")
                }
            }
        }
        for (list, containers) in [("containers", spec.containers), ("initContainers", spec.initContainers)] {
            for (index, container) in containers.enumerated() {
                errors += ContainerRules.trimmedImage(
                    RulePath("spec").child(list).index(index), container.image)
            }
        }
        return errors
    }
}

extension Pod {
    /// Marks a pod that shows in the API what a node runs by itself.
    package static let mirrorAnnotation = "kubernetes.io/config.mirror"
}

/// Rules on the spec of pods and of templates.
enum PodRules {
    /// What is wrong with a template.
    static func template(_ path: RulePath, _ template: PodTemplateSpec) -> [FieldError] {
        var errors = LabelRules.labels(path.child("labels"), template.metadata.labels)
        errors += LabelRules.annotations(path.child("annotations"), template.metadata.annotations)
        errors += PodAnnotationRules.rules(
            path.child("annotations"), template.metadata.annotations, template.spec)
        errors += spec(path.child("spec"), template.spec, of: nil)
        if !template.spec.ephemeralContainers.isEmpty {
            errors.forbidden(
                path.child("spec.ephemeralContainers"), "ephemeral containers not allowed in pod template")
        }
        return errors
    }

    /// What is wrong with a pod's spec; `pod` is nil for templates.
    static func spec(_ path: RulePath, _ spec: PodSpec, of pod: Pod?) -> [FieldError] {
        var errors: [FieldError] = []
        if spec.terminationGracePeriodSeconds == nil {
            errors.required(path.child("terminationGracePeriodSeconds"))
        }
        let volumes = VolumeRules.volumes(path.child("volumes"), spec.volumes, pod: pod, errors: &errors)
        errors += claims(path.child("resourceClaims"), spec.resourceClaims)
        let containers = ContainerRules(spec: spec, volumes: volumes)
        errors += containers.regular(path.child("containers"))
        errors += containers.initial(path.child("initContainers"))
        errors += containers.ephemeral(path.child("ephemeralContainers"))
        errors += resources(path.child("resources"), spec)
        errors += hostPorts(path.child("containers"), spec, isPod: pod != nil)
        errors.requireNamed(
            path.child("restartPolicy"), spec.restartPolicy, ["Always", "OnFailure", "Never"])
        errors.requireNamed(
            path.child("dnsPolicy"), spec.dnsPolicy,
            ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"])
        errors += LabelRules.labels(path.child("nodeSelector"), spec.nodeSelector)
        errors += SecurityRules.pod(path.child("securityContext"), spec)
        errors += PlacementRules.affinity(path.child("affinity"), spec.affinity)
        errors += dns(path.child("dnsConfig"), spec)
        errors += gates(path, spec)
        errors += PlacementRules.spread(
            path.child("topologySpreadConstraints"), spec.topologySpreadConstraints)
        errors += SystemRules.hostProcess(path, spec)
        errors += userNamespace(path, spec)
        errors += names(path, spec)
        errors += PlacementRules.tolerations(path.child("tolerations"), spec.tolerations)
        errors += hostAliases(path.child("hostAliases"), spec.hostAliases)
        if !spec.priorityClassName.isEmpty {
            errors.require(NameRules.subdomain, path.child("priorityClassName"), spec.priorityClassName)
        }
        if let name = spec.runtimeClassName {
            errors.require(NameRules.subdomain, path.child("runtimeClassName"), name)
        }
        if let policy = spec.preemptionPolicy {
            errors.requireNamed(path.child("preemptionPolicy"), policy, ["PreemptLowerPriority", "Never"])
        }
        errors += ResourceRules.requirements(
            path.child("overhead"), ResourceRequirements(limits: spec.overhead))
        return errors + SystemRules.system(path, spec)
    }

    private static func names(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        var errors: [FieldError] = []
        for (field, value, rule) in [
            ("serviceAccountName", spec.serviceAccountName, NameRules.subdomain),
            ("nodeName", spec.nodeName, NameRules.subdomain),
        ] where !value.isEmpty {
            errors.require(rule, path.child(field), value)
        }
        if let deadline = spec.activeDeadlineSeconds {
            errors.requireRange(path.child("activeDeadlineSeconds"), deadline, 1...Int(Int32.max))
        }
        for (field, value) in [("hostname", spec.hostname), ("subdomain", spec.subdomain)]
        where !value.isEmpty {
            errors.require(NameRules.label, path.child(field), value)
        }
        if let name = spec.hostnameOverride {
            let path = path.child("hostnameOverride")
            errors.require(NameRules.subdomain, path, name)
            if name.utf8.count > 64 { errors.tooLong(path, maximum: 64) }
            for (field, isSet) in [
                ("hostNetwork", spec.hostNetwork), ("setHostnameAsFQDN", spec.setHostnameAsFQDN == true),
            ] where isSet {
                errors.forbidden(path, "may not be specified when `\(field)` is true")
            }
        }
        return errors
    }

    private static func claims(_ path: RulePath, _ claims: [PodResourceClaim]) -> [FieldError] {
        var errors: [FieldError] = []
        var names: Set<String> = []
        for (index, claim) in claims.enumerated() {
            let path = path.index(index)
            if claim.name.isEmpty {
                errors.required(path.child("name"))
            } else if !names.insert(claim.name).inserted {
                errors.duplicate(path.child("name"), claim.name)
            } else {
                errors.require(NameRules.label, path.child("name"), claim.name)
            }
            switch (claim.resourceClaimName, claim.resourceClaimTemplateName) {
            case (nil, nil):
                errors.invalid(
                    path, claim.name, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
            case (.some, .some):
                errors.invalid(
                    path, claim.name,
                    "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
            case (let name?, nil): errors.require(NameRules.subdomain, path.child("resourceClaimName"), name)
            case (nil, let name?):
                errors.require(NameRules.subdomain, path.child("resourceClaimTemplateName"), name)
            }
        }
        return errors
    }

    /// Requests and limits of the pod as a whole against those of its containers.
    private static func resources(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        guard let whole = spec.resources else { return [] }
        var errors: [FieldError] = []
        if !whole.claims.isEmpty {
            errors.forbidden(path.child("claims"), "claims cannot be set for Resources at pod-level")
        }
        errors += ResourceRules.requirements(path, whole, forPod: true)
        for (name, request) in whole.requests.sorted(by: { $0.key < $1.key }) {
            let sum = spec.containers.reduce(Quantity()) { $0 + ($1.resources.requests[name] ?? Quantity()) }
            if sum > request {
                errors.invalid(
                    path.child("requests").key(name), request.description,
                    "must be greater than or equal to aggregate container requests of \(sum)")
            }
        }
        for (index, container) in spec.containers.enumerated() {
            for (name, limit) in container.resources.limits.sorted(by: { $0.key < $1.key }) {
                if let most = whole.limits[name], limit > most {
                    errors.invalid(
                        path.child("containers").index(index).key(name).child("limits"), limit.description,
                        "must be less than or equal to pod limits of \(most)")
                }
            }
        }
        return errors
    }

    private static func hostPorts(_ path: RulePath, _ spec: PodSpec, isPod: Bool) -> [FieldError] {
        guard spec.hostNetwork else { return [] }
        var errors: [FieldError] = []
        for (index, container) in spec.containers.enumerated() {
            for (number, port) in container.ports.enumerated()
            where (isPod || port.hostPort != 0) && port.hostPort != port.containerPort {
                errors.invalid(
                    path.index(index).child("ports").index(number).child("hostPort"), port.hostPort,
                    "must match `containerPort` when `hostNetwork` is true")
            }
        }
        return errors
    }

    private static func gates(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, gate) in spec.readinessGates.enumerated() {
            errors.require(
                NameRules.qualified, path.child("readinessGates").index(index).child("conditionType"),
                gate.conditionType)
        }
        var names: Set<String> = []
        for (index, gate) in spec.schedulingGates.enumerated() {
            let path = path.child("schedulingGates").index(index)
            errors.require(NameRules.qualified, path, gate.name)
            if !names.insert(gate.name).inserted { errors.duplicate(path, gate.name) }
        }
        return errors
    }

    private static func userNamespace(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        guard spec.hostUsers == false else { return [] }
        var errors: [FieldError] = []
        for (field, isShared) in [
            ("hostNetwork", spec.hostNetwork), ("HostPID", spec.hostPID), ("HostIPC", spec.hostIPC),
        ]
        where isShared {
            errors.forbidden(path.child(field), "when `pod.Spec.HostUsers` is false")
        }
        return errors
    }

    private static func hostAliases(_ path: RulePath, _ aliases: [HostAlias]) -> [FieldError] {
        var errors: [FieldError] = []
        for (index, alias) in aliases.enumerated() {
            errors += AddressRules.address(path.index(index).child("ip"), alias.ip)
            for (number, name) in alias.hostnames.enumerated() {
                errors.require(
                    NameRules.subdomain, path.index(index).child("hostnames").index(number), name)
            }
        }
        return errors
    }

    private static func dns(_ path: RulePath, _ spec: PodSpec) -> [FieldError] {
        var errors: [FieldError] = []
        guard let config = spec.dnsConfig else {
            if spec.dnsPolicy == "None" {
                errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            }
            return errors
        }
        if spec.dnsPolicy == "None", config.nameservers.isEmpty {
            errors.required(
                path.child("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None")
            return errors
        }
        // The limits of resolv.conf readers.
        if config.nameservers.count > 3 {
            errors.invalid(
                path.child("nameservers"), shown: GoSyntax.list(config.nameservers),
                "must not have more than 3 nameservers")
        }
        for (index, server) in config.nameservers.enumerated() {
            errors += AddressRules.address(path.child("nameservers").index(index), server)
        }
        if config.searches.count > 32 {
            errors.invalid(
                path.child("searches"), shown: GoSyntax.list(config.searches),
                "must not have more than 32 search paths")
        }
        if config.searches.joined(separator: " ").utf8.count > 2048 {
            errors.invalid(
                path.child("searches"), shown: GoSyntax.list(config.searches),
                "must not have more than 2048 characters (including spaces) in the search list")
        }
        for (index, search) in config.searches.enumerated() where search != "." {
            let domain = search.hasSuffix(".") ? String(search.dropLast()) : search
            errors.require(NameRules.searchDomain, path.child("searches").index(index), domain)
        }
        for (index, option) in config.options.enumerated() where option.name.isEmpty {
            errors.required(path.child("options").index(index), "must not be empty")
        }
        return errors
    }
}
