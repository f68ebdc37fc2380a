import Controllers
import KubernetesAPI
import KubernetesClient
import NodeAgent

/// What is to be seen of a rollout at one moment, as a value: the Deployment's pods, old and new, what the data
/// plane sends them, and how many connections each has.
package struct RolloutPicture: Sendable, Hashable {
    /// One pod.
    package struct Row: Sendable, Hashable {
        package var revision: String
        package var isNew: Bool
        package var pod: String
        /// As `kubectl get pods` has it, more or less.
        package var status: String
        /// What Services send it.
        package var traffic: String
        /// Connections that are open, and those that were in the last seconds; nil where they cannot be counted.
        package var connections: Connections?
    }

    /// How many connections a pod has.
    package struct Connections: Sendable, Hashable {
        package var open: Int
        package var recent: Int

        package init(open: Int, recent: Int) {
            self.open = open
            self.recent = recent
        }
    }

    package private(set) var headline: String
    package private(set) var rows: [Row] = []

    /// - Parameters:
    ///   - replicaSets: those of the namespace.
    ///   - pods: those of the namespace.
    ///   - connections: by the pod's uid.
    package init(
        _ deployment: Deployment, replicaSets: [ReplicaSet], pods: [Pod], endpoints: EndpointView,
        connections: [String: Connections]
    ) {
        let status = deployment.status
        headline =
            "deployment/\(deployment.metadata.name)  \(deployment.spec.replicas ?? 1) wanted, "
            + "\(status.updatedReplicas) updated, \(status.readyReplicas) ready, "
            + "\(status.availableReplicas) available, \(status.terminatingReplicas ?? 0) terminating"
        let progressing = status.conditions.first { $0.type == "Progressing" }
        if let progressing { headline += "  (\(progressing.reason))" }
        for set in replicaSets where set.isControlled(by: deployment.metadata.uid) {
            let revision = set.metadata.annotations["deployment.kubernetes.io/revision"] ?? "?"
            let isNew = set.spec.template.makesSamePod(as: deployment.spec.template)
            for pod in pods where pod.isControlled(by: set.metadata.uid) {
                rows.append(
                    Row(
                        revision: revision, isNew: isNew, pod: pod.metadata.name,
                        status: Self.status(of: pod),
                        traffic: Self.traffic(of: pod, endpoints.standing(of: pod.metadata.uid)),
                        connections: connections[pod.metadata.uid]))
            }
        }
        rows.sort { ($0.isNew ? 0 : 1, $0.pod) < ($1.isNew ? 0 : 1, $1.pod) }
    }

    private static func status(of pod: Pod) -> String {
        if pod.isTerminating { return "Terminating" }
        let waiting = pod.status.containerStatuses.lazy.compactMap(\.state.waiting?.reason).first
        if let waiting, !waiting.isEmpty { return waiting }
        return pod.status.phase == "Running" && !pod.isReady ? "Not ready" : pod.status.phase
    }

    private static func traffic(of pod: Pod, _ standing: TrafficStanding) -> String {
        func passed(_ type: String) -> PodCondition? { pod.condition("swiftlet.local/\(type)") }
        if let drained = passed("Drained") {
            return drained.status == "True" ? "drained" : "connections left"
        }
        if let out = passed("OutOfService") {
            return out.status == "True" ? "out of service, draining" : "time was up"
        }
        switch standing {
        case .apart, .unknown: return pod.isTerminating ? "nothing" : "nothing yet"
        case .reached: return "new connections"
        case .lastResort: return "for want of others"
        case .left, .leaving: return pod.isTerminating ? "leaving" : "nothing yet"
        }
    }

    /// The whole picture, a line each.
    package var lines: [String] {
        let total = rows.compactMap(\.connections?.recent).reduce(0, +)
        var table = [["REVISION", "POD", "STATUS", "SERVICES SEND", "OPEN", "SHARE"]]
        for row in rows {
            table.append([
                "\(row.revision) \(row.isNew ? "new" : "old")", row.pod, row.status, row.traffic,
                row.connections.map { String($0.open) } ?? "-", share(of: row, total),
            ])
        }
        let widths = (0..<6).map { column in table.map { $0[column].count }.max() ?? 0 }
        return [headline, ""]
            + table.map { cells in
                var line = ""
                for (column, cell) in cells.enumerated() {
                    let gap = String(repeating: " ", count: widths[column] - cell.count)
                    // Numbers stand to the right.
                    line += column > 3 ? "\(gap)\(cell)   " : "\(cell)\(gap)   "
                }
                while line.last == " " { line.removeLast() }
                return line
            }
    }

    private func share(of row: Row, _ total: Int) -> String {
        guard let connections = row.connections else { return "-" }
        return total == 0 ? "0 %" : "\((connections.recent * 100 + total / 2) / total) %"
    }

    /// What has changed since an earlier picture, counts apart, a line for each pod: for where nothing can be
    /// drawn over.
    package func news(since before: RolloutPicture?) -> [String] {
        let total = rows.compactMap(\.connections?.recent).reduce(0, +)
        var lines: [String] = []
        for row in rows {
            let old = before?.rows.first { $0.pod == row.pod }
            guard old?.status != row.status || old?.traffic != row.traffic else { continue }
            lines.append(
                "\(row.pod)  revision \(row.revision) (\(row.isNew ? "new" : "old"))  \(row.status)  "
                    + "services send: \(row.traffic)  share: \(share(of: row, total))")
        }
        for old in before?.rows ?? [] where !rows.contains(where: { $0.pod == old.pod }) {
            lines.append("\(old.pod)  revision \(old.revision) (\(old.isNew ? "new" : "old"))  gone")
        }
        if before?.headline != headline { lines.append(headline) }
        return lines
    }
}
