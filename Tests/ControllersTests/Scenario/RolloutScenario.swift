import Controllers
import KubernetesAPI
import KubernetesJSON
import Testing

/// A story of a Deployment: what is asked of it and how its pods do, and how many of each version there are then.
/// `Tests/Scenarios/rollouts/README.md` describes the files.
struct RolloutScenario {
    private static let words: Set<String> = [
        "what", "deployment", "after", "available", "oldPodsRunning", "sizes", "revisions", "status",
        "conditions",
        "events", "annotations",
    ]

    private let content: ScenarioContent
    private var deployment = Make.deployment(replicas: 3)
    /// By the image of their pods.
    private var sets: [String: ReplicaSet] = [:]
    private var now = Make.now
    private var events: [String] = []

    init(name: String, yaml: String) throws {
        content = try ScenarioContent(name: name, yaml: yaml)
    }

    mutating func play() throws {
        for step in try content.steps() {
            let what = "\(content.name): \(step["what"]?.stringValue ?? "a step")"
            try ScenarioContent.check(step, Self.words, what)
            events = []
            now.seconds += step["after"]?.integerValue ?? 1
            if let edit = step["deployment"] { try change(edit, what) }
            for (image, count) in step["available"]?.objectValue ?? [:] {
                let count = count.integerValue ?? 0
                sets[image]?.status.readyReplicas = count
                sets[image]?.status.availableReplicas = count
            }
            try settle(oldPodsRunning: step["oldPodsRunning"]?.boolValue ?? false, what)
            check(step, what)
        }
    }

    private mutating func change(_ edit: JSONValue, _ what: String) throws {
        for (key, value) in edit.objectValue ?? [:] {
            let number = value.integerValue
            let bound = number.map(IntOrString.int) ?? .string(value.stringValue ?? "")
            switch key {
            case "image": deployment.spec.template.spec.containers[0].image = value.stringValue ?? ""
            case "replicas": deployment.spec.replicas = number
            case "maxSurge": deployment.spec.strategy.rollingUpdate?.maxSurge = bound
            case "maxUnavailable": deployment.spec.strategy.rollingUpdate?.maxUnavailable = bound
            case "strategy": deployment.spec.strategy = DeploymentStrategy(type: value.stringValue ?? "")
            case "paused": deployment.spec.paused = value.boolValue ?? false
            case "progressDeadlineSeconds": deployment.spec.progressDeadlineSeconds = number
            case "revisionHistoryLimit": deployment.spec.revisionHistoryLimit = number
            case "annotations":
                for (name, text) in value.objectValue ?? [:] {
                    deployment.metadata.annotations[name] = text.stringValue
                }
            default:
                throw ScenarioContent.Mistake(description: "\(what): \"\(key)\" is no word of a Deployment")
            }
        }
        deployment.metadata.generation += 1
    }

    /// One step of the rollout after the other until nothing is left to do but to wait.
    private mutating func settle(oldPodsRunning: Bool, _ what: String) throws {
        for _ in 0..<50 {
            let actions = DeploymentReconciler.reconcile(
                deployment: deployment, replicaSets: Array(sets.values), oldPodsRunning: oldPodsRunning,
                now: now)
            var isQuiet = true
            for action in actions {
                if case .wake = action { continue }
                isQuiet = false
                perform(action)
            }
            if isQuiet { return }
        }
        throw ScenarioContent.Mistake(description: "\(what): there is no end of it")
    }

    private mutating func perform(_ action: DeploymentAction) {
        switch action {
        case .createReplicaSet(var set):
            set.metadata.uid = set.metadata.name
            now.seconds += 1
            set.metadata.creationTimestamp = now
            write(set)
        case .updateReplicaSet(let set), .scale(let set, _): write(set)
        case .deleteReplicaSet(let set): sets[Self.image(of: set)] = nil
        case .setRevision(let revision):
            deployment.metadata.annotations["deployment.kubernetes.io/revision"] = revision
        case .updateStatus(let status): deployment.status = status
        case .rollBack(let rollback):
            deployment = rollback.deployment
            deployment.metadata.generation += 1
            events.append("\(rollback.type) \(rollback.reason)")
        case .wake: break
        }
    }

    /// Pods come and go with their ReplicaSet's size; which are available is told by the steps.
    private mutating func write(_ set: ReplicaSet) {
        var set = set
        let size = set.spec.replicas ?? 0
        set.status.replicas = size
        set.status.readyReplicas = min(set.status.readyReplicas, size)
        set.status.availableReplicas = min(set.status.availableReplicas, size)
        sets[Self.image(of: set)] = set
    }

    private static func image(of set: ReplicaSet) -> String {
        set.spec.template.spec.containers.first?.image ?? ""
    }

    private func check(_ step: JSONValue, _ what: String) {
        if let expected = step["sizes"]?.objectValue {
            #expect(
                sets.mapValues { $0.spec.replicas ?? 0 } == numbers(expected),
                "\(what): how many there are of each version")
        }
        if let expected = step["revisions"]?.objectValue {
            let found = sets.compactMapValues {
                $0.metadata.annotations["deployment.kubernetes.io/revision"].flatMap { Int($0) }
            }
            #expect(found == numbers(expected), "\(what): revisions")
        }
        for (key, value) in step["status"]?.objectValue ?? [:] {
            #expect((deployment.status.jsonValue[key] ?? .integer(0)) == value, "\(what): status.\(key)")
        }
        for (type, words) in step["conditions"]?.objectValue ?? [:] {
            let condition = deployment.status.conditions.first { $0.type == type }
            #expect(
                condition.map { "\($0.status) \($0.reason)" } == words.stringValue,
                "\(what): condition \(type)")
        }
        for (key, value) in step["annotations"]?.objectValue ?? [:] {
            #expect(deployment.metadata.annotations[key] == value.stringValue, "\(what): annotation \(key)")
        }
        if let expected = step["events"]?.arrayValue {
            #expect(events == expected.compactMap(\.stringValue), "\(what): events")
        }
    }

    private func numbers(_ object: JSONObject) -> [String: Int] {
        Dictionary(
            object.map { ($0.0, $0.1.integerValue ?? 0) }, uniquingKeysWith: { first, _ in first })
    }
}
