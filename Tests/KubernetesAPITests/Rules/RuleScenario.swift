import KubernetesAPI
import KubernetesJSON
import ScenarioFiles
import Yams

/// A file of `Tests/Scenarios/rules`; the README there says what it holds.
struct RuleScenario {
    /// A kind that has rules.
    typealias Kind = any (JSONCodable & Validating).Type

    let kind: Kind
    let right: JSONValue
    let content: JSONValue

    struct Mistake: Error, CustomStringConvertible {
        let description: String
    }

    private static let kinds: [String: Kind] = [
        "Binding": Binding.self, "ClusterRole": ClusterRole.self,
        "ClusterRoleBinding": ClusterRoleBinding.self,
        "ConfigMap": ConfigMap.self, "ControllerRevision": ControllerRevision.self,
        "CronJob": CronJob.self, "DaemonSet": DaemonSet.self, "Deployment": Deployment.self,
        "HorizontalPodAutoscaler": HorizontalPodAutoscaler.self, "IPAddress": IPAddress.self,
        "Ingress": Ingress.self, "IngressClass": IngressClass.self, "Job": Job.self,
        "NetworkPolicy": NetworkPolicy.self, "ServiceCIDR": ServiceCIDR.self,
        "StatefulSet": StatefulSet.self, "EndpointSlice": EndpointSlice.self,
        "Endpoints": Endpoints.self, "Event": Event.self, "Lease": Lease.self,
        "LocalSubjectAccessReview": LocalSubjectAccessReview.self, "Namespace": Namespace.self,
        "Node": Node.self,
        "Pod": Pod.self, "PodDisruptionBudget": PodDisruptionBudget.self, "PodTemplate": PodTemplate.self,
        "ReplicaSet": ReplicaSet.self, "ReplicationController": ReplicationController.self, "Role": Role.self,
        "RoleBinding": RoleBinding.self, "Secret": Secret.self,
        "SelfSubjectAccessReview": SelfSubjectAccessReview.self, "Service": Service.self,
        "ServiceAccount": ServiceAccount.self, "SubjectAccessReview": SubjectAccessReview.self,
        "TokenRequest": TokenRequest.self,
        "LimitRange": LimitRange.self, "ResourceQuota": ResourceQuota.self,
        "PersistentVolume": PersistentVolume.self, "PersistentVolumeClaim": PersistentVolumeClaim.self,
        "PriorityClass": PriorityClass.self, "RuntimeClass": RuntimeClass.self,
        "StorageClass": StorageClass.self, "CSIDriver": CSIDriver.self,
    ]

    /// Reads all scenarios of a file; one for each YAML document.
    static func read(_ yaml: String) throws -> [RuleScenario] {
        try Yams.compose_all(yaml: yaml).map { node in
            let content = JSONValue(yaml: node)
            guard let name = content["kind"]?.stringValue, let kind = kinds[name],
                let right = content["right"]
            else {
                throw Mistake(description: "a rules scenario names a kind that has rules, and a right object")
            }
            return RuleScenario(kind: kind, right: right, content: content)
        }
    }

    /// The members of one of the lists.
    func list(_ name: String) -> [JSONValue] { content[name]?.arrayValue ?? [] }

    /// The right object with an edit, as JSON, defaults applied.
    func object(_ edit: JSONValue?) throws -> JSONValue {
        try Self.defaulted(kind, MergePatch.apply(edit ?? [:], to: right)).jsonValue
    }

    /// What is wrong with a new object.
    func findings(creating edit: JSONValue?) throws -> [String] {
        try Self.defaulted(kind, MergePatch.apply(edit ?? [:], to: right)).validate().map(\.description)
    }

    /// What is to be said of an object that is valid all the same; nil for kinds of which nothing is.
    func warnings(about edit: JSONValue?) throws -> [String]? {
        switch try Self.defaulted(kind, MergePatch.apply(edit ?? [:], to: right)) as Any {
        case let pod as Pod: pod.warnings
        case let service as Service: service.warnings
        case let deployment as Deployment: deployment.spec.template.warnings(at: "spec.template")
        case let node as KubernetesAPI.Node: node.warnings
        case let account as ServiceAccount: account.warnings(since: nil)
        case let runtime as RuntimeClass: runtime.warnings
        case let storage as StorageClass: storage.warnings
        case let volume as PersistentVolume: volume.warnings
        case let claim as PersistentVolumeClaim: claim.warnings
        case let slice as EndpointSlice: slice.warnings + slice.creationWarnings
        default: nil
        }
    }

    /// What is wrong with a change.
    func findings(from before: JSONValue?, to after: JSONValue?, statusOnly: Bool) throws -> [String] {
        try Self.change(
            kind, MergePatch.apply(before ?? [:], to: right), MergePatch.apply(after ?? [:], to: right),
            statusOnly)
    }

    private static func change<Object: JSONCodable & Validating>(
        _ kind: Object.Type, _ before: JSONValue, _ after: JSONValue, _ statusOnly: Bool
    ) throws -> [String] {
        let old = try defaulted(kind, before)
        let new = try defaulted(kind, after)
        let errors = statusOnly ? new.validateStatusUpdate(from: old) : new.validateUpdate(from: old)
        return errors.map(\.description)
    }

    private static func defaulted<Object: JSONCodable & Validating>(
        _ kind: Object.Type, _ value: JSONValue
    ) throws -> Object {
        let object = try Object(value)
        guard var defaulting = object as? any Defaulting else { return object }
        defaulting.applyDefaults()
        guard let result = defaulting as? Object else { return object }
        return result
    }
}

extension JSONValue {
    /// Where this value lacks something that is expected: the first path, or nil.
    func lacks(_ expected: JSONValue, path: String = "") -> String? {
        switch (self, expected) {
        case (.object(let object), .object(let wanted)):
            for (key, item) in wanted {
                if item.isNull, object[key] == nil { continue }
                guard let member = object[key] else { return "\(path).\(key) is missing" }
                if let lack = member.lacks(item, path: "\(path).\(key)") { return lack }
            }
            return nil
        case (.array(let items), .array(let wanted)):
            if items.count != wanted.count { return "\(path) has \(items.count) elements" }
            for (index, (item, want)) in zip(items, wanted).enumerated() {
                if let lack = item.lacks(want, path: "\(path)[\(index)]") { return lack }
            }
            return nil
        default: return self == expected ? nil : "\(path) is \(self), not \(expected)"
        }
    }
}
