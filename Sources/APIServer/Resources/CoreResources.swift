import KubernetesAPI

/// The core group, `v1`.
enum CoreResources {
    static func all(
        _ addresses: ServiceAddresses, now: @escaping @Sendable () -> Time
    ) -> [any AnyResource] {
        [
            ComponentStatuses.resource, configMaps, endpoints, events, QuotaResources.limitRanges,
            namespaces, nodes,
            VolumeResources.claims, VolumeResources.volumes(now: now), PodResources.pods, podTemplates,
            replicationControllers, QuotaResources.quotas, secrets, serviceAccounts,
            ServiceResources.services(addresses),
        ]
    }

    static let configMaps: Resource<ConfigMap> = {
        var resource = Resource<ConfigMap>()
        resource.table = CoreTables.configMaps
        return resource
    }()

    static let secrets: Resource<Secret> = {
        var resource = Resource<Secret>()
        resource.table = CoreTables.secrets
        resource.fieldLabels = ["type"]
        resource.fields = { ["type": $0.type] }
        // stringData is a convenience for writers and is never stored (API field documentation).
        resource.prepareForCreate = mergeStringData
        resource.prepareForUpdate = { secret, _ in mergeStringData(&secret) }
        return resource
    }()

    private static let mergeStringData: @Sendable (inout Secret) -> Void = { secret in
        for (key, value) in secret.stringData { secret.data[key] = Array(value.utf8) }
        secret.stringData = [:]
    }

    static let serviceAccounts: Resource<ServiceAccount> = {
        var resource = Resource<ServiceAccount>()
        resource.table = CoreTables.serviceAccounts
        resource.updatesUnconditionally = false
        resource.returnsDeletedObject = true
        resource.changeWarnings = { $0.warnings(since: $1) }
        resource.prepareForCreate = keepNamesOfSecrets
        resource.prepareForUpdate = { account, _ in keepNamesOfSecrets(&account) }
        resource.subresources = [
            Subresource(
                "token", kind: "TokenRequest", verbs: ["create"], group: "authentication.k8s.io",
                version: "v1")
        ]
        return resource
    }()

    /// An account's secrets are in its own namespace: their names say all.
    private static let keepNamesOfSecrets: @Sendable (inout ServiceAccount) -> Void = { account in
        account.secrets = account.secrets.map { ObjectReference(name: $0.name) }
    }

    static let endpoints: Resource<Endpoints> = {
        var resource = Resource<Endpoints>()
        resource.table = CoreTables.endpoints
        resource.storageName = "services/endpoints"
        resource.createsOnUpdate = true
        resource.deprecation =
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
        return resource
    }()

    static let events: Resource<Event> = {
        var resource = Resource<Event>()
        resource.table = CoreTables.events
        resource.defaultPropagation = .unsupported
        resource.createsOnUpdate = true
        resource.fieldLabels = [
            "involvedObject.kind", "involvedObject.namespace", "involvedObject.name",
            "involvedObject.uid", "involvedObject.apiVersion", "involvedObject.resourceVersion",
            "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
        ]
        resource.fields = { event in
            let about = event.involvedObject
            var source = event.source.component
            if source.isEmpty { source = event.reportingComponent }
            return [
                "involvedObject.kind": about.kind, "involvedObject.namespace": about.namespace,
                "involvedObject.name": about.name, "involvedObject.uid": about.uid,
                "involvedObject.apiVersion": about.apiVersion,
                "involvedObject.resourceVersion": about.resourceVersion,
                "involvedObject.fieldPath": about.fieldPath, "reason": event.reason,
                "reportingComponent": event.reportingComponent, "source": source, "type": event.type,
            ]
        }
        return resource
    }()

    static let namespaces: Resource<Namespace> = {
        var resource = Resource<Namespace>()
        resource.table = CoreTables.namespaces
        resource.verbs = ResourceVerb.all.filter { $0 != "deletecollection" }
        resource.fieldLabels = ["status.phase"]
        resource.fields = { ["status.phase": $0.status.phase] }
        resource.subresources = [
            Subresource("finalize", kind: "Namespace", verbs: ["update"]), .status("Namespace"),
        ]
        resource.prepareForCreate = { namespace in
            namespace.status = NamespaceStatus(phase: "Active")
            // What must be emptied before the namespace may go; the namespace controller removes it.
            if !namespace.spec.finalizers.contains("kubernetes") {
                namespace.spec.finalizers.append("kubernetes")
            }
            if !namespace.metadata.name.isEmpty {
                namespace.metadata.labels["kubernetes.io/metadata.name"] = namespace.metadata.name
            }
        }
        resource.prepareForUpdate = { namespace, old in
            namespace.spec.finalizers = old.spec.finalizers
            namespace.status = old.status
            namespace.metadata.labels["kubernetes.io/metadata.name"] = namespace.metadata.name
        }
        resource.prepareForStatusUpdate = { namespace, old in
            namespace.spec = old.spec
        }
        return resource
    }()

    static let nodes: Resource<Node> = {
        var resource = Resource<Node>()
        resource.table = CoreTables.nodes
        resource.storageName = "minions"
        resource.warnings = { $0.warnings }
        resource.fieldLabels = ["spec.unschedulable"]
        resource.fields = { ["spec.unschedulable": $0.spec.unschedulable ? "true" : "false"] }
        resource.subresources = [
            .proxy("NodeProxyOptions"),
            .status("Node"),
        ]
        resource.prepareForUpdate = { node, old in node.status = old.status }
        resource.prepareForStatusUpdate = { node, old in node.spec = old.spec }
        return resource
    }()

    static let podTemplates: Resource<PodTemplate> = {
        var resource = Resource<PodTemplate>()
        resource.table = CoreTables.podTemplates
        resource.specWarnings = { $0.template.warnings(at: "template") }
        resource.generationDiffers = { $0.template != $1.template }
        resource.returnsDeletedObject = true
        return resource
    }()

    static let replicationControllers: Resource<ReplicationController> = {
        var resource = Resource<ReplicationController>()
        resource.table = CoreTables.replicationControllers
        resource.specWarnings = { $0.spec.template?.warnings(at: "spec.template") ?? [] }
        resource.creationWarnings = { NameAdvice.ofPods($0.metadata.name) }
        resource.fieldLabels = ["status.replicas"]
        resource.fields = { ["status.replicas": "\($0.status.replicas)"] }
        resource.subresources = [.scale, .status("ReplicationController")]
        resource.defaultPropagation = .orphan
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { $0.status = ReplicationControllerStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        resource.scale = ScaleRules(
            wanted: { $0.spec.replicas ?? 0 }, present: { $0.status.replicas },
            selector: { Cell.labels($0.spec.selector) }, set: { $0.spec.replicas = $1 })
        return resource
    }()
}
