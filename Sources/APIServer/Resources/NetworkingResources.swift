import KubernetesAPI

/// The `networking.k8s.io` group, `v1`.
enum NetworkingResources {
    static let all: [any AnyResource] = [
        ingressClasses, ingresses, addresses, networkPolicies, serviceCIDRs,
    ]

    static let ingressClasses: Resource<IngressClass> = {
        var resource = Resource<IngressClass>()
        resource.table = NetworkingTables.ingressClasses
        resource.generationDiffers = { $0.spec != $1.spec }
        return resource
    }()

    static let ingresses: Resource<Ingress> = {
        var resource = Resource<Ingress>()
        resource.table = NetworkingTables.ingresses
        resource.creationWarnings = { ingress in
            let annotation = "kubernetes.io/ingress.class"
            guard ingress.metadata.annotations[annotation] != nil, ingress.spec.ingressClassName == nil else {
                return []
            }
            return ["annotation \"\(annotation)\" is deprecated, please use 'spec.ingressClassName' instead"]
        }
        resource.subresources = [.status("Ingress")]
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { $0.status = IngressStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()

    static let addresses: Resource<IPAddress> = {
        var resource = Resource<IPAddress>()
        resource.table = NetworkingTables.addresses
        return resource
    }()

    static let networkPolicies: Resource<NetworkPolicy> = {
        var resource = Resource<NetworkPolicy>()
        resource.table = NetworkingTables.networkPolicies
        resource.generationDiffers = { $0.spec != $1.spec }
        return resource
    }()

    static let serviceCIDRs: Resource<ServiceCIDR> = {
        var resource = Resource<ServiceCIDR>()
        resource.table = NetworkingTables.serviceCIDRs
        resource.subresources = [.status("ServiceCIDR")]
        resource.prepareForCreate = { $0.status = ServiceCIDRStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()
}

/// The `policy` group, `v1`.
enum PolicyResources {
    static let all: [any AnyResource] = [budgets]

    static let budgets: Resource<PodDisruptionBudget> = {
        var resource = Resource<PodDisruptionBudget>()
        resource.table = PolicyTables.budgets
        resource.updatesUnconditionally = false
        resource.subresources = [.status("PodDisruptionBudget")]
        resource.generationDiffers = { $0.spec != $1.spec }
        resource.prepareForCreate = { $0.status = PodDisruptionBudgetStatus() }
        resource.prepareForUpdate = { $0.status = $1.status }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        return resource
    }()
}
