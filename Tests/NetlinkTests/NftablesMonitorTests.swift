import CLinux
import Dispatch
import Glibc
import Netlink
import Testing

@Suite struct NftablesMonitorTests {
    private func notice(
        _ type: Int, family: UInt8, table: String?, subsystem: Int = Int(NFNL_SUBSYS_NFTABLES)
    ) throws -> Message {
        var writer = MessageWriter()
        writer.message(type: UInt16(subsystem << 8 | type), flags: 0, sequence: 7) { writer in
            writer.raw([family, 0, 0, 0])
            if let table { writer.attribute(NFTA_TABLE_NAME, table) }
        }
        return try #require(Array(Messages(writer.bytes[...])).first)
    }

    @Test func onlyOwnTablesConcernUs() throws {
        let table = TableName(.ipv4, "swiftlet")
        let deletion = Int(NFT_MSG_DELTABLE.rawValue)
        #expect(NftablesMonitor.concerns(try notice(deletion, family: 2, table: "swiftlet"), table))
        #expect(
            NftablesMonitor.concerns(
                try notice(Int(NFT_MSG_DELSETELEM.rawValue), family: 2, table: "swiftlet"), table))
        #expect(!NftablesMonitor.concerns(try notice(deletion, family: 10, table: "swiftlet"), table))
        #expect(!NftablesMonitor.concerns(try notice(deletion, family: 2, table: "swiftlet-pods"), table))
        #expect(!NftablesMonitor.concerns(try notice(deletion, family: 2, table: nil), table))
        // The end of a transaction, and a notice of another part of the kernel.
        #expect(
            !NftablesMonitor.concerns(
                try notice(Int(NFT_MSG_NEWGEN.rawValue), family: 2, table: "swiftlet"), table))
        #expect(
            !NftablesMonitor.concerns(
                try notice(deletion, family: 2, table: "swiftlet", subsystem: 1), table))
    }
}

/// What the real kernel tells, in a network namespace of its own.
@Suite(.enabled(if: geteuid() == 0, "needs root, to make network namespaces"))
struct NftablesMonitorKernelTests {
    private let own: NftablesSocket
    private let stranger: NftablesSocket
    private let monitor: NftablesMonitor
    private let table = TableName(.ipv4, "swiftlet")

    init() async throws {
        let namespace = try await NetworkNamespace.make()
        own = try await NftablesSocket(in: namespace)
        stranger = try await NftablesSocket(in: namespace)
        let (own, table) = (own, table)
        monitor = try await namespace.run { try NftablesMonitor(of: [table], ignoring: own) }
    }

    /// One that changes something.
    private func add(_ table: TableName, chain: String = "first") -> NftablesTransaction {
        var transaction = NftablesTransaction(table)
        transaction.addTable()
        transaction.addChain(chain)
        return transaction
    }

    @Test(.timeLimit(.minutes(5))) func aTableThatIsWatchedLaterIsToldOf() async throws {
        let other = TableName(.ipv6, "swiftlet")
        monitor.watch([table, other])
        var disturbances = monitor.disturbances().makeAsyncIterator()
        try stranger.commit(add(other))
        #expect(await disturbances.next() != nil)
    }

    @Test(.timeLimit(.minutes(5))) func aStrangersChangeDuringALargeOneIsToldOf() async throws {
        try monitor.withoutNotices { () throws(NetlinkError) in
            try own.commit(add(table))
            try own.commit(add(table, chain: "second"))
        }
        #expect(!monitor.takeAlarm())
        let refused = #expect(throws: NetlinkError.self) {
            try monitor.withoutNotices { () throws(NetlinkError) in
                var transaction = add(table, chain: "third")
                transaction.deleteChain("missing")
                try own.commit(transaction)
            }
        }
        #expect(refused?.refusal == ENOENT)
        #expect(!monitor.takeAlarm())
        var disturbances = monitor.disturbances().makeAsyncIterator()
        try monitor.withoutNotices { () throws(NetlinkError) in
            try own.commit(add(table, chain: "third"))
            try stranger.commit(add(table, chain: "fourth"))
        }
        #expect(await disturbances.next() != nil)
        // And it listens again.
        try stranger.commit(add(table, chain: "fifth"))
        #expect(await disturbances.next() != nil)
    }

    @Test func waitingForTransactionsChangesNothing() throws {
        let before = try own.generation()
        for _ in 0..<3 { try own.waitForTransactions() }
        #expect(try own.generation() == before)
        // Nor would a table of that name be touched.
        let barrier = TableName(.ipv4, "swiftlet-barrier")
        try stranger.commit(add(barrier))
        try own.waitForTransactions()
        #expect(try own.generation() == before + 1)
        #expect(try own.chains(of: barrier) == ["first"])
    }

    /// The generation has grown, but nobody was told yet: that takes a while, for so many elements.
    @Test(.timeLimit(.minutes(5))) func aChangeThatIsBeingToldOfIsNotMissed() async throws {
        let set = SetDeclaration("numbers", key: [.mark])
        var first = add(table)
        first.addSet(set)
        try own.commit(first)
        var large = NftablesTransaction(table)
        large.addElements(
            to: set.name, (UInt32(0)..<50_000).lazy.map { SetElement(withUnsafeBytes(of: $0) { Array($0) }) })
        var disturbances = monitor.disturbances().makeAsyncIterator()
        let before = try own.generation()
        let strangers = DispatchGroup()
        DispatchQueue.global().async(group: strangers) { [stranger, large] in
            #expect(throws: Never.self) { try stranger.commit(large) }
        }
        try await withCheckedThrowingContinuation { continuation in
            // On a thread that may wait.
            DispatchQueue.global().async { [own, monitor] in
                continuation.resume(
                    with: Result {
                        while try own.generation() == before, strangers.wait(timeout: .now()) == .timedOut {}
                        try monitor.withoutNotices { () throws(NetlinkError) in strangers.wait() }
                    })
            }
        }
        #expect(await disturbances.next() != nil)
    }
}
