import ArgumentParser
import Cluster

/// What the audit log keeps, and where; the names are upstream's.
struct AuditOptions: ParsableArguments {
    @Option(help: "Policy (audit.k8s.io/v1) that says which requests the audit log keeps; none without it.")
    var auditPolicyFile: String?

    @Option(help: "File for audit events, one JSON line each; '-' is the standard output. None without it.")
    var auditLogPath: String?

    @Option(help: "Size in megabytes beyond which a new audit log is begun.")
    var auditLogMaxsize = ClusterConfiguration().auditLogMaximumSize

    @Option(help: "How many earlier audit logs are kept; 0 keeps all.")
    var auditLogMaxbackup = ClusterConfiguration().auditLogMaximumBackups

    func validate() throws {
        guard auditLogMaxsize > 0 else {
            throw ValidationError("--audit-log-maxsize: expected at least 1, found \(auditLogMaxsize).")
        }
        guard auditLogMaxbackup >= 0 else {
            throw ValidationError("--audit-log-maxbackup: expected 0 or more, found \(auditLogMaxbackup).")
        }
        guard (auditPolicyFile == nil) == (auditLogPath == nil) else {
            throw ValidationError(
                "Expected --audit-policy-file and --audit-log-path together: one says what is kept, the other where."
            )
        }
    }

    func apply(to configuration: inout ClusterConfiguration) {
        configuration.auditPolicyFile = auditPolicyFile
        configuration.auditLogPath = auditLogPath
        configuration.auditLogMaximumSize = auditLogMaxsize
        configuration.auditLogMaximumBackups = auditLogMaxbackup
    }
}
