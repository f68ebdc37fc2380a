import KubernetesAPI

/// How the fields of a Service follow from each other and from the state before an update. Pure; what must
/// be unique in the cluster is `ServiceAddresses`' part.
package enum ServiceNormalization {
    static func needsClusterIP(_ service: Service) -> Bool {
        ["ClusterIP", "NodePort", "LoadBalancer"].contains(service.spec.type)
    }

    /// Whether the Service can have node ports, be it only those that it asks for by number.
    static func mayHaveNodePorts(_ service: Service) -> Bool {
        service.spec.type == "NodePort" || service.spec.type == "LoadBalancer"
    }

    /// Whether each of its ports is to have a node port.
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
    ///
    /// - Parameter families: the cluster's. What is wrong with the Service's is said when addresses are given to it.
    package static func prepareForCreate(_ service: inout Service, families: [String]) {
        service.status = ServiceStatus()
        if !service.spec.clusterIP.isEmpty, service.spec.clusterIPs.isEmpty {
            service.spec.clusterIPs = [service.spec.clusterIP]
        }
        _ = ServiceFamilies.settle(&service, old: nil, cluster: families)
    }

    /// What an updated Service looks like before addresses are given to it.
    package static func prepareForUpdate(_ service: inout Service, _ old: Service, families: [String]) {
        service.status = old.status
        if old.spec.type == "LoadBalancer", service.spec.type != "LoadBalancer" {
            service.status.loadBalancer = LoadBalancerStatus()
        }
        synchronizeAddresses(&service, old)
        keepAllocated(&service, old)
        dropTypeDependent(&service, old)
        _ = ServiceFamilies.settle(&service, old: old, cluster: families)
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
            // By name: whatever else of a port the client changed, it means the same one.
            let used = Set(service.spec.ports.map(\.nodePort))
            for index in service.spec.ports.indices where service.spec.ports[index].nodePort == 0 {
                let name = service.spec.ports[index].name
                guard let match = old.spec.ports.last(where: { $0.name == name }),
                    !used.contains(match.nodePort)
                else { continue }
                service.spec.ports[index].nodePort = match.nodePort
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
}
