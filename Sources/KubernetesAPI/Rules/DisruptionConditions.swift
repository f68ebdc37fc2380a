/// What a budget says of itself.
extension PodDisruptionBudget {
    /// The condition that tells whether evictions are allowed.
    public static let disruptionAllowed = "DisruptionAllowed"

    /// Puts the condition in line with the number of disruptions that are allowed.
    ///
    /// - Parameter failure: why the number could not be found out, which allows none.
    public mutating func setDisruptionAllowed(failure: String? = nil, now: Time) {
        var condition = Condition(
            type: Self.disruptionAllowed, status: status.disruptionsAllowed > 0 ? "True" : "False",
            observedGeneration: status.observedGeneration, lastTransitionTime: now,
            reason: status.disruptionsAllowed > 0 ? "SufficientPods" : "InsufficientPods")
        if let failure {
            condition.status = "False"
            condition.reason = "SyncFailed"
            condition.message = failure
        }
        guard let index = status.conditions.firstIndex(where: { $0.type == condition.type }) else {
            status.conditions.append(condition)
            return
        }
        if status.conditions[index].status == condition.status {
            condition.lastTransitionTime = status.conditions[index].lastTransitionTime
        }
        status.conditions[index] = condition
    }
}
