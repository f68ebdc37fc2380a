import KubernetesAPI

/// Whether a node is to be believed, from its lease and its own report.
package struct NodeHealth: Sendable {
    /// Seconds that a node may stay silent before it counts as unreachable (node-monitor-grace-period).
    package var graceSeconds: Int

    package init(graceSeconds: Int = 50) {
        self.graceSeconds = graceSeconds
    }

    /// The node as it should be written, or nil if nothing changes, and the seconds after which a silent node
    /// is to be looked at again.
    package func judge(_ node: Node, lease: Lease?, now: Time) -> (change: Node?, lookAgainAfter: Int?) {
        var changed = node
        let renewed =
            lease?.spec.renewTime.map { $0.microseconds / 1_000_000 }
            ?? node.metadata.creationTimestamp?.seconds ?? now.seconds
        let silence = now.seconds - renewed
        let isSilent = silence >= graceSeconds
        if isSilent { markUnknown(&changed, now: now) }
        func state(_ type: String) -> String? { changed.status.conditions.first { $0.type == type }?.status }
        let ready = state("Ready")
        taint(&changed, "node.kubernetes.io/not-ready", when: ready == "False" || ready == nil)
        taint(&changed, "node.kubernetes.io/unreachable", when: ready == "Unknown")
        // What keeps new pods away and sends none away (KEP-382).
        let gentle = ["NoSchedule"]
        for (type, key) in [
            ("MemoryPressure", "memory-pressure"), ("DiskPressure", "disk-pressure"),
            ("PIDPressure", "pid-pressure"), ("NetworkUnavailable", "network-unavailable"),
        ] {
            taint(&changed, "node.kubernetes.io/\(key)", gentle, when: state(type) == "True")
        }
        taint(&changed, "node.kubernetes.io/unschedulable", gentle, when: changed.spec.unschedulable)
        return (changed == node ? nil : changed, isSilent ? nil : graceSeconds - silence)
    }

    private func markUnknown(_ node: inout Node, now: Time) {
        for index in node.status.conditions.indices where node.status.conditions[index].status != "Unknown" {
            node.status.conditions[index].status = "Unknown"
            node.status.conditions[index].reason = "NodeStatusUnknown"
            node.status.conditions[index].message = "Kubelet stopped posting node status."
            node.status.conditions[index].lastTransitionTime = now
        }
    }

    /// NoSchedule keeps new pods away, NoExecute sends away those that do not tolerate it.
    private func taint(
        _ node: inout Node, _ key: String, _ effects: [String] = ["NoSchedule", "NoExecute"],
        when isWanted: Bool
    ) {
        for effect in effects {
            let index = node.spec.taints.firstIndex { $0.key == key && $0.effect == effect }
            if isWanted, index == nil {
                var taint = Taint()
                taint.key = key
                taint.effect = effect
                node.spec.taints.append(taint)
            } else if !isWanted, let index {
                node.spec.taints.remove(at: index)
            }
        }
    }
}
