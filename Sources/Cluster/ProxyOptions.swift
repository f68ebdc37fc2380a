/// What can be chosen about a service proxy that runs by itself.
public struct ProxyOptions: Sendable, Equatable {
    /// The kubeconfig that leads to the API server.
    public var kubeconfig: String
    /// The context in it; nil: the current one.
    public var context: String?
    /// The name of the Node on which the proxy runs.
    public var nodeName: String
    /// The ranges of Service addresses. Empty: what the ServiceCIDR objects say, which are followed in any case.
    public var serviceCIDRs: [String] = []
    /// The ranges of all pods' addresses. Empty: the range of the node's own pods, if the Node says it.
    public var clusterCIDRs: [String] = []
    /// Where `/metrics` is served, `ADDRESS:PORT`; empty: nowhere.
    public var metricsAddress = standardMetricsAddress
    /// Where `/healthz` is served, `ADDRESS:PORT`; empty: nowhere.
    public var healthzAddress = standardHealthzAddress

    /// Kube-proxy's.
    public static let standardMetricsAddress = "127.0.0.1:10249"
    /// Kube-proxy's.
    public static let standardHealthzAddress = "0.0.0.0:10256"

    public init(kubeconfig: String, nodeName: String) {
        self.kubeconfig = kubeconfig
        self.nodeName = nodeName
    }
}
