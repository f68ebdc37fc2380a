import CLinux
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
