import Glibc
import KubernetesJSON
import Logging
import Netlink
import PodNetwork
import Testing

/// The network in the real kernel, with the real plugins.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"), .serialized)
final class PodNetworkTests {
    private let directory: String
    private let node: NetworkNamespace
    private let network: PodNetwork

    init() async throws {
        var template = Array("/tmp/pod-network-XXXXXX".utf8CString)
        directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        var configuration = PodNetworkConfiguration(
            ranges: [
                .init(
                    node: try #require(IPNetwork("10.244.0.0/24")),
                    cluster: try #require(IPNetwork("10.244.0.0/16")))
            ], directory: directory + "/cni")
        configuration.resultDirectory = directory + "/results"
        network = PodNetwork(configuration, logger: Logger(label: "test"))
        node = try await NetworkNamespace.make()
        let routes = try await RouteSocket(in: node)
        let loopback = try #require(try routes.link(named: "lo"))
        try routes.setLink(loopback.index, up: true)
        try routes.addAddress(
            InterfaceAddress(try #require(IPNetwork("192.0.2.1/32")), link: loopback.index))
    }

    deinit {
        _ = spawn(
            "/bin/rm", ["PATH=/bin"], arguments: ["-r", directory], input: "/dev/null", output: "/dev/null")
    }

    /// Calls the plugins as the container runtime does. Returns what the last one printed.
    private func callPlugins(_ command: String, sandbox: String, pod: NetworkNamespace) async throws -> String
    {
        let list = try #require(
            contents(of: "\(network.configuration.configurationDirectory)/10-swiftlet.conflist"))
        let description = try JSONValue(json: Array(list.utf8))
        let plugins = try #require(description["plugins"]?.arrayValue)
        var printed = ""
        for plugin in command == "DEL" ? plugins.reversed() : plugins {
            // What the runtime makes of a list: the plugin's part with the list's name and version, and what the
            // plugin before it printed.
            var part = plugin
            part["cniVersion"] = description["cniVersion"]
            part["name"] = description["name"]
            if !printed.isEmpty { part["prevResult"] = try JSONValue(json: Array(printed.utf8)) }
            let name = try #require(plugin["type"]?.stringValue)
            printed = try await call(name, part, command, sandbox: sandbox, pod: pod)
        }
        return printed
    }

    private func call(
        _ plugin: String, _ description: JSONValue, _ command: String, sandbox: String, pod: NetworkNamespace
    ) async throws -> String {
        let input = directory + "/input"
        try write(String(decoding: description.json(), as: UTF8.self), to: input)
        let binaries = network.configuration.binaryDirectory
        let output = directory + "/output"
        return try await node.run {
            pod.withDescriptor { descriptor in
                let path = "/proc/\(getpid())/fd/\(descriptor)"
                let status = spawn(
                    "\(binaries)/\(plugin)",
                    [
                        "CNI_COMMAND=\(command)", "CNI_CONTAINERID=\(sandbox)", "CNI_NETNS=\(path)",
                        "CNI_IFNAME=eth0", "CNI_PATH=\(binaries)", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                    ], input: input, output: output)
                let printed = contents(of: output) ?? ""
                #expect(status == 0, "\(printed)")
                return printed
            }
        }
    }

    @Test func podsGetWiresAddressesAndAWayOut() async throws {
        try await node.run { [network] in
            try network.establish()
            // Again changes nothing.
            try network.establish()
        }
        let pod = try await NetworkNamespace.make()
        let printed = try await callPlugins("ADD", sandbox: "one", pod: pod)
        #expect(printed.contains("10.244.0.2/24"))
        let inside = try await RouteSocket(in: pod)
        #expect(try inside.addresses().contains { $0.network.description == "10.244.0.2/24" })
        let way = try #require(try inside.routes().first { $0.destination.prefixLength == 0 })
        #expect(way.gateway?.description == "10.244.0.1")
        let routes = try await RouteSocket(in: node)
        #expect(try routes.routes().contains { $0.destination.description == "10.244.0.2/32" })
        #expect(try inside.link(named: "eth0")?.mtu == 1500)
        #expect(try await node.run { contents(of: "/proc/sys/net/ipv4/ip_forward") } == "1\n")
        _ = try await callPlugins("DEL", sandbox: "one", pod: pod)
        #expect(try !routes.links().contains { $0.kind == "veth" })
    }

    private func networkOfBothFamilies() throws -> PodNetwork {
        var configuration = network.configuration
        configuration.ranges.append(
            .init(
                node: try #require(IPNetwork("fd00:244::/64")),
                cluster: try #require(IPNetwork("fd00:244::/56"))))
        return PodNetwork(configuration, logger: Logger(label: "test"))
    }

    /// An address that is being looked for elsewhere first is not answered for, and asks nobody.
    @Test func aNewPodIsReachedOverIPv6AtOnce() async throws {
        let both = try networkOfBothFamilies()
        let routes = try await RouteSocket(in: node)
        let loopback = try #require(try routes.link(named: "lo"))
        try routes.addAddress(
            InterfaceAddress(try #require(IPNetwork("2001:db8::1/128")), link: loopback.index))
        try await node.run { try both.establish() }
        let pod = try await NetworkNamespace.make()
        _ = try await callPlugins("ADD", sandbox: "one", pod: pod)
        try await node.run { try both.useAddressesAtOnce() }
        let inside = try await RouteSocket(in: pod)
        #expect(try inside.addresses().filter(\.isTentative) == [])
        let link = try #require(try routes.links().first { $0.name.hasPrefix("veth") }).index
        let addresses = try routes.addresses().filter {
            $0.link == link && $0.network.address.family == .ipv6
        }
        #expect(addresses.filter(\.isTentative) == [])
        #expect(addresses.contains { $0.network.description == "fd00:244::1/128" })
        #expect(addresses.contains { $0.scope == 253 && $0.network.prefixLength == 64 })
        let (one, gateway) = (
            try #require(IPAddress("fd00:244::2")), try #require(IPAddress("fd00:244::1"))
        )
        #expect(try await node.run { connectionError(one, port: 9) } == ECONNREFUSED)
        #expect(try await pod.run { connectionError(gateway, port: 9) } == ECONNREFUSED)
        // Again changes nothing.
        try await node.run { try both.useAddressesAtOnce() }
        #expect(
            try routes.addresses().filter { $0.link == link && $0.network.address.family == .ipv6 }
                == addresses)
        _ = try await callPlugins("DEL", sandbox: "one", pod: pod)
        #expect(try !routes.links().contains { $0.name.hasPrefix("veth") })
    }

    @Test func aPodHasAnAddressOfEachFamily() async throws {
        let both = try networkOfBothFamilies()
        let forwarding = "/proc/sys/net/ipv6/conf/all/forwarding"
        let lo = "/proc/sys/net/ipv6/conf/lo/accept_ra"
        let before = try await node.run { (contents(of: forwarding), contents(of: lo)) }
        try await node.run { try both.establish() }
        #expect(try await node.run { contents(of: forwarding) } == "1\n")
        if before.1 == "1\n" { #expect(try await node.run { contents(of: lo) } == "2\n") }
        let pod = try await NetworkNamespace.make()
        _ = try await callPlugins("ADD", sandbox: "one", pod: pod)
        let inside = try await RouteSocket(in: pod)
        let addresses = try inside.addresses().map(\.network.description)
        #expect(addresses.contains("10.244.0.2/24") && addresses.contains("fd00:244::2/64"), "\(addresses)")
        let way = try #require(try inside.routes(.ipv6).first { $0.destination.prefixLength == 0 })
        #expect(way.gateway?.description == "fd00:244::1")
        let routes = try await RouteSocket(in: node)
        #expect(try routes.routes(.ipv6).contains { $0.destination.description == "fd00:244::2/128" })
        // Both addresses are freed, and the one wire goes.
        let freed = try await node.run { try both.collectGarbage(sandboxes: []) }
        #expect(Set(freed.map(\.description)) == ["10.244.0.2", "fd00:244::2"])
        #expect(try !routes.links().contains { $0.kind == "veth" })
        try await node.run { try both.cleanUp() }
        #expect(try await NftablesSocket(in: node).comment(of: TableName(.ipv6, "swiftlet-pods")) == nil)
        #expect(try await node.run { contents(of: forwarding) } == before.0)
        #expect(try await node.run { contents(of: lo) } == before.1)
    }

    @Test func vanishedSandboxesAreCleanedUpAfter() async throws {
        try await node.run { [network] in try network.establish() }
        let one = try await NetworkNamespace.make()
        let two = try await NetworkNamespace.make()
        _ = try await callPlugins("ADD", sandbox: "one", pod: one)
        _ = try await callPlugins("ADD", sandbox: "two", pod: two)
        let freed = try await node.run { [network] in try network.collectGarbage(sandboxes: ["two"]) }
        #expect(freed.map(\.description) == ["10.244.0.2"])
        let routes = try await RouteSocket(in: node)
        #expect(try routes.links().filter { $0.kind == "veth" }.count == 1)
        #expect(try routes.routes().contains { $0.destination.description == "10.244.0.3/32" })
        let again = try await node.run { [network] in try network.collectGarbage(sandboxes: ["two"]) }
        #expect(again.isEmpty)
    }

    @Test func nothingIsLeftAfterCleaningUp() async throws {
        let broken = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close"
        let (before, kept) = try await node.run {
            (contents(of: "/proc/sys/net/ipv4/ip_forward"), contents(of: broken))
        }
        try await node.run { [network] in try network.establish() }
        if kept != nil { #expect(try await node.run { contents(of: broken) } == "0\n") }
        let pod = try await NetworkNamespace.make()
        _ = try await callPlugins("ADD", sandbox: "one", pod: pod)
        try await node.run { [network] in
            try network.cleanUp()
            // Again does no harm.
            try network.cleanUp()
        }
        let routes = try await RouteSocket(in: node)
        #expect(try routes.links().map(\.name) == ["lo"])
        #expect(try await NftablesSocket(in: node).comment(of: TableName(.ipv4, "swiftlet-pods")) == nil)
        #expect(access(network.configuration.directory, F_OK) != 0)
        #expect(try await node.run { contents(of: "/proc/sys/net/ipv4/ip_forward") } == before)
        #expect(try await node.run { contents(of: broken) } == kept)
    }

    /// A machine beyond an uplink, which knows nothing of pods.
    private func machineOutside() async throws -> NetworkNamespace {
        let outside = try await NetworkNamespace.make()
        let routes = try await RouteSocket(in: node)
        try routes.addLink("uplink", .veth(peer: "eth0"))
        let uplink = try #require(try routes.link(named: "uplink"))
        try routes.moveLink(try #require(try routes.link(named: "eth0")).index, to: outside)
        try routes.addAddress(
            InterfaceAddress(try #require(IPNetwork("198.51.100.1/24")), link: uplink.index))
        try routes.setLink(uplink.index, up: true)
        let other = try await RouteSocket(in: outside)
        let eth0 = try #require(try other.link(named: "eth0"))
        try other.addAddress(InterfaceAddress(try #require(IPNetwork("198.51.100.2/24")), link: eth0.index))
        try other.setLink(eth0.index, up: true)
        return outside
    }

    /// From which address a machine outside sees what a pod sends.
    private func clientSeen(from pod: NetworkNamespace, at outside: NetworkNamespace) async throws -> String?
    {
        let receiver = try await outside.run { try datagramSocket(port: 5000) }
        let sender = try await pod.run { try datagramSocket(port: 0) }
        defer {
            close(receiver)
            close(sender)
        }
        return exchange(
            from: sender, to: try #require(IPAddress("198.51.100.2")), port: 5000, at: receiver)
    }

    @Test func outsideTheClusterPodsHaveTheNodesAddress() async throws {
        try await node.run { [network] in try network.establish() }
        let pod = try await NetworkNamespace.make()
        _ = try await callPlugins("ADD", sandbox: "one", pod: pod)
        #expect(try await clientSeen(from: pod, at: machineOutside()) == "198.51.100.1")
    }

    /// Runs `nft` on the node.
    private func nft(_ words: String...) async throws -> Int32 {
        let output = directory + "/output"
        return try await node.run {
            spawn(
                "/usr/sbin/nft", ["PATH=/usr/sbin"], arguments: words, input: "/dev/null", output: output)
        }
    }

    @Test(
        .enabled(if: access("/usr/sbin/nft", X_OK) == 0, "needs nft, to be a stranger"),
        .timeLimit(.minutes(5)))
    func theWayOutComesBackAfterAFlush() async throws {
        let both = try networkOfBothFamilies()
        try await node.run { try both.establish() }
        let pod = try await NetworkNamespace.make()
        _ = try await callPlugins("ADD", sandbox: "one", pod: pod)
        let outside = try await machineOutside()
        let (repairs, continuation) = AsyncStream.makeStream(of: (TableName, TableKeeper.Outcome).self)
        let dns = UntrackedPort(
            table: "swiftlet-dns", address: try #require(IPAddress("10.96.0.10")), port: 53)
        let keeper = TableKeeper(both.tables + [dns.table], logger: Logger(label: "test")) {
            continuation.yield(($0, $1))
        }
        let (ipv4, ipv6, dnsName) = (
            TableName(.ipv4, "swiftlet-pods"), TableName(.ipv6, "swiftlet-pods"), dns.table.name
        )
        let running = Task { [node] in try await keeper.run(in: node) }
        defer { running.cancel() }
        var iterator = repairs.makeAsyncIterator()
        /// The tables of so many repairs.
        func next(_ count: Int) async -> [TableName] {
            var tables: [TableName] = []
            while tables.count < count, let (table, outcome) = await iterator.next(isolation: #isolation) {
                if outcome == .putRight { tables.append(table) }
            }
            return tables
        }
        // What is amiss at the beginning is seen as well; here there is one yet to be made.
        #expect(await next(1) == [dnsName])
        #expect(try await nft("flush", "ruleset") == 0)
        #expect(Set(await next(3)) == [ipv4, ipv6, dnsName])
        #expect(try await clientSeen(from: pod, at: outside) == "198.51.100.1")
        // Less than all, too.
        #expect(try await nft("flush", "chain", "ip", "swiftlet-pods", "postrouting") == 0)
        #expect(await next(1) == [ipv4])
        #expect(try await nft("delete", "table", "ip", "swiftlet-dns") == 0)
        #expect(await next(1) == [dnsName])
        // Another's table is none of our business, and our own ones are whole.
        #expect(try await nft("add", "table", "ip", "firewall") == 0)
        let socket = try await NftablesSocket(in: node)
        #expect(try socket.comment(of: TableName(.ipv4, "firewall")) == "")
        for table in both.tables + [dns.table] {
            #expect(try FixedTable.Picture(of: table.name, socket) == table.picture)
        }
    }

    @Test func missingPluginsAreNamed() async throws {
        var configuration = network.configuration
        configuration.pluginDirectories = [directory]
        let lacking = PodNetwork(configuration, logger: Logger(label: "test"))
        let error = try await #require(throws: PodNetworkError.self) {
            try await node.run { try lacking.establish() }
        }
        #expect(error.code == .missingPlugins(["ptp", "host-local", "loopback"]))
        #expect(error.description.contains("apt install containernetworking-plugins"))
    }

    @Test func theNodesAddressIsFoundInASandbox() async throws {
        let address = try await node.run { try NodeAddress.find(excluding: []) }
        #expect(address.description == "192.0.2.1")
        let empty = try await NetworkNamespace.make()
        let error = try await #require(throws: PodNetworkError.self) {
            _ = try await empty.run { try NodeAddress.find(excluding: []) }
        }
        #expect(error.code == .noAddress)
    }
}

private func contents(of path: String) -> String? {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = read(descriptor, &buffer, buffer.count)
    return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
}

private func write(_ text: String, to path: String) throws {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
}

/// Runs a program in the calling thread's namespace and returns its exit status.
func spawn(
    _ path: String, _ environment: [String], arguments: [String] = [], input: String, output: String
) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    var arguments: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    var process = pid_t()
    guard posix_spawn(&process, path, &actions, nil, &arguments, &variables) == 0 else { return -1 }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    return status
}

private func datagramSocket(port: UInt16) throws -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var time = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    let result = withSocketAddress(IPAddress(ipv4: 0), port) { bind(descriptor, $0, $1) }
    try #require(result == 0)
    return descriptor
}

/// Why a connection from the calling thread's namespace fails: ECONNREFUSED when it gets there and nobody listens.
private func connectionError(_ address: IPAddress, port: UInt16) -> Int32 {
    let descriptor = socket(
        Int32(address.family.rawValue), Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    return withSocketAddress(address, port) { connect(descriptor, $0, $1) } == 0 ? 0 : errno
}

private func withSocketAddress<Value>(
    _ address: IPAddress, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
) -> Value {
    if address.family == .ipv6 {
        var value = sockaddr_in6()
        value.sin6_family = sa_family_t(AF_INET6)
        value.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &value.sin6_addr) { $0.copyBytes(from: address.bytes) }
        return withUnsafePointer(to: value) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
    }
    var value = sockaddr_in()
    value.sin_family = sa_family_t(AF_INET)
    value.sin_port = port.bigEndian
    value.sin_addr.s_addr = (address.ipv4Number ?? 0).bigEndian
    return withUnsafePointer(to: value) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}

/// Sends a datagram and returns the sender's address as it is seen at the receiver.
private func exchange(from sender: Int32, to address: IPAddress, port: UInt16, at receiver: Int32) -> String?
{
    _ = withSocketAddress(address, port) { sendto(sender, "x", 1, 0, $0, $1) }
    var from = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    var buffer: UInt8 = 0
    let count = withUnsafeMutablePointer(to: &from) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            recvfrom(receiver, &buffer, 1, 0, $0, &length)
        }
    }
    return count == 1 ? IPAddress(ipv4: UInt32(bigEndian: from.sin_addr.s_addr)).description : nil
}
