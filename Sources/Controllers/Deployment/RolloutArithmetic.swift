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
///   - sets: the active ReplicaSets, newest first; sizes are their `spec.replicas` and the most replicas that
///     could exist when they were sized (annotation `max-replicas`), 0 if that is not known.
///   - allowed: replicas that may exist in all (`replicas` + `maxSurge`).
/// - Returns: the new size for each set, in the same order.
package func proportionalSizes(of sets: [(size: Int, maxReplicas: Int)], allowed: Int) -> [Int] {
    var sizes = sets.map(\.size)
    let toAdd = allowed - sizes.reduce(0, +)
    guard toAdd != 0, !sets.isEmpty else { return sizes }
    // Larger sets move first, so that rounding never starves the version that carries the load; of two of the
    // same size the newer one grows first, the older one shrinks first.
    let order = sets.indices.sorted { a, b in
        sets[a].size != sets[b].size ? sets[a].size > sets[b].size : (toAdd > 0 ? a < b : a > b)
    }
    var left = toAdd
    for index in order where left != 0 {
        let (size, basis) = sets[index]
        let share: Int
        if allowed == 0 {
            share = -size
        } else if basis == 0 {
            share = 0
        } else {
            share = Int((Double(size) * Double(allowed) / Double(basis)).rounded()) - size
        }
        let step = toAdd > 0 ? min(share, left) : max(share, left)
        sizes[index] += step
        left -= step
    }
    // What rounding left over goes to the largest set.
    if let first = order.first { sizes[first] = max(0, sizes[first] + left) }
    return sizes
}
