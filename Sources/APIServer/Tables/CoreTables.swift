import KubernetesAPI
import KubernetesJSON

/// The columns of the core group's other kinds.
enum CoreTables {
    static let namespaces = TablePrinter<Namespace>([
        .name, TableColumn("Status", "Active, or Terminating while it is being emptied."), .age,
    ]) { namespace, now in
        [
            .string(namespace.metadata.name), .string(namespace.status.phase),
            Cell.age(namespace.metadata.creationTimestamp, now),
        ]
    }

    static let nodes = TablePrinter<Node>([
        .name,
        TableColumn("Status", "Whether the node is ready, and whether it takes new pods."),
        TableColumn("Roles", "The roles that the node's labels name."),
        .age,
        TableColumn("Version", "The version that the node agent reports."),
        .wide("Internal-IP", "The node's address inside the cluster."),
        .wide("External-IP", "The node's address outside."),
        .wide("OS-Image", "The operating system."),
        .wide("Kernel-Version", "The kernel."),
        .wide("Container-Runtime", "The container runtime and its version."),
    ]) { node, now in
        func address(_ type: String) -> JSONValue {
            Cell.orNone(node.status.addresses.first { $0.type == type }?.address ?? "")
        }
        func known(_ text: String) -> JSONValue { .string(text.isEmpty ? "<unknown>" : text) }
        let info = node.status.nodeInfo
        return [
            .string(node.metadata.name), .string(nodeStatus(node)), .string(nodeRoles(node)),
            Cell.age(node.metadata.creationTimestamp, now), .string(info.kubeletVersion),
            address("InternalIP"), address("ExternalIP"), known(info.osImage), known(info.kernelVersion),
            known(info.containerRuntimeVersion),
        ]
    }

    private static func nodeStatus(_ node: Node) -> String {
        let ready = node.status.conditions.first { $0.type == "Ready" }
        var status = "Unknown"
        if let ready { status = ready.status == "True" ? "Ready" : "NotReady" }
        return node.spec.unschedulable ? status + ",SchedulingDisabled" : status
    }

    private static func nodeRoles(_ node: Node) -> String {
        let prefix = "node-role.kubernetes.io/"
        var roles: Set<String> = []
        for (key, value) in node.metadata.labels {
            if key.hasPrefix(prefix), key.utf8.count > prefix.utf8.count {
                roles.insert(String(key.dropFirst(prefix.count)))
            } else if key == "kubernetes.io/role", !value.isEmpty {
                roles.insert(value)
            }
        }
        return roles.isEmpty ? "<none>" : roles.sorted().joined(separator: ",")
    }

    static let endpoints = TablePrinter<Endpoints>([
        .name, TableColumn("Endpoints", "The first addresses and ports."), .age,
    ]) { endpoints, now in
        var parts: [String] = []
        for subset in endpoints.subsets {
            for address in subset.addresses {
                let host = address.ip.contains(":") && !subset.ports.isEmpty ? "[\(address.ip)]" : address.ip
                if subset.ports.isEmpty { parts.append(host) }
                for port in subset.ports { parts.append("\(host):\(port.port)") }
            }
        }
        return [
            .string(endpoints.metadata.name), Cell.orNone(Cell.shortened(parts)),
            Cell.age(endpoints.metadata.creationTimestamp, now),
        ]
    }

    static let configMaps = TablePrinter<ConfigMap>([
        .name, TableColumn("Data", "How many keys it holds."), .age,
    ]) { map, now in
        [
            .string(map.metadata.name), Cell.integer(map.data.count + map.binaryData.count),
            Cell.age(map.metadata.creationTimestamp, now),
        ]
    }

    static let secrets = TablePrinter<Secret>([
        .name, TableColumn("Type", "What kind of secret it is."),
        TableColumn("Data", "How many keys it holds."), .age,
    ]) { secret, now in
        [
            .string(secret.metadata.name), .string(secret.type), Cell.integer(secret.data.count),
            Cell.age(secret.metadata.creationTimestamp, now),
        ]
    }

    static let serviceAccounts = TablePrinter<ServiceAccount>([
        .name, TableColumn("Secrets", "How many secrets its pods may mount."), .age,
    ]) { account, now in
        [
            .string(account.metadata.name), Cell.integer(account.secrets.count),
            Cell.age(account.metadata.creationTimestamp, now),
        ]
    }

    static let replicationControllers = TablePrinter<ReplicationController>([
        .name,
        TableColumn("Desired", type: "integer", "How many pods are wanted."),
        TableColumn("Current", type: "integer", "How many pods there are."),
        TableColumn("Ready", type: "integer", "How many of them are ready."),
        .age,
        .wide("Containers", "The names of the containers."),
        .wide("Images", "The images of the containers."),
        .wide("Selector", "Which pods it owns."),
    ]) { controller, now in
        [
            .string(controller.metadata.name), Cell.integer(controller.spec.replicas ?? 0),
            Cell.integer(controller.status.replicas), Cell.integer(controller.status.readyReplicas),
            Cell.age(controller.metadata.creationTimestamp, now),
        ] + Cell.containers(controller.spec.template?.spec.containers ?? [])
            + [.string(Cell.labels(controller.spec.selector))]
    }

    static let podTemplates = TablePrinter<PodTemplate>([
        .name,
        TableColumn("Containers", "The names of the containers."),
        TableColumn("Images", "The images of the containers."),
        TableColumn("Pod Labels", "The labels that pods made from it get."),
    ]) { template, _ in
        [.string(template.metadata.name)] + Cell.containers(template.template.spec.containers)
            + [.string(Cell.labels(template.template.metadata.labels))]
    }

    static let events = TablePrinter<Event>([
        TableColumn("Last Seen", "Time since it was seen last."),
        TableColumn("Type", "Normal or Warning."),
        TableColumn("Reason", "Why the event was recorded, in one word."),
        TableColumn("Object", "What the event is about."),
        .wide("Subobject", "The part of the object that the event is about."),
        .wide("Source", "Who recorded it."),
        TableColumn("Message", "What happened."),
        .wide("First Seen", "Time since it was seen first."),
        .wide("Count", "How often it was seen."),
        TableColumn("Name", format: "name", priority: 1, "The event's own name."),
    ]) { event, now in
        let occurred = event.eventTime.map { Time(seconds: $0.microseconds / 1_000_000) }
        let first = event.firstTimestamp ?? occurred
        var last = event.lastTimestamp ?? first
        var count = event.count
        if let series = event.series {
            last = series.lastObservedTime.map { Time(seconds: $0.microseconds / 1_000_000) }
            count = series.count
        } else if count == 0 {
            count = 1
        }
        let about = event.involvedObject
        let kind = about.kind.asciiLowercased()
        var component = event.source.component
        if component.isEmpty { component = event.reportingComponent }
        var host = event.source.host
        if host.isEmpty { host = event.reportingInstance }
        return [
            Cell.age(last, now), .string(event.type), .string(event.reason),
            .string(about.name.isEmpty ? kind : "\(kind)/\(about.name)"), .string(about.fieldPath),
            .string(host.isEmpty ? component : "\(component), \(host)"),
            .string(String(trimmed(event.message))), Cell.age(first, now), Cell.integer(count),
            .string(event.metadata.name),
        ]
    }

    private static func trimmed(_ text: String) -> Substring {
        var text = Substring(text)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
