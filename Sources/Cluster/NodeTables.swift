import Logging
import PodNetwork
import Telemetry

/// Keeps the node's nftables tables besides the proxy's what they should be, and counts how often that took a repair.
struct NodeTables: Sendable {
    private let tables: [FixedTable]
    private let repairs: MetricFamily<Counter>
    private let failures: MetricFamily<Counter>
    private let logger: Logger

    init(_ tables: [FixedTable], registry: MetricRegistry = .shared, logger: Logger) {
        self.tables = tables
        self.logger = logger
        repairs = registry.counter(
            "swiftlet_node_table_repairs_total",
            "How often somebody else changed an nftables table of the node, and it was put right",
            labels: ["table"])
        failures = registry.counter(
            "swiftlet_node_table_repair_failures_total",
            "How often an nftables table of the node could not be put right", labels: ["table"])
        // Zero is to be seen, too.
        for table in tables {
            _ = repairs(table.name.description)
            _ = failures(table.name.description)
        }
    }

    /// Until the task is cancelled.
    func run() async {
        let keeper = TableKeeper(tables, logger: logger) { [repairs, failures] table, outcome in
            switch outcome {
            case .putRight: repairs(table.description).increment()
            case .failed: failures(table.description).increment()
            }
        }
        do {
            try await keeper.run()
        } catch is CancellationError {
            return
        } catch {
            // Pods have their way out for now; that is no reason not to run a cluster.
            logger.error(
                "nftables tables are not put right should somebody else change them",
                metadata: ["error": "\(error)"])
            for await _ in AsyncStream<Never>.makeStream().stream {}
        }
    }
}
