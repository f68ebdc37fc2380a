import KubernetesAPI
import KubernetesJSON

/// One line of the audit log (`audit.k8s.io/v1` Event): what is known of a request at a stage of its life.
package struct AuditEvent: Sendable, Hashable {
    package var level = AuditLevel.metadata
    package var auditID = ""
    package var stage = AuditStage.requestReceived
    package var requestURI = ""
    package var attributes: AccessAttributes
    package var user: User?
    package var impersonatedUser: User?
    package var sourceIPs: [String] = []
    package var userAgent = ""
    /// Set once there is an answer.
    package var responseStatus: Status?
    package var requestObject: JSONValue?
    package var responseObject: JSONValue?
    package var received: MicroTime
    package var stamped: MicroTime
    package var annotations: [String: String] = [:]

    package init(attributes: AccessAttributes, received: MicroTime) {
        self.attributes = attributes
        self.received = received
        stamped = received
    }

    /// The event as JSON, members in upstream's order.
    package var jsonValue: JSONValue {
        var event: JSONObject = [
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": .string(level.rawValue),
            "auditID": .string(auditID), "stage": .string(stage.rawValue), "requestURI": .string(requestURI),
            "verb": .string(attributes.verb), "user": user?.auditValue ?? [:],
        ]
        event["impersonatedUser"] = impersonatedUser?.auditValue
        if !sourceIPs.isEmpty { event["sourceIPs"] = .array(sourceIPs.map { .string($0) }) }
        if !userAgent.isEmpty { event["userAgent"] = .string(userAgent) }
        if attributes.isResourceRequest { event["objectRef"] = reference }
        if let responseStatus {
            var status = responseStatus.jsonValue
            status["kind"] = nil
            status["apiVersion"] = nil
            event["responseStatus"] = status
        }
        event["requestObject"] = requestObject
        event["responseObject"] = responseObject
        event["requestReceivedTimestamp"] = .string("\(received)")
        event["stageTimestamp"] = .string("\(stamped)")
        if !annotations.isEmpty {
            event["annotations"] = .object(
                JSONObject(annotations.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        }
        return .object(event)
    }

    private var reference: JSONValue {
        var reference = JSONObject()
        let metadata = requestObject?["metadata"]
        let name = attributes.name.isEmpty ? metadata?["name"]?.stringValue ?? "" : attributes.name
        let members = [
            ("resource", attributes.resource), ("namespace", attributes.namespace), ("name", name),
            ("uid", metadata?["uid"]?.stringValue ?? ""), ("apiGroup", attributes.group),
            ("apiVersion", attributes.version),
            ("resourceVersion", metadata?["resourceVersion"]?.stringValue ?? ""),
            ("subresource", attributes.subresource),
        ]
        for (key, value) in members where !value.isEmpty { reference[key] = .string(value) }
        return .object(reference)
    }

    /// An object without its `metadata.managedFields`, for policies that leave them out; so too the items of a list.
    package static func withoutManagedFields(_ value: JSONValue) -> JSONValue {
        guard case .object(var object) = value else { return value }
        if case .object(var metadata)? = object["metadata"] {
            metadata["managedFields"] = nil
            object["metadata"] = .object(metadata)
        }
        if case .array(let items)? = object["items"] {
            object["items"] = .array(items.map(withoutManagedFields))
        }
        return .object(object)
    }
}

extension User {
    fileprivate var auditValue: JSONValue {
        UserInfo(username: name, uid: uid, groups: groups, extra: extra).jsonValue
    }
}
