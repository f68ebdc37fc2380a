import Glibc
import Netlink
import PodNetwork
import Testing

@Suite struct ForwardingObstacleTests {
    private let pods = ["10.244.0.0/16", "fd00:244::/56"].compactMap { IPNetwork($0) }

    @Test func onlyWhatDropsOnTheWayThroughIsOne() throws {
        let docker = BaseChain(TableName(.ipv4, "filter"), "FORWARD", hook: 2, dropsTheRest: true)
        let firewall = BaseChain(TableName(.inet, "firewall"), "forward", hook: 2, dropsTheRest: true)
        let harmless = [
            BaseChain(TableName(.inet, "firewall"), "input", hook: 1, dropsTheRest: true),
            BaseChain(TableName(.inet, "other"), "forward", hook: 2, dropsTheRest: false),
        ]
        let found = ForwardingObstacle.among(harmless + [docker, firewall], pods: pods)
        #expect(found.map(\.chain) == [docker, firewall])
        #expect(found[0].pods == [pods[0]] && found[1].pods == pods)
        #expect("\(found[0])".contains("nft insert rule ip filter FORWARD ip daddr 10.244.0.0/16 accept"))
        #expect(
            "\(found[1])".contains("nft insert rule inet firewall forward ip6 saddr fd00:244::/56 accept"))
        // Nobody has an address that it would meet.
        let six = BaseChain(TableName(.ipv6, "filter"), "FORWARD", hook: 2, dropsTheRest: true)
        #expect(ForwardingObstacle.among([six], pods: [pods[0]]).isEmpty)
    }

    @Test(
        .enabled(
            if: geteuid() == 0 && access("/usr/sbin/nft", X_OK) == 0,
            "needs root, to make network namespaces, and nft, to be a stranger"))
    func theKernelTellsOfChainsAndTheirPolicies() async throws {
        let namespace = try await NetworkNamespace.make()
        let socket = try await NftablesSocket(in: namespace)
        let table = TableName(.ipv4, "filter")
        var transaction = NftablesTransaction(table)
        transaction.addTable()
        transaction.addChain("FORWARD", hook: ChainHook(.filter, .forward, priority: 0))
        transaction.addChain("elsewhere")
        try socket.commit(transaction)
        #expect(
            try socket.baseChains() == [BaseChain(table, "FORWARD", hook: 2, dropsTheRest: false)])
        let status = try await namespace.run {
            spawn(
                "/usr/sbin/nft", [],
                arguments: ["chain", "ip", "filter", "FORWARD", "{ policy drop; }"], input: "/dev/null",
                output: "/dev/null")
        }
        #expect(status == 0)
        let pods = pods
        let found = try await namespace.run { try ForwardingObstacle.find(pods: pods) }
        #expect(found.map(\.chain) == [BaseChain(table, "FORWARD", hook: 2, dropsTheRest: true)])
    }
}
