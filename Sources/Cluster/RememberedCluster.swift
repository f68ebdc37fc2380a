import ContainerRuntime
import KubernetesJSON

/// Where the running cluster's addresses are and how it answers for names, for other programs that look at it or take
/// it down: they are started without the options that it was started with.
extension ClusterConfiguration {
    private var rememberedFile: String { "\(runDirectory)/cluster.json" }

    /// Notes the choices in the run directory.
    ///
    /// - Throws: `ContainerRuntimeError` if the file cannot be written.
    func remember() throws {
        var choices: JSONValue = [
            "podCIDR": .string(podCIDR), "serviceCIDR": .string(serviceCIDRText),
            "clusterDomain": .string(clusterDomain),
            "dnsUpstreams": .array(dns.upstreams.map { .string($0) }),
            "stubDomains": .array(dns.stubDomains.map { .string($0) }),
            "searchCompletion": .bool(dns.completesSearchPaths),
        ]
        if let nodeAddress { choices["nodeAddress"] = .string(nodeAddress) }
        try Files.write(choices.json(), to: rememberedFile)
    }

    /// This configuration with the choices of the cluster that runs, or ran last.
    ///
    /// - Throws: ``ClusterError`` with code `badConfiguration` if what was noted is no such thing.
    func remembered() throws -> ClusterConfiguration {
        guard let text = Files.text(rememberedFile) else { return self }
        var result = self
        do {
            let choices = try JSONValue(json: Array(text.utf8))
            func texts(_ key: String) -> [String] {
                choices[key]?.arrayValue?.compactMap(\.stringValue) ?? []
            }
            if let range = choices["podCIDR"]?.stringValue { result.podCIDR = range }
            if let range = choices["serviceCIDR"]?.stringValue { try result.setServiceCIDR(range) }
            result.nodeAddress = choices["nodeAddress"]?.stringValue ?? nodeAddress
            result.clusterDomain = choices["clusterDomain"]?.stringValue ?? clusterDomain
            result.dns.upstreams = texts("dnsUpstreams")
            result.dns.stubDomains = texts("stubDomains")
            result.dns.completesSearchPaths = choices["searchCompletion"]?.boolValue ?? true
        } catch {
            throw ClusterError(
                .badConfiguration,
                "Expected \(rememberedFile) to hold the choices of the running cluster, and it cannot be read. Remove it, "
                    + "and the usual ones are taken.", cause: error)
        }
        return result
    }
}
