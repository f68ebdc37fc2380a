import Controllers
import KubernetesAPI
import KubernetesJSON
import Testing

/// A ReplicaSet and its pods, and what becomes of them. `Tests/Scenarios/replicasets/README.md` describes the files.
struct ReplicaSetScenario {
    private static let words: Set<String> = [
        "what", "replicas", "minReadySeconds", "siblings", "failure", "pods", "creates", "deletes", "status",
        "lookAgainAfter",
    ]
    private static let podWords: Set<String> = [
        "name", "node", "phase", "ready", "readyFor", "age", "cost", "restarts", "sidecarRestarts",
        "terminating",
        "reached",
    ]

    private let content: ScenarioContent

    init(name: String, yaml: String) throws {
        content = try ScenarioContent(name: name, yaml: yaml)
    }

    func play() throws {
        for step in try content.steps() {
            let what = "\(content.name): \(step["what"]?.stringValue ?? "a step")"
            try ScenarioContent.check(step, Self.words, what)
            var set = ReplicaSet(metadata: ObjectMeta(name: "web-1", namespace: "default"))
            set.spec.replicas = step["replicas"]?.integerValue
            set.spec.minReadySeconds = step["minReadySeconds"]?.integerValue ?? 0
            set.spec.template = Make.template(image: "web:1.0")
            let values = step["pods"]?.arrayValue ?? []
            let pods = try values.map { try pod($0, what) }
            let hidden = Set(
                values.filter { $0["reached"]?.boolValue == false }.compactMap { $0["name"]?.stringValue })
            let siblings = (step["siblings"]?.objectValue ?? [:]).map { ($0.0, $0.1.integerValue ?? 0) }
            let actions = ReplicaSetReconciler.reconcile(
                set, pods: pods, siblings: Dictionary(siblings, uniquingKeysWith: { first, _ in first }),
                failure: step["failure"]?.stringValue.map { ReplicaSetFailure(reason: $0, message: "") },
                now: Make.now, isReached: { !hidden.contains($0.metadata.name) })
            check(actions, set.status, step, what)
        }
    }

    private func pod(_ value: JSONValue, _ what: String) throws -> Pod {
        try ScenarioContent.check(value, Self.podWords, what)
        var pod = Make.pod(
            value["name"]?.stringValue ?? "", ready: value["ready"]?.boolValue ?? true,
            node: value["node"]?.stringValue ?? "node-a")
        func ago(_ key: String, otherwise: Int) -> Time {
            Time(seconds: Make.now.seconds - (value[key]?.integerValue ?? otherwise))
        }
        pod.metadata.creationTimestamp = ago("age", otherwise: 100)
        pod.status.conditions[0].lastTransitionTime = ago("readyFor", otherwise: 50)
        if let phase = value["phase"]?.stringValue { pod.status.phase = phase }
        if let cost = value["cost"]?.integerValue {
            pod.metadata.annotations["controller.kubernetes.io/pod-deletion-cost"] = "\(cost)"
        }
        pod.status.containerStatuses = [ContainerStatus(restartCount: value["restarts"]?.integerValue ?? 0)]
        if let restarts = value["sidecarRestarts"]?.integerValue {
            pod.spec.initContainers = [Container(name: "side", restartPolicy: "Always")]
            pod.status.initContainerStatuses = [ContainerStatus(name: "side", restartCount: restarts)]
        }
        if value["terminating"]?.boolValue == true { pod.metadata.deletionTimestamp = Make.now }
        return pod
    }

    private func check(
        _ actions: [ReplicaSetAction], _ before: ReplicaSetStatus, _ step: JSONValue, _ what: String
    ) {
        var created = 0
        var deleted: [String] = []
        var status = before
        var seconds: Int?
        for action in actions {
            switch action {
            case .createPods(let count): created += count
            case .deletePods(let pods): deleted += pods.map(\.metadata.name)
            case .updateStatus(let newer): status = newer
            case .wake(let after): seconds = after
            case .reportUnconfirmed: break
            }
        }
        #expect(created == step["creates"]?.integerValue ?? 0, "\(what): pods to create")
        #expect(
            deleted == (step["deletes"]?.arrayValue ?? []).compactMap(\.stringValue),
            "\(what): pods to delete")
        for (key, value) in step["status"]?.objectValue ?? [:] {
            if key == "failure" {
                #expect(status.conditions.first?.reason == value.stringValue, "\(what): failure")
            } else {
                #expect((status.jsonValue[key] ?? .integer(0)) == value, "\(what): status.\(key)")
            }
        }
        if let expected = step["lookAgainAfter"] {
            #expect(seconds == expected.integerValue, "\(what): seconds until it looks again")
        }
    }
}
