import Logging
import Netlink

/// The network of a node's pods: each has an address of its own and a routed wire to the node.
///
/// The wires are made by CNI plugins that the container runtime calls; this prepares what they need, and cleans up
/// what they leave. All functions work in the network namespace of the calling thread.
public struct PodNetwork: Sendable {
    public let configuration: PodNetworkConfiguration
    private let logger: Logger

    public init(_ configuration: PodNetworkConfiguration, logger: Logger = Logger(label: "swiftlet.network"))
    {
        self.configuration = configuration
        self.logger = logger
    }

    private var allocations: String { "\(configuration.allocationDirectory)/\(configuration.name)" }

    /// The nftables tables that give pods a way out, which somebody has to keep (`TableKeeper`).
    public var tables: [FixedTable] { OutboundTranslation(configuration: configuration).tables }

    private var settings: KernelSettings {
        KernelSettings(
            notes: "\(configuration.directory)/sysctls", families: configuration.families)
    }

    /// Prepares everything: directories, plugins, the description for the container runtime, kernel settings,
    /// and the translation of pods' addresses. Done again, it changes nothing.
    /// - Throws: `PodNetworkError` that says what is missing.
    public func establish() throws(PodNetworkError) {
        for directory in [
            configuration.configurationDirectory, configuration.binaryDirectory,
            configuration.allocationDirectory,
        ] {
            try Files.makeDirectory(directory)
        }
        try linkPlugins()
        let mtu = try kernel("prepare the way out for pods") { () throws(NetlinkError) in
            try OutboundTranslation(configuration: configuration).establish()
            if let mtu = configuration.mtu { return mtu }
            return try uplinkMTU()
        }
        // The translation has brought in connection tracking, where it is a module; so it can be set from here on.
        try settings.establish()
        // The runtime takes the network as ready once it sees the description, so that comes last.
        let description = NetworkDescription.list(configuration, mtu: mtu)
        try Files.replace("\(configuration.configurationDirectory)/10-swiftlet.conflist", description.json())
        logger.info(
            "pod network is ready",
            metadata: ["ranges": "\(configuration.ranges.map(\.node))", "mtu": "\(mtu)"])
    }

    private func kernel<Value>(
        _ what: String, _ body: () throws(NetlinkError) -> Value
    ) throws(PodNetworkError) -> Value {
        do {
            return try body()
        } catch {
            throw PodNetworkError(.kernel(error), "cannot \(what)")
        }
    }

    /// The largest packet that the way out takes, in bytes; Ethernet's when there is no way out.
    private func uplinkMTU() throws(NetlinkError) -> UInt32 {
        let socket = try RouteSocket()
        var ways: Set<Int32> = []
        for range in configuration.ranges {
            let route = NodeAddress.defaultRoute(range.family, try socket.routes(range.family))
            if let link = route?.link { ways.insert(link) }
        }
        let mtu = try socket.links().filter { ways.contains($0.index) }.compactMap(\.mtu).min() ?? 1500
        return min(max(mtu, 1280), 65535)
    }

    /// The runtime gets a directory with just the plugins that it needs.
    private func linkPlugins() throws(PodNetworkError) {
        var missing: [String] = []
        for plugin in configuration.plugins {
            let path = configuration.pluginDirectories.map { "\($0)/\(plugin)" }.first {
                Files.isExecutable($0)
            }
            if let path {
                try Files.link("\(configuration.binaryDirectory)/\(plugin)", to: path)
            } else {
                missing.append(plugin)
            }
        }
        guard missing.isEmpty else {
            throw PodNetworkError(
                .missingPlugins(missing),
                "CNI plugins \(missing.joined(separator: ", ")) were not found in "
                    + "\(configuration.pluginDirectories.joined(separator: ", ")); "
                    + "install them: apt install containernetworking-plugins")
        }
    }

