import KubernetesAPI

/// The bounds that a Deployment's strategy sets on its pods.
package struct RolloutBounds: Equatable, Sendable {
    /// Pods that may exist beyond `replicas`.
    package var maxSurge: Int
    /// Pods that may be missing from `replicas`.
    package var maxUnavailable: Int

    /// Resolves numbers and percentages: a surge rounds up, unavailability down, and both cannot be
    /// zero, or nothing would ever move (`spec.strategy.rollingUpdate`).
    package init(of deployment: Deployment) {
        let replicas = deployment.spec.replicas ?? 1
        guard deployment.spec.strategy.type != "Recreate" else {
            (maxSurge, maxUnavailable) = (0, 0)
            return
        }
        let rolling = deployment.spec.strategy.rollingUpdate
        let surge = Self.resolve(rolling?.maxSurge ?? .string("25%"), of: replicas, roundUp: true)
        var unavailable = Self.resolve(
            rolling?.maxUnavailable ?? .string("25%"), of: replicas, roundUp: false)
        if surge == 0 && unavailable == 0 { unavailable = 1 }
        maxSurge = surge
        maxUnavailable = min(unavailable, replicas)
    }

    /// A count, or a percentage of `total`.
    static func resolve(_ value: IntOrString, of total: Int, roundUp: Bool) -> Int {
        switch value {
        case .int(let count): return max(0, count)
        case .string(let text):
            guard text.hasSuffix("%"), let percent = Int(text.dropLast()), percent >= 0,
                percent <= 1_000_000
            else { return 0 }
            let (product, overflow) = total.multipliedReportingOverflow(by: percent)
            if overflow { return total }
            return roundUp ? (product + 99) / 100 : product / 100
        }
    }
}

/// How many replicas each of several ReplicaSets gets when a Deployment is scaled in the middle of a
/// rollout: every one in proportion to its size, so that the mix of versions stays the same.
///
/// - Parameters:
///   - sets: the active ReplicaSets, newest first; sizes are their `spec.replicas` and the
///     `max-replicas` annotation they were last sized for.
///   - allowed: replicas that may exist in all (`replicas` + `maxSurge`).
/// - Returns: the new size for each set, in the same order.
package func proportionalSizes(
    of sets: [(size: Int, maxReplicas: Int?)], desired: Int, allowed: Int
) -> [Int] {
    let total = sets.reduce(0) { $0 + $1.size }
    let toAdd = allowed - total
    guard toAdd != 0, !sets.isEmpty else { return sets.map(\.size) }
    // Larger sets move first, so that rounding never starves the version that carries the load.
    let order = sets.indices.sorted { a, b in
        sets[a].size != sets[b].size ? sets[a].size > sets[b].size : (toAdd > 0 ? a < b : a > b)
    }
    var sizes = sets.map(\.size)
    var added = 0
    for index in order {
        guard sets[index].size > 0 else { continue }
        let basis = max(1, sets[index].maxReplicas ?? desired)
        let exact = Double(sets[index].size) * Double(allowed) / Double(basis)
        let share = Int(exact.rounded()) - sets[index].size
        let left = toAdd - added
        let step = toAdd > 0 ? min(max(share, 0), left) : max(min(share, 0), left)
        sizes[index] = max(0, sizes[index] + step)
        added += step
    }
    // What rounding left over goes to the largest set.
    if added != toAdd, let first = order.first {
        sizes[first] = max(0, sizes[first] + toAdd - added)
    }
    return sizes
}
