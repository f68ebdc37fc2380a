import Controllers
import KubernetesAPI
import Testing

@Suite("Garbage collection: what follows when an owner goes")
struct OwnerGraphTests {
    private let deployment = Make.deployment(replicas: 1)
    private var set: ReplicaSet { Make.replicaSet(of: deployment, image: "web:1.0", revision: 1, size: 1) }

    private func observe(_ graph: inout OwnerGraph, _ object: some KubernetesObject) -> [CollectorAction] {
        graph.observe(OwnedObject(object))
    }

    @Test("Dependants of an owner that is gone are deleted")
    func background() {
        var graph = OwnerGraph()
        _ = observe(&graph, deployment)
        let quiet = observe(&graph, set)
        #expect(quiet.isEmpty)
        let actions1 = graph.remove(uid: deployment.metadata.uid)
        #expect(
            actions1 == [.delete(OwnedObject(set), foreground: false)])
    }

    @Test("An owner that was never seen is asked for before anything is deleted")
    func verifies() {
        var graph = OwnerGraph()
        let actions2 = observe(&graph, set)
        #expect(
            actions2 == [.verify(owner: deployment.asController, namespace: "default")])
        let actions3 = graph.confirmAbsent(
            ownerUID: deployment.metadata.uid, namespace: "default")
        #expect(
            actions3
                == [.delete(OwnedObject(set), foreground: false)])
    }

    @Test("A second owner keeps an object; only the dead reference goes")
    func twoOwners() {
        var graph = OwnerGraph()
        var other = Make.service()
        other.metadata.uid = "other"
        var shared = set
        shared.metadata.ownerReferences.append(other.asController)
        _ = observe(&graph, deployment)
        _ = observe(&graph, other)
        _ = observe(&graph, shared)
        let actions4 = graph.remove(uid: deployment.metadata.uid)
        #expect(
            actions4
                == [.dropOwners(OwnedObject(shared), uids: [deployment.metadata.uid])])
    }

    @Test("Foreground: dependants first, then the owner's finalizer")
    func foreground() {
        var graph = OwnerGraph()
        var owner = deployment
        _ = observe(&graph, owner)
        _ = observe(&graph, set)
        owner.metadata.deletionTimestamp = Make.now
        owner.metadata.finalizers = ["foregroundDeletion"]
        let actions5 = observe(&graph, owner)
        #expect(
            actions5 == [.delete(OwnedObject(set), foreground: false)])
        let actions6 = graph.remove(uid: set.metadata.uid)
        #expect(
            actions6
                == [.removeFinalizer(OwnedObject(owner), "foregroundDeletion")])
    }

    @Test("Orphan: dependants are let go, then the owner's finalizer")
    func orphan() {
        var graph = OwnerGraph()
        var owner = deployment
        _ = observe(&graph, owner)
        _ = observe(&graph, set)
        owner.metadata.deletionTimestamp = Make.now
        owner.metadata.finalizers = ["orphan"]
        let actions7 = observe(&graph, owner)
        #expect(
            actions7 == [.dropOwners(OwnedObject(set), uids: [deployment.metadata.uid])])
        var freed = set
        freed.metadata.ownerReferences = []
        // What lets the owner go is that its last dependant was let go; nothing else may come of it.
        let actions8 = observe(&graph, freed)
        #expect(
            actions8 == [.removeFinalizer(OwnedObject(owner), "orphan")])
    }

    @Test("An owner in another namespace is none, and somebody is told")
    func crossNamespace() {
        var graph = OwnerGraph()
        var stranger = set
        stranger.metadata.namespace = "elsewhere"
        _ = observe(&graph, deployment)
        let actions = observe(&graph, stranger)
        #expect(
            actions == [
                .report(OwnedObject(stranger), owner: deployment.asController),
                .delete(OwnedObject(stranger), foreground: false),
            ])
        // It neither holds its owner back nor is it let go.
        var owner = deployment
        owner.metadata.deletionTimestamp = Make.now
        owner.metadata.finalizers = ["foregroundDeletion"]
        #expect(observe(&graph, owner) == [.removeFinalizer(OwnedObject(owner), "foregroundDeletion")])
    }

    @Test("An object without a namespace cannot be judged by an owner that has one")
    func clusterScoped() {
        var graph = OwnerGraph()
        _ = observe(&graph, deployment)
        var node = Node(metadata: ObjectMeta(name: "n", uid: "node"))
        node.metadata.ownerReferences = [deployment.asController]
        #expect(
            observe(&graph, node) == [.report(OwnedObject(node), owner: deployment.asController)])
        let actions = graph.remove(uid: deployment.metadata.uid)
        #expect(actions == [.verify(owner: deployment.asController, namespace: "")])
    }
}
