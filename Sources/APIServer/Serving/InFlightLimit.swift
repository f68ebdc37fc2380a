import KubernetesAPI
import Synchronization

/// How many requests may be answered at the same time (upstream's `--max-requests-inflight` and
/// `--max-mutating-requests-inflight`). Those beyond are refused, so that the rest is answered in good time.
package final class InFlightLimit: Sendable {
    private let readOnlyLimit: Int
    private let mutatingLimit: Int
    private let readOnlyCount = Atomic<Int>(0)
    private let mutatingCount = Atomic<Int>(0)

    package init(readOnly: Int, mutating: Int) {
        readOnlyLimit = readOnly
        mutatingLimit = mutating
    }

    /// How many requests that only read are being answered.
    package var readOnly: Int { readOnlyCount.load(ordering: .relaxed) }
    /// How many others are.
    package var mutating: Int { mutatingCount.load(ordering: .relaxed) }

    /// Lets a request in; whoever was let in leaves again.
    ///
    /// - Parameter isExempt: the cluster's own components and its administrators always get an answer.
    /// - Returns: false when there are too many.
    package func enter(_ kind: RequestClass, isExempt: Bool) -> Bool {
        let count: Int
        if kind.isMutating {
            count = mutatingCount.wrappingAdd(1, ordering: .relaxed).newValue
        } else {
            count = readOnlyCount.wrappingAdd(1, ordering: .relaxed).newValue
        }
        if isExempt || count <= (kind.isMutating ? mutatingLimit : readOnlyLimit) { return true }
        leave(kind)
        return false
    }

    package func leave(_ kind: RequestClass) {
        if kind.isMutating {
            mutatingCount.wrappingSubtract(1, ordering: .relaxed)
        } else {
            readOnlyCount.wrappingSubtract(1, ordering: .relaxed)
        }
    }
}
