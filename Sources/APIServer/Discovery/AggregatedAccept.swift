/// Whether a client asks for aggregated discovery, and in which version.
package enum AggregatedAccept {
    /// `v2` or `v2beta1` when that is what the client likes best, nil when it wants the legacy document.
    package static func version(_ accept: String?) -> String? {
        guard let accept else { return nil }
        for range in MediaType.ranges(accept: accept) {
            if range.parameters["as"] == nil {
                if ["application/json", "*/*", "application/*"].contains(range.essence) { return nil }
                continue
            }
            guard
                range.essence == "application/json", range.parameters["g"] == "apidiscovery.k8s.io",
                range.parameters["as"] == "APIGroupDiscoveryList", let version = range.parameters["v"],
                version == "v2" || version == "v2beta1"
            else { continue }
            return version
        }
        return nil
    }

    /// By this the client tells that it got what it asked for.
    package static func contentType(_ version: String) -> String {
        "application/json;g=apidiscovery.k8s.io;v=\(version);as=APIGroupDiscoveryList"
    }
}
