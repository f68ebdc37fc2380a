import ContainerRuntime
import KubernetesJSON

/// Where the running cluster's addresses are, for other programs that look at it or take it down: they are started
/// without the options that it was started with.
extension ClusterConfiguration {
    private var rangesFile: String { "\(runDirectory)/ranges.json" }

    /// Notes the ranges in the run directory.
    ///
    /// - Throws: `ContainerRuntimeError` if the file cannot be written.
    func rememberRanges() throws {
        var ranges: JSONValue = ["podCIDR": .string(podCIDR), "serviceCIDR": .string(serviceCIDRText)]
        if let nodeAddress { ranges["nodeAddress"] = .string(nodeAddress) }
        try Files.write(ranges.json(), to: rangesFile)
    }

    /// This configuration with the ranges of the cluster that runs, or ran last.
    ///
    /// - Throws: ``ClusterError`` with code `badConfiguration` if what was noted is no such thing.
    func withRememberedRanges() throws -> ClusterConfiguration {
        guard let text = Files.text(rangesFile) else { return self }
        var result = self
        do {
            let ranges = try JSONValue(json: Array(text.utf8))
            if let range = ranges["podCIDR"]?.stringValue { result.podCIDR = range }
            if let range = ranges["serviceCIDR"]?.stringValue { try result.setServiceCIDR(range) }
            result.nodeAddress = ranges["nodeAddress"]?.stringValue ?? nodeAddress
        } catch {
            throw ClusterError(
                .badConfiguration,
                "Expected \(rangesFile) to hold the ranges of the running cluster, and it cannot be read. Remove it, "
                    + "and the usual ranges are taken.", cause: error)
        }
        return result
    }
}
