import Netlink
import PodNetwork
import Testing

@Suite struct FixedTableTests {
    private let pods = FixedTable(
        TableName(.ipv4, "swiftlet-pods"), comment: "Swiftlet pod network",
        chains: [.init("postrouting", .translateSource, rules: [[.masquerade]])])
    private let dns = FixedTable(
        TableName(.ipv4, "swiftlet-dns"), comment: "Swiftlet cluster DNS",
        chains: [
            .init("prerouting", .beforeTracking, rules: [[.untracked]]),
            .init("output", .beforeTrackingOwn, rules: [[.untracked], [.untracked]]),
        ])

    /// The tables that are put right, should the kernel show this.
    private func damaged(_ change: (inout [TableName: FixedTable.Picture]) -> Void) -> [TableName] {
        var found = [pods.name: pods.picture, dns.name: dns.picture]
        change(&found)
        return FixedTable.damaged([pods, dns], found: found).map(\.name)
    }

    @Test func aWholeTableIsLeftAlone() {
        #expect(damaged { _ in } == [])
        #expect(
            dns.picture
                == .init(comment: "Swiftlet cluster DNS", chains: ["prerouting", "output"], ruleCount: 3))
        // As others' tables are.
        #expect(
            damaged {
                $0[TableName(.ipv6, "swiftlet-pods")] = .init(comment: "", chains: [], ruleCount: 0)
            } == [])
    }

    @Test func whatIsMissingOrTooMuchIsSeen() {
        #expect(damaged { $0 = [:] } == [pods.name, dns.name])
        #expect(damaged { $0[dns.name] = nil } == [dns.name])
        func isDamaged(comment: String = "Swiftlet pod network", chains: Set<String>, rules: Int) -> Bool {
            let found = FixedTable.Picture(comment: comment, chains: chains, ruleCount: rules)
            return damaged { $0[pods.name] = found } == [pods.name]
        }
        #expect(!isDamaged(chains: ["postrouting"], rules: 1))
        #expect(isDamaged(chains: [], rules: 0))
        #expect(isDamaged(chains: ["postrouting", "theirs"], rules: 1))
        #expect(isDamaged(chains: ["postrouting"], rules: 0))
        #expect(isDamaged(chains: ["postrouting"], rules: 2))
        // Somebody made one of the same name.
        #expect(isDamaged(comment: "", chains: ["postrouting"], rules: 1))
    }
}
