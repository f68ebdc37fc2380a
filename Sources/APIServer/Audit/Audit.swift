import HTTPService
import KubernetesAPI
import Logging

/// The audit log, switched on: what is kept, and where.
final class Audit: Sendable {
    let policy: AuditPolicy
    let log: AuditLog
    let now: @Sendable () -> MicroTime
    private let file: AuditFile

    /// - Throws: `configuration` for a policy that says nothing sensible, `audit` for a file that cannot be opened.
    init(
        _ configuration: AuditConfiguration, now: @escaping @Sendable () -> MicroTime, logger: Logger
    ) throws(APIServerError) {
        policy = try AuditPolicy(configuration.policy)
        self.now = now
        log = AuditLog(logger: logger)
        file = try AuditFile(
            path: configuration.path, maximumSize: configuration.maximumSize << 20,
            maximumBackups: configuration.maximumBackups
        ) {
            // Without colons, which some file systems do not take.
            String("\(now())".prefix(23).map { $0 == ":" ? "-" : $0 })
        }
    }

    /// Writes what comes until cancelled.
    func run() async { await log.run(into: file) }
}
