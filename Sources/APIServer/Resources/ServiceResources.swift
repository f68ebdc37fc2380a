import KubernetesAPI

/// Services.
enum ServiceResources {
    static func services(_ addresses: ServiceAddresses) -> Resource<Service> {
        var resource = Resource<Service>()
        resource.table = ServiceTable.printer
        resource.returnsDeletedObject = true
        resource.storageName = "services/specs"
        resource.createsOnUpdate = true
        resource.warnings = { $0.warnings }
        resource.fieldLabels = ["spec.clusterIP", "spec.type"]
        resource.fields = { ["spec.clusterIP": $0.spec.clusterIP, "spec.type": $0.spec.type] }
        resource.subresources = [.proxy("ServiceProxyOptions"), .status("Service")]
        let families = addresses.families
        resource.prepareForCreate = { ServiceNormalization.prepareForCreate(&$0, families: families) }
        resource.prepareForUpdate = { ServiceNormalization.prepareForUpdate(&$0, $1, families: families) }
        resource.prepareForStatusUpdate = { $0.spec = $1.spec }
        resource.allocate = { service, old, isDryRun throws(APIError) in
            try addresses.allocate(&service, old: old, isDryRun: isDryRun)
        }
        resource.release = { addresses.release($0) }
        return resource
    }
}
