import Controllers
import KubernetesAPI
import Testing

@Suite("Namespaces: what a deletion waits for")
struct NamespaceRemainsTests {
    private func text(_ conditions: [NamespaceCondition]) -> [String] {
        conditions.map { "\($0.type)=\($0.status) \($0.reason): \($0.message)" }
    }

    @Test("An empty namespace says so")
    func empty() {
        let conditions = NamespaceRemains().update([], now: Make.now)
        #expect(
            text(conditions) == [
                "NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered",
                "NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: "
                    + "All legacy kube types successfully parsed",
                "NamespaceDeletionContentFailure=False ContentDeleted: "
                    + "All content successfully deleted, may be waiting on finalization",
                "NamespaceContentRemaining=False ContentRemoved: All content successfully removed",
                "NamespaceFinalizersRemaining=False ContentHasNoFinalizers: "
                    + "All content-preserving finalizers finished",
            ])
    }

    @Test("What is left is counted by resource and by finalizer")
    func remaining() {
        var remains = NamespaceRemains()
        remains.note(Pod.resource, [ObjectMeta(name: "a"), ObjectMeta(name: "b", finalizers: ["x/y"])])
        remains.note(Deployment.resource, [ObjectMeta(name: "c", finalizers: ["x/y", "z"])])
        remains.note(Secret.resource, [])
        #expect(!remains.isEmpty)
        let conditions = text(remains.update([], now: Make.now))
        #expect(
            conditions.contains(
                "NamespaceContentRemaining=True SomeResourcesRemain: Some resources are remaining: "
                    + "deployments.apps has 1 resource instances, pods. has 2 resource instances"))
        #expect(
            conditions.contains(
                "NamespaceFinalizersRemaining=True SomeFinalizersRemain: Some content in the namespace has "
                    + "finalizers remaining: x/y in 2 resource instances, z in 1 resource instances"))
    }

    @Test("A condition keeps its time while nothing changes")
    func stable() {
        let first = NamespaceRemains().update([], now: Make.now)
        let later = Time(seconds: Make.now.seconds + 60)
        #expect(NamespaceRemains().update(first, now: later) == first)
        var remains = NamespaceRemains()
        remains.failures = ["no"]
        let second = remains.update(first, now: later)
        #expect(second[2].lastTransitionTime == later && second[2].status == "True")
        #expect(second[3].lastTransitionTime == Make.now)
    }
}
