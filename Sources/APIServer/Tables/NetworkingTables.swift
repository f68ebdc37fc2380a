import KubernetesAPI
import KubernetesJSON

/// The columns of the `networking.k8s.io` group.
enum NetworkingTables {
    static let ingresses = TablePrinter<Ingress>([
        .name,
        TableColumn("Class", "The class whose controller serves it."),
        TableColumn("Hosts", "The hosts that its rules are about."),
        TableColumn("Address", "Where it is reached."),
        TableColumn("Ports", "The ports that are open there."),
        .age,
    ]) { ingress, now in
        let addresses = ingress.status.loadBalancer.ingress.map { $0.ip.isEmpty ? $0.hostname : $0.ip }
        return [
            .string(ingress.metadata.name), .string(ingress.spec.ingressClassName ?? "<none>"),
            .string(hosts(of: ingress.spec.rules)),
            .string(Set(addresses).filter { !$0.isEmpty }.sorted().joined(separator: ",")),
            .string(ingress.spec.tls.isEmpty ? "80" : "80, 443"),
            Cell.age(ingress.metadata.creationTimestamp, now),
        ]
    }

    static let ingressClasses = TablePrinter<IngressClass>([
        .name,
        TableColumn("Controller", "Who serves the Ingresses of the class."),
        TableColumn("Parameters", "Where the controller finds further settings."),
        .age,
    ]) { item, now in
        var parameters = "<none>"
        if let reference = item.spec.parameters {
            parameters = reference.kind
            if let group = reference.apiGroup { parameters += ".\(group)" }
            parameters += "/\(reference.name)"
        }
        return [
            .string(item.metadata.name), .string(item.spec.controller), .string(parameters),
            Cell.age(item.metadata.creationTimestamp, now),
        ]
    }

    static let networkPolicies = TablePrinter<NetworkPolicy>([
        .name, TableColumn("Pod-Selector", "Which pods it is for."), .age,
    ]) { policy, now in
        [
            .string(policy.metadata.name), .string(Cell.selector(policy.spec.podSelector)),
            Cell.age(policy.metadata.creationTimestamp, now),
        ]
    }

    static let addresses = TablePrinter<IPAddress>([
        .name, TableColumn("ParentRef", "Who has the address."), .age,
    ]) { address, now in
        [
            .string(address.metadata.name),
            .string(address.spec.parentRef.map(parent) ?? "<none>"),
            Cell.age(address.metadata.creationTimestamp, now),
        ]
    }

    static let serviceCIDRs = TablePrinter<ServiceCIDR>([
        .name, TableColumn("CIDRs", "The ranges."), .age,
    ]) { cidr, now in
        [
            .string(cidr.metadata.name), .string(cidr.spec.cidrs.joined(separator: ",")),
            Cell.age(cidr.metadata.creationTimestamp, now),
        ]
    }

    /// The first three hosts, and how many rules follow that may have more.
    private static func hosts(of rules: [IngressRule]) -> String {
        var shown: [String] = []
        var isShortened = false
        for rule in rules {
            if shown.count == 3 { isShortened = true }
            if !isShortened, !rule.host.isEmpty { shown.append(rule.host) }
        }
        if shown.isEmpty { return "*" }
        let text = shown.joined(separator: ",")
        return isShortened ? "\(text) + \(rules.count - 3) more..." : text
    }

    private static func parent(_ parent: ParentReference) -> String {
        let resource = parent.group.isEmpty ? parent.resource : "\(parent.resource).\(parent.group)"
        return ([resource.asciiLowercased()] + [parent.namespace, parent.name].filter { !$0.isEmpty })
            .joined(separator: "/")
    }
}

/// The columns of the `policy` group.
enum PolicyTables {
    static let budgets = TablePrinter<PodDisruptionBudget>([
        .name,
        TableColumn("Min Available", "How many pods must stay available."),
        TableColumn("Max Unavailable", "How many pods may be missing."),
        TableColumn("Allowed Disruptions", type: "integer", "How many pods may be evicted now."),
        .age,
    ]) { budget, now in
        [
            .string(budget.metadata.name), .string(budget.spec.minAvailable.map { "\($0)" } ?? "N/A"),
            .string(budget.spec.maxUnavailable.map { "\($0)" } ?? "N/A"),
            Cell.integer(budget.status.disruptionsAllowed),
            Cell.age(budget.metadata.creationTimestamp, now),
        ]
    }
}
