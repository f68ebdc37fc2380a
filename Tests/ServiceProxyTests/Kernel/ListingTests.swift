import CLinux
import Glibc
import Netlink
import ServiceProxy
import Testing

/// What the proxy makes can be looked at with the `nft` program.
@Suite(.enabled(if: geteuid() == 0 && nftProgram != nil, "needs root and the program nft"))
struct ListingTests {
    @Test(arguments: [IPAddress.Family.ipv4, .ipv6]) func nftShowsEverything(
        _ family: IPAddress.Family
    ) async throws {
        let namespace = try await NetworkNamespace.make()
        let configuration = ProxyConfiguration(
            nodeName: "node", nodeAddresses: ["172.31.0.1", "fd00:172::1"].compactMap { IPAddress($0) },
            serviceRanges: ["10.96.0.0/16", "fd00:96::/112"].compactMap { IPNetwork($0) },
            podRanges: ["10.244.0.0/16", "fd00:244::/56"].compactMap { IPNetwork($0) },
            nodeLocalAddresses: ["10.96.0.10", "fd00:96::10"].compactMap { IPAddress($0) })
        let form = NftablesForm(family, configuration)
        let socket = try await NftablesSocket(in: namespace)
        var backEnd = NftablesBackEnd(form, socket)
        try backEnd.replace(by: table(family))
        try learn(form, socket)
        let (status, text) = try await list(namespace)
        #expect(status == 0, "\(text)")
        let isIPv4 = family == .ipv4
        for part in [
            isIPv4 ? "10.96.0.42 . tcp . 80 : goto spread" : "fd00:96::42 . tcp . 80 : goto spread",
            isIPv4 ? "10.96.0.42 . tcp . 80 : 2" : "fd00:96::42 . tcp . 80 : 2",
            "map @counts 0x2", "goto pick6-node",
            "chain pick2-node-outside", "map affinity", "jump check-source",
            "chain pick2-sticky10800", "update @affinity", "chain pick2-node-outside-sticky60",
            "vmap @sticky", "goto remember-10800", "chain remember-node-60", "@members", "map @affinity",
            isIPv4 ? "10.244.0.3 . 10.96.0.42 . tcp . 443" : "fd00:244::3 . fd00:96::42 . tcp . 443",
            "\(isIPv4 ? "ip" : "ip6") saddr set", "if @endpoints has slot 0", "goto to-this-node",
            isIPv4 ? "10.244.0.2 . 3000" : "fd00:244::2 . 3000",
        ] {
            #expect(text.contains(part), "nft shows no \"\(part)\":\n\(text)")
        }
        #expect(!text.contains("rror"), "\(text)")
    }

    /// That a client sticks to an endpoint, as a packet has the kernel learn it.
    private func learn(_ form: NftablesForm, _ socket: NftablesSocket) throws {
        let table = table(form.family)
        let (entry, forwarding) = try #require(
            table.entries.first { $0.value.affinity != nil && !$0.key.isNodePort })
        let (client, backend) = (forwarding.backends[1].address, forwarding.backends[0])
        let element = SetElement(
            client.bytes + NftablesForm.key(entry), .data(NftablesForm.data(backend)))
        try socket.commit(
            NftablesTransaction(form.table, [.addElements(set: NftablesForm.affinity, [element])]))
    }

    /// Something of every kind.
    private func table(_ family: IPAddress.Family) -> ForwardingTable {
        func address(_ four: String, _ six: String) -> IPAddress {
            IPAddress(family == .ipv4 ? four : six) ?? .unspecified(family)
        }
        let service = address("10.96.0.42", "fd00:96::42")
        let backends = [
            Backend(address("10.244.0.2", "fd00:244::2"), 3000),
            Backend(address("10.244.0.3", "fd00:244::3"), 3000),
        ]
        var table = ForwardingTable()
        table.entries[ServiceAddress(service, .tcp, 80)] = .spread(backends)
        table.entries[ServiceAddress(service, .udp, 80)] = .refuse
        table.entries[ServiceAddress(service, .sctp, 80)] = .drop
        table.entries[ServiceAddress(.unspecified(family), .tcp, 30080)] = Forwarding(
            .spread(backends), outside: .spread(backends))
        table.entries[ServiceAddress(service, .tcp, 443)] = Forwarding(.spread(backends), affinity: 10_800)
        table.entries[ServiceAddress(.unspecified(family), .tcp, 30443)] = Forwarding(
            .spread(backends), outside: .spread(backends), affinity: 60)
        table.entries[ServiceAddress(address("203.0.113.1", "2001:db8:1::1"), .tcp, 80)] = Forwarding(
            .spread(backends),
            sources: Set(
                ["192.0.2.0/24", "2001:db8::/32"].compactMap { IPNetwork($0) }.filter {
                    $0.address.family == family
                }))
        table.serviceAddresses = [service]
        table.hairpinAddresses = Set(backends.map(\.address))
        return table
    }

    /// `nft list ruleset`: its status, and what it said.
    private func list(_ namespace: NetworkNamespace) async throws -> (Int32, String) {
        let program = try #require(nftProgram)
        return try await namespace.run {
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            var arguments: [UnsafeMutablePointer<CChar>?] = ["nft", "list", "ruleset"].map { (text: String) in
                strdup(text)
            }
            arguments.append(nil)
            defer { for argument in arguments { free(argument) } }
            let child = swiftlet_spawn(program, arguments, environ, -1, ends[1], ends[1], 0)
            close(ends[1])
            defer { close(ends[0]) }
            try #require(child > 0)
            var bytes: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while case let count = read(ends[0], &buffer, buffer.count), count > 0 {
                bytes += buffer[..<count]
            }
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0, errno == EINTR {}
            return (status, String(decoding: bytes, as: UTF8.self))
        }
    }
}

/// Where the program `nft` is; nil when this machine does not have it.
private let nftProgram: String? = {
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
    return folders.map { "\($0)/nft" }.first { access($0, X_OK) == 0 }
}()
