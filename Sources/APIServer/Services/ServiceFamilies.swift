import KubernetesAPI

/// How `ipFamilyPolicy`, `ipFamilies` and `clusterIPs` of a Service follow from each other and from what the
/// cluster has (KEP-563). Pure; with upstream's words for what cannot be had.
package enum ServiceFamilies {
    /// Fills in what the Service leaves open.
    ///
    /// - Parameters:
    ///   - old: the state before an update.
    ///   - cluster: the families of the cluster's Service ranges, the first one that of Services which do not say.
    /// - Returns: what is wrong; then what depends on it was not filled in. Asked again about its own result, it
    ///   says the same and changes nothing.
    package static func settle(
        _ service: inout Service, old: Service?, cluster: [String]
    ) -> [FieldError] {
        guard service.spec.type != "ExternalName" else { return [] }
        // A cluster that became dual-stack, or stopped to be, changes no Service by itself.
        if let old, prefersWhatItHas(service, old) { return [] }
        let isBare = service.spec.clusterIP == "None" && service.spec.selector.isEmpty
        if service.spec.ipFamilyPolicy == nil {
            service.spec.ipFamilyPolicy = old?.spec.ipFamilyPolicy ?? (isBare ? requireDual : single)
        }
        var errors: [FieldError] = []
        if let old { release(&service, old, &errors) }
        checkPolicy(service, &errors)
        inferFamilies(&service, cluster, &errors)
        guard errors.isEmpty else { return errors }
        if isBare {
            fillBare(&service, cluster)
            return []
        }
        if service.spec.ipFamilyPolicy == requireDual, cluster.count < 2 {
            errors.append(policyError(service, "this cluster is not configured for dual-stack services"))
        }
        for (index, family) in service.spec.ipFamilies.enumerated() where !cluster.contains(family) {
            errors.append(
                .invalid("spec.ipFamilies[\(index)]", .string(family), "not configured on this cluster"))
        }
        guard errors.isEmpty, let first = cluster.first else { return errors }
        if service.spec.ipFamilies.isEmpty { service.spec.ipFamilies = [first] }
        if service.spec.ipFamilyPolicy != single, service.spec.ipFamilies.count == 1, cluster.count == 2 {
            service.spec.ipFamilies.append(other(than: service.spec.ipFamilies[0]))
        }
        return []
    }

    private static let single = "SingleStack"
    private static let requireDual = "RequireDualStack"
    private static let preferDual = "PreferDualStack"

    private static func other(than family: String) -> String { family == "IPv4" ? "IPv6" : "IPv4" }

    private static func policyError(_ service: Service, _ detail: String) -> FieldError {
        .invalid("spec.ipFamilyPolicy", .string(service.spec.ipFamilyPolicy ?? ""), detail)
    }

    private static func prefersWhatItHas(_ new: Service, _ old: Service) -> Bool {
        !new.spec.clusterIPs.isEmpty && new.spec.ipFamilyPolicy == preferDual
            && old.spec.ipFamilyPolicy == preferDual && new.spec.clusterIPs == old.spec.clusterIPs
            && new.spec.ipFamilies == old.spec.ipFamilies
    }

    /// The policy SingleStack gives the second address back; without it nobody does.
    private static func release(_ service: inout Service, _ old: Service, _ errors: inout [FieldError]) {
        if service.spec.ipFamilyPolicy == single {
            if service.spec.clusterIPs == old.spec.clusterIPs, service.spec.clusterIPs.count > 1 {
                service.spec.clusterIPs = [service.spec.clusterIPs[0]]
            }
            if service.spec.ipFamilies == old.spec.ipFamilies, service.spec.ipFamilies.count > 1 {
                service.spec.ipFamilies = [service.spec.ipFamilies[0]]
            }
            return
        }
        func isReduced(_ new: [String], _ old: [String]) -> Bool { !new.isEmpty && new.count < old.count }
        if isReduced(service.spec.clusterIPs, old.spec.clusterIPs) {
            errors.append(
                policyError(service, "must be 'SingleStack' to release the secondary cluster IP"))
        }
        if isReduced(service.spec.ipFamilies, old.spec.ipFamilies) {
            errors.append(
                policyError(service, "must be 'SingleStack' to release the secondary IP family"))
        }
    }

    private static func checkPolicy(_ service: Service, _ errors: inout [FieldError]) {
        guard service.spec.ipFamilyPolicy == single else { return }
        for (what, count) in [
            ("cluster IPs", service.spec.clusterIPs.count), ("IP families", service.spec.ipFamilies.count),
        ] where count == 2 {
            errors.append(
                policyError(
                    service,
                    "must be 'RequireDualStack' or 'PreferDualStack' when multiple \(what) are specified"))
        }
    }

    private static func inferFamilies(
        _ service: inout Service, _ cluster: [String], _ errors: inout [FieldError]
    ) {
        for (index, text) in service.spec.clusterIPs.enumerated() {
            // What is no address is validation's business.
            guard text != "None", let address = NetworkAddress(text) else { break }
            guard index >= service.spec.ipFamilies.count else { continue }
            if cluster.contains(address.family) {
                service.spec.ipFamilies.append(address.family)
            } else {
                errors.append(
                    .invalid(
                        "spec.clusterIPs[\(index)]", list: service.spec.clusterIPs,
                        "\(address.family) is not configured on this cluster"))
            }
        }
    }

    /// Headless without a selector: its endpoints are written by somebody else, of whatever family they like.
    private static func fillBare(_ service: inout Service, _ cluster: [String]) {
        if service.spec.ipFamilies.isEmpty { service.spec.ipFamilies = Array(cluster.prefix(1)) }
        if service.spec.ipFamilies.count == 1, service.spec.ipFamilyPolicy != single {
            service.spec.ipFamilies.append(other(than: service.spec.ipFamilies[0]))
        }
    }
}
