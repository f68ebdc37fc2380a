import ContainerRuntime
import Glibc
import KubernetesJSON

/// Where the running cluster's data and addresses are and how it answers for names, for other programs that look at it
/// or take it down: they are started without the options that it was started with.
extension ClusterConfiguration {
    /// The cluster that runs, or ran last, with this run directory.
    ///
    /// - Parameters:
    ///   - stateDirectory: nil for the one that it was started with, or else the usual one; likewise `podLogDirectory`.
    /// - Throws: ``ClusterError`` with code `badConfiguration` if what it noted cannot be read.
    public static func found(
        runDirectory: String, stateDirectory: String?, podLogDirectory: String?
    ) throws -> ClusterConfiguration {
        var result = ClusterConfiguration()
        result.runDirectory = runDirectory
        result = try result.remembered()
        if let stateDirectory { result.stateDirectory = stateDirectory }
        if let podLogDirectory { result.podLogDirectory = podLogDirectory }
        return result
    }

    private var rememberedFile: String { "\(runDirectory)/cluster.json" }

    /// Notes the choices in the run directory.
    ///
    /// - Throws: `ContainerRuntimeError` if the file cannot be written.
    package func remember() throws {
        var choices: JSONValue = [
            "stateDirectory": .string(Self.absolute(stateDirectory)),
            "podLogDirectory": .string(Self.absolute(podLogDirectory)),
            "podCIDR": .string(podCIDR), "serviceCIDR": .string(serviceCIDRText),
            "clusterDomain": .string(clusterDomain),
            "dnsUpstreams": .array(dns.upstreams.map { .string($0) }),
            "stubDomains": .array(dns.stubDomains.map { .string($0) }),
            "searchCompletion": .bool(dns.completesSearchPaths),
        ]
        if let nodeAddress { choices["nodeAddress"] = .string(nodeAddress) }
        try Files.write(choices.json(), to: rememberedFile)
    }

    /// A folder's path for those who are called elsewhere. Shell: `realpath FOLDER`
    private static func absolute(_ folder: String) -> String {
        guard let path = realpath(folder, nil) else { return folder }
        defer { free(path) }
        return String(cString: path)
    }

    /// This configuration with the choices of the cluster that runs, or ran last.
    ///
    /// - Throws: ``ClusterError`` with code `badConfiguration` if what was noted is no such thing.
    package func remembered() throws -> ClusterConfiguration {
        guard let text = Files.text(rememberedFile) else { return self }
        var result = self
        do {
            let choices = try JSONValue(json: Array(text.utf8))
            func texts(_ key: String) -> [String] {
                choices[key]?.arrayValue?.compactMap(\.stringValue) ?? []
            }
            if let folder = choices["stateDirectory"]?.stringValue { result.stateDirectory = folder }
            if let folder = choices["podLogDirectory"]?.stringValue { result.podLogDirectory = folder }
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
