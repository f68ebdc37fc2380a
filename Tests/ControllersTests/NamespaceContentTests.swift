import Controllers
import KubernetesAPI
import Testing

@Suite("What a namespace says while it is being emptied")
struct NamespaceContentTests {
    private let now = Time(seconds: 1_800_000_000)

    @Test("What is left, and whose finalizers hold it")
    func remaining() {
        var content = NamespaceContent()
        content.add(Secret.resource, [])
        #expect(content.isEmpty)
        content.add(
            Pod.resource, [ObjectMeta(name: "a", finalizers: ["example.com/x"]), ObjectMeta(name: "b")])
        content.add(Deployment.resource, [ObjectMeta(name: "d")])
        #expect(!content.isEmpty)
        let conditions = content.conditions(before: [], now: now)
        #expect(
            conditions.map { "\($0.type)=\($0.status) \($0.reason): \($0.message)" } == [
                "NamespaceDeletionDiscoveryFailure=False ResourcesDiscovered: All resources successfully discovered",
                "NamespaceDeletionGroupVersionParsingFailure=False ParsedGroupVersions: "
                    + "All legacy kube types successfully parsed",
                "NamespaceDeletionContentFailure=False ContentDeleted: "
                    + "All content successfully deleted, may be waiting on finalization",
                "NamespaceContentRemaining=True SomeResourcesRemain: Some resources are remaining: "
                    + "deployments.apps has 1 resource instances, pods. has 2 resource instances",
                "NamespaceFinalizersRemaining=True SomeFinalizersRemain: Some content in the namespace has "
                    + "finalizers remaining: example.com/x in 1 resource instances",
            ])
        #expect(conditions.allSatisfy { $0.lastTransitionTime == now })
    }

    @Test("A status that stays keeps its time")
    func times() {
        var content = NamespaceContent()
        content.add(Pod.resource, [ObjectMeta(name: "a", finalizers: ["f"])])
        let before = content.conditions(before: [], now: now)
        var later = NamespaceContent()
        later.add(Pod.resource, [ObjectMeta(name: "a")])
        let after = later.conditions(before: before, now: Time(seconds: now.seconds + 9))
        #expect(after.map { $0.lastTransitionTime == now } == [true, true, true, true, false])
        #expect(after[4].reason == "ContentHasNoFinalizers")
    }
}
