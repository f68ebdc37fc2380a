import HTTPService
import KubernetesAPI

/// Writes events of the API server's own, through its front door, so that they are like everybody's.
struct ServerEvents: Sendable {
    let core: ServerCore
    let responder: any HTTPResponder

    /// Warns people of something about an object.
    func warn(
        _ subject: ObjectReference, reason: String, action: String, message: String, component: String
    ) async {
        core.logger.warning(
            "something is wrong with an object",
            metadata: [
                "object": "\(subject.kind) \(subject.namespace)/\(subject.name)", "reason": "\(reason)",
                "message": "\(message)",
            ])
        let namespace = subject.namespace.isEmpty ? "default" : subject.namespace
        let now = core.now()
        let event = Event(
            metadata: ObjectMeta(generateName: "\(subject.name).", namespace: namespace),
            involvedObject: subject, reason: reason, message: message,
            source: EventSource(component: component), firstTimestamp: now, lastTimestamp: now, count: 1,
            type: "Warning", action: action, reportingComponent: component)
        let answer = await responder.respond(
            to: HTTPRequest(
                method: .POST, path: "/api/v1/namespaces/\(namespace)/events",
                headers: ["content-type": "application/json"], body: .bytes(event.json()),
                peer: .inProcess(user: "system:apiserver", groups: ["system:masters"])))
        if answer.status != .created {
            core.logger.warning(
                "an event could not be written",
                metadata: ["reason": "\(reason)", "status": "\(answer.status)"])
        }
    }
}
