import Cluster
import Controllers
import KubernetesAPI
import Testing

@Suite("What is to be seen of a rollout")
struct RolloutPictureTests {
    private let deployment: Deployment = {
        var deployment = Deployment(metadata: ObjectMeta(name: "web", namespace: "default", uid: "d"))
        deployment.spec.replicas = 2
        deployment.spec.template.spec.containers = [Container(name: "web", image: "web:2.0")]
        deployment.status.updatedReplicas = 1
        deployment.status.readyReplicas = 2
        deployment.status.availableReplicas = 2
        return deployment
    }()

    private func set(_ image: String, revision: Int) -> ReplicaSet {
        var set = ReplicaSet(
            metadata: ObjectMeta(name: "web-\(revision)", namespace: "default", uid: "r\(revision)"))
        set.metadata.ownerReferences = [deployment.asController]
        set.metadata.annotations = ["deployment.kubernetes.io/revision": "\(revision)"]
        set.spec.template.spec.containers = [Container(name: "web", image: image)]
        return set
    }

    private func pod(_ name: String, of set: ReplicaSet, isTerminating: Bool = false) -> Pod {
        var pod = Pod(metadata: ObjectMeta(name: name, namespace: "default", uid: name))
        pod.metadata.ownerReferences = [set.asController]
        pod.metadata.deletionTimestamp = isTerminating ? Time(seconds: 1) : nil
        pod.status.phase = "Running"
        pod.status.conditions = [PodCondition(type: "Ready", status: "True")]
        return pod
    }

    private func endpoints(_ ready: String, leaving: String) -> EndpointView {
        var slice = EndpointSlice(metadata: ObjectMeta(name: "s", namespace: "default"))
        slice.metadata.labels = ["kubernetes.io/service-name": "web"]
        slice.endpoints = [(ready, true), (leaving, false)].map { name, isReady in
            var endpoint = Endpoint()
            endpoint.targetRef = ObjectReference(kind: "Pod", name: name, uid: name)
            endpoint.conditions = EndpointConditions(ready: isReady, serving: true, terminating: !isReady)
            return endpoint
        }
        var view = EndpointView()
        view.set(slice)
        return view
    }

    private func picture(drained: Bool = false) -> RolloutPicture {
        let (new, old) = (set("web:2.0", revision: 2), set("web:1.0", revision: 1))
        var leaving = pod("b", of: old, isTerminating: true)
        if drained {
            leaving.status.conditions.append(PodCondition(type: "swiftlet.local/Drained", status: "True"))
        }
        return RolloutPicture(
            deployment, replicaSets: [old, new], pods: [leaving, pod("a", of: new)],
            endpoints: endpoints("a", leaving: "b"),
            connections: ["a": .init(open: 4, recent: 30), "b": .init(open: 1, recent: 10)])
    }

    @Test("New pods first, with what Services send them and their share")
    func lines() {
        #expect(
            picture().lines == [
                "deployment/web  2 wanted, 1 updated, 2 ready, 2 available, 0 terminating", "",
                "REVISION   POD   STATUS        SERVICES SEND     OPEN   SHARE",
                "2 new      a     Running       new connections      4    75 %",
                "1 old      b     Terminating   leaving              1    25 %",
            ])
    }

    @Test("Where nothing can be drawn over, only what changes is told")
    func news() {
        let first = picture()
        #expect(first.news(since: nil).count == 3)
        #expect(first.news(since: first) == [])
        #expect(
            picture(drained: true).news(since: first)
                == ["b  revision 1 (old)  Terminating  services send: drained  share: 25 %"])
        let rest = RolloutPicture(
            deployment, replicaSets: [], pods: [], endpoints: EndpointView(), connections: [:])
        #expect(rest.news(since: first) == ["a  revision 2 (new)  gone", "b  revision 1 (old)  gone"])
    }
}

@Suite("Pictures drawn over each other on a terminal")
struct TerminalFrameTests {
    private func size(_ columns: Int, _ rows: Int = 24) -> TerminalSize {
        TerminalSize(columns: columns, rows: rows)
    }

    @Test("The second begins where the first did, and clears what is longer")
    func over() {
        var frame = TerminalFrame()
        #expect(frame.draw(["one", "", "three"], size(80)) == "one\n\nthree\n")
        #expect(frame.draw(["two"], size(80)) == "\u{1B}[3A\r\u{1B}[Jtwo\n")
        #expect(frame.draw([], size(80)) == "\u{1B}[1A\r\u{1B}[J")
        #expect(frame.draw(["four"], size(80)) == "four\n")
    }

    @Test("Lines end where the terminal does")
    func narrow() {
        var frame = TerminalFrame()
        #expect(frame.draw(["0123456789", "abc"], size(4)) == "0123\nabc\n")
        #expect(frame.draw(["0123456789"], size(20)) == "\u{1B}[2A\r\u{1B}[J0123456789\n")
        // Ten characters take three lines of four.
        #expect(frame.draw(["x"], size(4)) == "\u{1B}[3A\r\u{1B}[Jx\n")
    }

    @Test("A picture that is too high says how much is missing")
    func low() {
        var frame = TerminalFrame()
        let lines = (1...9).map { "line \($0)" }
        #expect(frame.draw(lines, size(80, 4)) == "line 1\nline 2\n... 7 more lines\n")
        #expect(frame.draw(lines, size(80, 10)) == "\u{1B}[3A\r\u{1B}[J" + lines.map { "\($0)\n" }.joined())
        #expect(frame.draw(["end"], size(80, 4)) == "\u{1B}[3A\r\u{1B}[Jend\n")
        #expect(frame.draw(["end"], size(0, 0)) == "\u{1B}[1A\r\u{1B}[Je\n")
    }
}
