import Controllers
import KubernetesAPI
import Testing

@Suite("Ranges of Service addresses")
struct ServiceCIDRReconcilerTests {
    private static let finalizer = "networking.k8s.io/service-cidr-finalizer"

    private func range(
        _ name: String, _ cidrs: [String], deleted: Int? = nil, finalizers: [String] = [finalizer],
        ready: String? = "True"
    ) -> ServiceCIDR {
        var range = ServiceCIDR(
            metadata: ObjectMeta(name: name, uid: name, finalizers: finalizers),
            spec: ServiceCIDRSpec(cidrs: cidrs))
        range.metadata.deletionTimestamp = deleted.map { Time(seconds: Make.now.seconds - $0) }
        if let ready { range.status.conditions = [Condition(type: "Ready", status: ready)] }
        return range
    }

    private func reconcile(
        _ range: ServiceCIDR, beside others: [ServiceCIDR] = [], addresses: [String] = []
    ) -> [ServiceCIDRReconciler.Action] {
        ServiceCIDRReconciler.reconcile(
            range, all: [range] + others,
            addresses: addresses.map { IPAddress(metadata: ObjectMeta(name: $0)) }, now: Make.now)
    }

    @Test("A new one is protected first, then ready, then left alone")
    func new() throws {
        #expect(
            reconcile(range("new", ["10.97.0.0/24"], finalizers: [], ready: nil))
                == [.setFinalizers([Self.finalizer])])
        guard case .setCondition(let condition)? = reconcile(range("new", ["10.97.0.0/24"], ready: nil)).first
        else {
            Issue.record("no condition was set")
            return
        }
        #expect(condition.type == "Ready" && condition.status == "True")
        #expect(condition.message == "Kubernetes Service CIDR is ready")
        #expect(reconcile(range("new", ["10.97.0.0/24"])).isEmpty)
    }

    @Test("One whose addresses are in use stays, and says why, once")
    func inUse() {
        let leaving = range("old", ["10.97.0.0/24"], deleted: 60)
        guard case .setCondition(let condition)? = reconcile(leaving, addresses: ["10.97.0.9"]).first else {
            Issue.record("no condition was set")
            return
        }
        #expect(condition.status == "False" && condition.reason == "Terminating")
        #expect(condition.message.hasPrefix("There are still IPAddresses referencing the ServiceCIDR"))
        var told = leaving
        told.status.conditions = [condition]
        #expect(reconcile(told, addresses: ["10.97.0.9"]).isEmpty)
    }

    @Test("One that is not in use goes ten seconds after its deletion")
    func unused() {
        #expect(
            reconcile(range("old", ["10.97.0.0/24"], deleted: 4), addresses: ["10.98.0.9"])
                == [.lookAgain(after: 6)])
        #expect(
            reconcile(range("old", ["10.97.0.0/24"], deleted: 10), addresses: ["10.98.0.9"])
                == [.setFinalizers([])])
        #expect(reconcile(range("old", ["10.97.0.0/24"], deleted: 10, finalizers: ["other"])).isEmpty)
    }

    @Test("Addresses that another range holds as well hold nobody up, unless that one goes too")
    func overlapping() {
        let small = range("small", ["10.97.0.0/28"], deleted: 10)
        #expect(
            reconcile(small, beside: [range("large", ["10.97.0.0/24"])], addresses: ["10.97.0.9"])
                == [.setFinalizers([])])
        let leaving = range("large", ["10.97.0.0/24"], deleted: 10)
        #expect(reconcile(small, beside: [leaving], addresses: ["10.97.0.9"]).count == 1)
        #expect(reconcile(small, beside: [leaving], addresses: ["10.97.0.9"]) != [.setFinalizers([])])
        // Only a part of it is held elsewhere.
        let half = range("half", ["10.97.0.0/25"])
        let whole = range("whole", ["10.97.0.0/24"], deleted: 10)
        #expect(
            reconcile(whole, beside: [half], addresses: ["10.97.0.9"]) == [.setFinalizers([])])
        #expect(
            reconcile(whole, beside: [half], addresses: ["10.97.0.200"]) != [.setFinalizers([])])
    }

    @Test("Families are told apart")
    func families() {
        let leaving = range("v6", ["fd00:97::/112"], deleted: 10)
        #expect(reconcile(leaving, addresses: ["10.97.0.9"]) == [.setFinalizers([])])
        #expect(reconcile(leaving, addresses: ["fd00:97::9"]) != [.setFinalizers([])])
    }
}