    /// Lets the node's ends of pods' wires use their IPv6 addresses at once: the gateway's, and the one by which the
    /// kernel asks for the pod. While it looks whether somebody else has them (RFC 4862, 5.4), for a second or two,
    /// nothing gets to the pod and nothing of the pod's gets out. On a wire with one other end nobody else can be.
    ///
    /// To be called when a pod has got its wire; others are not touched. Shell, for each address:
    /// `ip address delete ADDRESS dev VETH; ip address add ADDRESS dev VETH nodad`.
    public func useAddressesAtOnce() throws(PodNetworkError) {
        guard configuration.families.contains(.ipv6) else { return }
        try kernel("use the addresses of pods' links at once") { () throws(NetlinkError) in
            let socket = try RouteSocket()
            let tentative = try socket.addresses().filter(\.isTentative)
            guard !tentative.isEmpty else { return }
            let (links, routes) = (try socket.links(), try socket.routes(.ipv6))
            let wires = configuration.ranges.filter { $0.family == .ipv6 }.flatMap { range in
                PodLinks(range.node, routes: routes, links: links).links.values
            }
            for address in tentative where wires.contains(address.link) {
                do throws(NetlinkError) {
                    try socket.removeAddress(address)
                    try socket.addAddress(address)
                } catch {
                    // The pod went meanwhile.
                    guard error.isNotThere else { throw error }
                }
            }
        }
    }

    /// Frees addresses and removes wires of sandboxes that vanished without anybody cleaning up after them.
    ///
    /// Must not run while sandboxes are being made: a new one may have its address before the runtime lists it.
    /// - Parameter sandboxes: the IDs of all sandboxes that exist.
    /// - Returns: the addresses that were freed.
    @discardableResult
    public func collectGarbage(sandboxes: Set<String>) throws(PodNetworkError) -> [IPAddress] {
        let found = try readAllocations()
        let abandoned = found.abandoned(live: sandboxes)
        for address in abandoned { try Files.remove("\(allocations)/\(address)") }
        let live = Set(found.sandboxes.keys).subtracting(abandoned)
        let removed = try removeLinks { !live.contains($0) }
        if !abandoned.isEmpty || removed > 0 {
            logger.info(
                "removed what vanished pods had left",
                metadata: ["addresses": "\(abandoned.count)", "links": "\(removed)"])
        }
        return abandoned
    }

    private func readAllocations() throws(PodNetworkError) -> AddressAllocations {
        var result = AddressAllocations()
        for name in try Files.names(in: allocations) where IPAddress(name) != nil {
            if let text = try Files.read("\(allocations)/\(name)") { result.add(fileName: name, text: text) }
        }
        return result
    }

    /// Removes the node's ends of wires to addresses for which `isAbandoned`.
    private func removeLinks(where isAbandoned: (IPAddress) -> Bool) throws(PodNetworkError) -> Int {
        try kernel("remove the links of pods") { () throws(NetlinkError) in
            let socket = try RouteSocket()
            let links = try socket.links()
            // A pod with an address of each family has one wire.
            var abandoned: Set<Int32> = []
            for range in configuration.ranges {
                let pods = PodLinks(range.node, routes: try socket.routes(range.family), links: links)
                for (address, link) in pods.links where isAbandoned(address) { abandoned.insert(link) }
            }
            var count = 0
            for link in abandoned {
                do throws(NetlinkError) {
                    try socket.removeLink(link)
                    count += 1
                } catch {
                    // Its other end's namespace went meanwhile, and the pair with it.
                    guard error.isNotThere else { throw error }
                }
            }
            return count
        }
    }

    /// Removes all that the network has made: wires, tables, files; and puts kernel settings back.
    public func cleanUp() throws(PodNetworkError) {
        let sandboxes = Set(try readAllocations().sandboxes.values)
        _ = try removeLinks { _ in true }
        try kernel("remove the translation of pods' addresses") { () throws(NetlinkError) in
            try OutboundTranslation(configuration: configuration).remove()
        }
        try settings.restore()
        for name in try Files.names(in: configuration.resultDirectory)
        where sandboxes.contains(where: { name.hasPrefix("\(configuration.name)-\($0)-") }) {
            try Files.remove("\(configuration.resultDirectory)/\(name)")
        }
        try Files.removeDirectory(configuration.directory)
    }
}
