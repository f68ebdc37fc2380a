import Logging
import Netlink

/// Puts tables right again when somebody else has changed them, as `nft flush ruleset` does and with it
/// `systemctl restart nftables`.
///
/// The kernel tells of every change (`NftablesMonitor`); there is no timer.
public struct TableKeeper: Sendable {
    /// What came of a table that somebody else had changed.
    public enum Outcome: Sendable, Hashable {
        case putRight
        /// It is tried again.
        case failed
    }

    private let tables: [FixedTable]
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let told: @Sendable (TableName, Outcome) -> Void

    /// - Parameters:
    ///   - clock: for the pauses between tries that the kernel refuses.
    ///   - told: is called for each table that was not what it should be.
    public init(
        _ tables: [FixedTable], clock: any Clock<Duration> = ContinuousClock(), logger: Logger,
        told: @escaping @Sendable (TableName, Outcome) -> Void
    ) {
        self.tables = tables
        self.clock = clock
        self.logger = logger
        self.told = told
    }

    /// Looks at the tables, then keeps them until the task is cancelled.
    /// - Parameter namespace: where they are; nil for where this process is.
    /// - Throws: `PodNetworkError` if the kernel tells nothing of changes.
    public func run(in namespace: NetworkNamespace? = nil) async throws {
        let names = tables.map(\.name)
        let open = { @Sendable () throws -> (NftablesSocket, NftablesMonitor) in
            let socket = try NftablesSocket()
            return (socket, try NftablesMonitor(of: names, ignoring: socket))
        }
        let socket: NftablesSocket
        let monitor: NftablesMonitor
        do {
            (socket, monitor) = try await namespace?.run(open) ?? open()
        } catch let error as NetlinkError {
            throw PodNetworkError(.kernel(error), "cannot watch the tables \(names)")
        }
        // What happened before somebody listened shows now.
        await putRight(socket)
        for await _ in monitor.disturbances() { await putRight(socket) }
        try Task.checkCancellation()
        throw PodNetworkError(
            .notTold, "the kernel does not tell of changes of the tables \(names) any more; restart swiftlet")
    }

    /// Until they are right.
    private func putRight(_ socket: NftablesSocket) async {
        var pause = Duration.milliseconds(10)
        while true {
            var failed = false
            for table in damaged(socket) {
                do {
                    try table.establish(socket)
                    told(table.name, .putRight)
                    logger.warning(
                        "somebody else changed an nftables table of ours; it was put right again",
                        metadata: ["table": "\(table.name)"])
                } catch {
                    failed = true
                    told(table.name, .failed)
                    logger.error(
                        "somebody else changed an nftables table of ours, and it could not be put right; trying again",
                        metadata: ["table": "\(table.name)", "error": "\(error)"])
                }
            }
            guard failed, (try? await clock.sleep(for: pause)) != nil else { return }
            pause = min(pause * 2, .seconds(5))
        }
    }

    /// Those that are not what they should be, or that cannot be looked at.
    private func damaged(_ socket: NftablesSocket) -> [FixedTable] {
        var found: [TableName: FixedTable.Picture] = [:]
        for table in tables {
            do {
                found[table.name] = try FixedTable.Picture(of: table.name, socket)
            } catch {
                // Making it anew does no harm if it is whole.
                logger.warning(
                    "an nftables table of ours cannot be looked at; it is made anew",
                    metadata: ["table": "\(table.name)", "error": "\(error)"])
            }
        }
        return FixedTable.damaged(tables, found: found)
    }
}
