import KubernetesAPI

/// How the fields of a Service follow from each other and from the state before an update. Pure; what must
/// be unique in the cluster is `ServiceAddresses`' part.
package enum ServiceNormalization {
    static func needsClusterIP(_ service: Service) -> Bool {
        ["ClusterIP", "NodePort", "LoadBalancer"].contains(service.spec.type)
    }

    static func needsNodePort(_ service: Service) -> Bool {
        if service.spec.type == "NodePort" { return true }
        return service.spec.type == "LoadBalancer" && service.spec.allocateLoadBalancerNodePorts != false
    }

    static func needsHealthCheckPort(_ service: Service) -> Bool {
        service.spec.type == "LoadBalancer" && service.spec.externalTrafficPolicy == "Local"
    }

    static func needsExternalTrafficPolicy(_ service: Service) -> Bool {
        ["NodePort", "LoadBalancer"].contains(service.spec.type)
            || (service.spec.type == "ClusterIP" && !service.spec.externalIPs.isEmpty)
    }

    static func isHeadless(_ service: Service) -> Bool {
        service.spec.clusterIP == "None" || service.spec.clusterIPs.first == "None"
    }

    /// What a new Service looks like before addresses are given to it.
    package static func prepareForCreate(_ service: inout Service) {
        service.status = ServiceStatus()
        if !service.spec.clusterIP.isEmpty, service.spec.clusterIPs.isEmpty {
            service.spec.clusterIPs = [service.spec.clusterIP]
        }
        fillFamilies(&service)
    }

    /// What an updated Service looks like before addresses are given to it.
    package static func prepareForUpdate(_ service: inout Service, _ old: Service) {
        service.status = old.status
        if old.spec.type == "LoadBalancer", service.spec.type != "LoadBalancer" {
            service.status.loadBalancer = LoadBalancerStatus()
        }
        synchronizeAddresses(&service, old)
        keepAllocated(&service, old)
        dropTypeDependent(&service, old)
        fillFamilies(&service)
    }

    /// `clusterIP` and the first of `clusterIPs` are one thing: a client that knows only the older field
    /// may change just that.
    private static func synchronizeAddresses(_ service: inout Service, _ old: Service) {
        let changedOne = service.spec.clusterIP != old.spec.clusterIP
        let changedMany = service.spec.clusterIPs != old.spec.clusterIPs
        if changedOne, !changedMany {
            if service.spec.clusterIP.isEmpty {
                service.spec.clusterIPs = []
            } else if service.spec.clusterIPs.isEmpty {
                service.spec.clusterIPs = [service.spec.clusterIP]
            } else {
                service.spec.clusterIPs[0] = service.spec.clusterIP
            }
        } else if !changedOne, changedMany, service.spec.clusterIPs.isEmpty {
            service.spec.clusterIP = ""
        } else if changedOne, changedMany, service.spec.clusterIPs.isEmpty, !service.spec.clusterIP.isEmpty {
            service.spec.clusterIPs = [service.spec.clusterIP]
        }
    }

    /// A client that writes a Service without the values that were allocated for it keeps them.
    private static func keepAllocated(_ service: inout Service, _ old: Service) {
        if needsClusterIP(old), needsClusterIP(service), service.spec.clusterIP.isEmpty,
            service.spec.clusterIPs.isEmpty
        {
            service.spec.clusterIP = old.spec.clusterIP
            service.spec.clusterIPs = old.spec.clusterIPs
        } else if needsClusterIP(old), needsClusterIP(service), service.spec.clusterIPs.isEmpty,
            service.spec.clusterIP == old.spec.clusterIP
        {
            service.spec.clusterIPs = old.spec.clusterIPs
        }
        if needsNodePort(old), needsNodePort(service) {
            var used = Set(service.spec.ports.map(\.nodePort))
            for index in service.spec.ports.indices where service.spec.ports[index].nodePort == 0 {
                let port = service.spec.ports[index]
                let match = old.spec.ports.first {
                    $0.port == port.port && $0.`protocol` == port.`protocol` && $0.nodePort != 0
                }
                guard let match, !used.contains(match.nodePort) else { continue }
                service.spec.ports[index].nodePort = match.nodePort
                used.insert(match.nodePort)
            }
        }
        if needsHealthCheckPort(old), needsHealthCheckPort(service), service.spec.healthCheckNodePort == 0 {
            service.spec.healthCheckNodePort = old.spec.healthCheckNodePort
        }
    }

    /// On a change of type, fields that the new type has no use for and that the client left as they were
    /// are cleared.
    private static func dropTypeDependent(_ service: inout Service, _ old: Service) {
        if needsClusterIP(old), !needsClusterIP(service) {
            if service.spec.clusterIPs == old.spec.clusterIPs {
                service.spec.clusterIP = ""
                service.spec.clusterIPs = []
            }
            if service.spec.ipFamilies == old.spec.ipFamilies { service.spec.ipFamilies = [] }
            if service.spec.ipFamilyPolicy == old.spec.ipFamilyPolicy { service.spec.ipFamilyPolicy = nil }
            if service.spec.internalTrafficPolicy == old.spec.internalTrafficPolicy {
                service.spec.internalTrafficPolicy = nil
            }
        }
        if needsNodePort(old), !needsNodePort(service) {
            let before = Set(old.spec.ports.map(\.nodePort))
            for index in service.spec.ports.indices where before.contains(service.spec.ports[index].nodePort)
            {
                service.spec.ports[index].nodePort = 0
            }
        }
        if needsHealthCheckPort(old), !needsHealthCheckPort(service),
            service.spec.healthCheckNodePort == old.spec.healthCheckNodePort
        {
            service.spec.healthCheckNodePort = 0
        }
        if needsExternalTrafficPolicy(old), !needsExternalTrafficPolicy(service),
            service.spec.externalTrafficPolicy == old.spec.externalTrafficPolicy
        {
            service.spec.externalTrafficPolicy = ""
        }
        guard old.spec.type == "LoadBalancer", service.spec.type != "LoadBalancer" else { return }
        if service.spec.allocateLoadBalancerNodePorts == old.spec.allocateLoadBalancerNodePorts {
            service.spec.allocateLoadBalancerNodePorts = nil
        }
        if service.spec.loadBalancerClass == old.spec.loadBalancerClass {
            service.spec.loadBalancerClass = nil
        }
    }

    /// Fills in families and policy for a cluster of one family, IPv4 (KEP-563).
    private static func fillFamilies(_ service: inout Service) {
        guard needsClusterIP(service) else { return }
        if service.spec.clusterIPs.isEmpty, service.spec.clusterIP == "None" {
            service.spec.clusterIPs = ["None"]
        }
        if isHeadless(service), service.spec.selector.isEmpty {
            let policy = service.spec.ipFamilyPolicy ?? "RequireDualStack"
            service.spec.ipFamilyPolicy = policy
            if service.spec.ipFamilies.isEmpty {
                service.spec.ipFamilies = policy == "SingleStack" ? ["IPv4"] : ["IPv4", "IPv6"]
            }
            return
        }
        if service.spec.ipFamilyPolicy == nil {
            let asksTwo = service.spec.ipFamilies.count == 2 || service.spec.clusterIPs.count == 2
            service.spec.ipFamilyPolicy = asksTwo ? "RequireDualStack" : "SingleStack"
        }
        if service.spec.ipFamilies.isEmpty {
            let given = service.spec.clusterIPs.filter { $0 != "None" && !$0.isEmpty }
            service.spec.ipFamilies =
                given.isEmpty ? ["IPv4"] : given.map { $0.contains(":") ? "IPv6" : "IPv4" }
        }
    }

    /// What cannot be had in a cluster of one family.
    package static func familyErrors(_ service: Service) -> [FieldError] {
        guard needsClusterIP(service), !(isHeadless(service) && service.spec.selector.isEmpty) else {
            return []
        }
        var errors: [FieldError] = []
        if service.spec.ipFamilyPolicy == "RequireDualStack" {
            errors.append(
                FieldError(
                    .invalid, "spec.ipFamilyPolicy", badValue: .string("RequireDualStack"),
                    detail: "this cluster is not configured for dual-stack services"))
        }
        for (index, family) in service.spec.ipFamilies.enumerated() where family == "IPv6" {
            errors.append(
                FieldError(
                    .invalid, "spec.ipFamilies[\(index)]", badValue: .string(family),
                    detail: "not configured on this cluster"))
        }
        return errors
    }
}
