import KubernetesAPI

/// A container's environment: from ConfigMaps, Secrets, fields and Services, in upstream's order.
package struct Environment: Sendable {
    /// The ConfigMaps and Secrets of the pod's namespace that were found.
    package var configMaps: [String: ConfigMap]
    package var secrets: [String: Secret]
    /// The Services a pod may know by variables: those of its namespace, and `kubernetes`.
    package var services: [Service]
    package var facts: DownwardAPI

    package init(
        configMaps: [String: ConfigMap] = [:], secrets: [String: Secret] = [:], services: [Service] = [],
        facts: DownwardAPI
    ) {
        self.configMaps = configMaps
        self.secrets = secrets
        self.services = services
        self.facts = facts
    }

    /// The names of the ConfigMaps and Secrets that a container's environment mentions.
    package static func needs(_ container: Container) -> (configMaps: Set<String>, secrets: Set<String>) {
        var configMaps: Set<String> = []
        var secrets: Set<String> = []
        for source in container.envFrom {
            if let name = source.configMapRef?.name { configMaps.insert(name) }
            if let name = source.secretRef?.name { secrets.insert(name) }
        }
        for variable in container.env {
            if let name = variable.valueFrom?.configMapKeyRef?.name { configMaps.insert(name) }
            if let name = variable.valueFrom?.secretKeyRef?.name { secrets.insert(name) }
        }
        return (configMaps, secrets)
    }

    /// The variables in order; a name appears once.
    package func variables(
        _ container: Container
    ) throws(ContainerConfigurationError) -> [(name: String, value: String)] {
        var order: [String] = []
        var values: [String: String] = [:]
        func set(_ name: String, _ value: String) {
            if values[name] == nil { order.append(name) }
            values[name] = value
        }
        for source in container.envFrom {
            for (name, value) in try variables(from: source) { set(source.prefix + name, value) }
        }
        let links = facts.pod.spec.enableServiceLinks ?? true
        let service = ServiceVariables.make(services, namespace: facts.pod.metadata.namespace, links: links)
        let serviceValues = Dictionary(service.map { ($0.name, $0.value) }) { first, _ in first }
        for variable in container.env {
            if let source = variable.valueFrom {
                if let value = try value(source, container) { set(variable.name, value) }
            } else {
                set(variable.name, Expansion.expand(variable.value) { values[$0] ?? serviceValues[$0] })
            }
        }
        for (name, value) in service where values[name] == nil { set(name, value) }
        return order.map { ($0, values[$0] ?? "") }
    }

    private func variables(
        from source: EnvFromSource
    ) throws(ContainerConfigurationError) -> [(String, String)] {
        if let reference = source.configMapRef {
            guard let map = configMaps[reference.name] else {
                if reference.optional == true { return [] }
                throw ContainerConfigurationError("configmap \"\(reference.name)\" not found")
            }
            return map.data.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        }
        if let reference = source.secretRef {
            guard let secret = secrets[reference.name] else {
                if reference.optional == true { return [] }
                throw ContainerConfigurationError("secret \"\(reference.name)\" not found")
            }
            return secret.data.sorted { $0.key < $1.key }.map {
                ($0.key, String(decoding: $0.value, as: UTF8.self))
            }
        }
        return []
    }

    private func value(
        _ source: EnvVarSource, _ container: Container
    ) throws(ContainerConfigurationError) -> String? {
        if let field = source.fieldRef { return try facts.field(field.fieldPath) }
        if let resource = source.resourceFieldRef {
            let name = resource.containerName.isEmpty ? container.name : resource.containerName
            guard let owner = facts.pod.container(name) else {
                throw ContainerConfigurationError("container \"\(name)\" not found in the pod")
            }
            return try facts.resource(resource, in: owner)
        }
        let namespace = facts.pod.metadata.namespace
        if let reference = source.configMapKeyRef {
            guard let map = configMaps[reference.name] else {
                if reference.optional == true { return nil }
                throw ContainerConfigurationError("configmap \"\(reference.name)\" not found")
            }
            if let value = map.data[reference.key] { return value }
            if reference.optional == true { return nil }
            throw ContainerConfigurationError(
                "couldn't find key \(reference.key) in ConfigMap \(namespace)/\(reference.name)")
        }
        if let reference = source.secretKeyRef {
            guard let secret = secrets[reference.name] else {
                if reference.optional == true { return nil }
                throw ContainerConfigurationError("secret \"\(reference.name)\" not found")
            }
            if let value = secret.data[reference.key] { return String(decoding: value, as: UTF8.self) }
            if reference.optional == true { return nil }
            throw ContainerConfigurationError(
                "couldn't find key \(reference.key) in Secret \(namespace)/\(reference.name)")
        }
        return nil
    }
}

/// Variables that name Services, as containers knew them before there was DNS
/// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
package enum ServiceVariables {
    package static func make(
        _ services: [Service], namespace: String, links: Bool
    ) -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        let shown = services.filter { service in
            let isMaster = service.metadata.namespace == "default" && service.metadata.name == "kubernetes"
            return isMaster || (links && service.metadata.namespace == namespace)
        }
        for service in shown.sorted(by: { $0.metadata.name < $1.metadata.name }) {
            let address = service.spec.clusterIP
            guard !address.isEmpty, address != "None", let first = service.spec.ports.first else { continue }
            let prefix = variableName(service.metadata.name)
            result.append((prefix + "_SERVICE_HOST", address))
            result.append((prefix + "_SERVICE_PORT", "\(first.port)"))
            for port in service.spec.ports where !port.name.isEmpty {
                result.append((prefix + "_SERVICE_PORT_" + variableName(port.name), "\(port.port)"))
            }
            let shownAddress = address.contains(":") ? "[\(address)]" : address
            for (index, port) in service.spec.ports.enumerated() {
                let transport = port.protocol.isEmpty ? "TCP" : port.protocol
                let url = "\(transport.lowercased())://\(shownAddress):\(port.port)"
                if index == 0 { result.append((prefix + "_PORT", url)) }
                let name = prefix + "_PORT_\(port.port)_\(transport.uppercased())"
                result.append((name, url))
                result.append((name + "_PROTO", transport.lowercased()))
                result.append((name + "_PORT", "\(port.port)"))
                result.append((name + "_ADDR", address))
            }
        }
        return result
    }

    private static func variableName(_ name: String) -> String {
        String(name.uppercased().map { $0 == "-" ? "_" : $0 })
    }
}
