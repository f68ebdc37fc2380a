import HTTPService
import KubernetesAPI

/// Where the streams of a pod are found on its node. Pure.
package enum PodStreams {
    package struct Target: Sendable, Hashable {
        package var path: String
        package var query: QueryItems
    }

    /// The agent's path for a subresource.
    ///
    /// - Returns: nil for the log of a pod that has no node yet: it is empty.
    /// - Throws: `badRequest` when the pod or container cannot be reached.
    package static func target(
        _ pod: Pod, subresource: String, query: QueryItems
    ) throws(APIError) -> Target? {
        let place = "\(pod.metadata.namespace)/\(pod.metadata.name)"
        if subresource == "log" {
            let options = try logOptions(query, pod: pod.metadata.name)
            let container = try container(pod, query.first("container") ?? "")
            guard !pod.spec.nodeName.isEmpty else { return nil }
            return Target(path: "/containerLogs/\(place)/\(container)", query: options)
        }
        let name = subresource == "portforward" ? "" : try container(pod, query.first("container") ?? "")
        guard !pod.spec.nodeName.isEmpty else {
            throw .badRequest("pod \(pod.metadata.name) does not have a host assigned")
        }
        switch subresource {
        case "exec", "attach":
            if subresource == "exec", ["Succeeded", "Failed"].contains(pod.status.phase) {
                throw .badRequest(
                    "cannot exec into a container in a completed pod; current phase is \(pod.status.phase)")
            }
            return Target(path: "/\(subresource)/\(place)/\(name)", query: try streams(query, subresource))
        case "portforward":
            var ports = QueryItems()
            for port in query.all("ports") { ports.append("port", port) }
            return Target(path: "/portForward/\(place)", query: ports)
        default:
            throw .resourceNotFound
        }
    }

    /// The container that is meant; a pod with one needs no name.
    private static func container(_ pod: Pod, _ name: String) throws(APIError) -> String {
        let regular = pod.spec.containers.map(\.name)
        let initial = pod.spec.initContainers.map(\.name)
        let ephemeral = pod.spec.ephemeralContainers.map(\.name)
        if name.isEmpty {
            if regular.count == 1, let only = regular.first { return only }
            var message =
                "a container name must be specified for pod \(pod.metadata.name), "
                + "choose one of: [\(regular.joined(separator: " "))]"
            if !initial.isEmpty {
                message += " or one of the init containers: [\(initial.joined(separator: " "))]"
            }
            if !ephemeral.isEmpty {
                message += " or one of the ephemeral containers: [\(ephemeral.joined(separator: " "))]"
            }
            throw .badRequest(message)
        }
        guard (regular + initial + ephemeral).contains(name) else {
            throw .badRequest("container \(name) is not valid for pod \(pod.metadata.name)")
        }
        return name
    }

    /// What of a log is wanted (core/v1 PodLogOptions), as the agent is asked for it.
    ///
    /// - Throws: `badRequest` for what is no number or time, `invalid` for what makes no sense.
    package static func logOptions(_ query: QueryItems, pod: String) throws(APIError) -> QueryItems {
        var out = QueryItems()
        for flag in ["follow", "previous", "timestamps"] {
            if query.boolean(flag) == true { out.append(flag, "true") }
        }
        var numbers: [String: Int] = [:]
        for name in ["tailLines", "limitBytes", "sinceSeconds"] {
            guard let value = try query.integer(name) else { continue }
            numbers[name] = value
            out.append(name, "\(value)")
        }
        let since = query.first("sinceTime") ?? ""
        if !since.isEmpty {
            if let why = GoTime.mistake(in: since) { throw .badRequest(why) }
            out.append("sinceTime", since)
        }
        var errors: [FieldError] = []
        if let lines = numbers["tailLines"], lines < 0 {
            errors.append(
                .invalid("tailLines", .integer(Int64(lines)), "must be greater than or equal to 0"))
        }
        if let bytes = numbers["limitBytes"], bytes < 1 {
            errors.append(.invalid("limitBytes", .integer(Int64(bytes)), "must be greater than 0"))
        }
        if let seconds = numbers["sinceSeconds"] {
            if !since.isEmpty {
                errors.append(.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
            } else if seconds < 1 {
                errors.append(.invalid("sinceSeconds", .integer(Int64(seconds)), "must be greater than 0"))
            }
        }
        if !errors.isEmpty {
            let kind = ResourceKind(
                group: "", version: "v1", kind: "PodLogOptions", plural: "", singular: "",
                isNamespaced: true)
            throw .invalid(kind, pod, errors)
        }
        return out
    }

    /// The names that node agents know (`input`, `output`, `error`, `tty`) for those of the API.
    private static func streams(_ query: QueryItems, _ subresource: String) throws(APIError) -> QueryItems {
        var out = QueryItems()
        let hasTTY = query.boolean("tty") == true
        let hasInput = query.boolean("stdin") == true
        // Upstream's defaults: output and errors unless switched off.
        let hasOutput = query.boolean("stdout") ?? true
        let hasErrors = query.boolean("stderr") ?? true
        guard hasInput || hasOutput || hasErrors else {
            throw .badRequest("you must specify at least one of stdin, stdout, stderr")
        }
        if hasInput { out.append("input", "1") }
        if hasOutput { out.append("output", "1") }
        // A terminal has one stream for both.
        if hasErrors, !hasTTY { out.append("error", "1") }
        if hasTTY { out.append("tty", "1") }
        guard subresource == "exec" else { return out }
        let command = query.all("command")
        guard !command.isEmpty else { throw .badRequest("you must specify a command for the container") }
        for word in command { out.append("command", word) }
        return out
    }
}

/// The assignment of a pod to a node. Pure.
package enum PodBinding {
    package static func bound(_ pod: Pod, _ binding: Binding, now: Time) throws(APIError) -> Pod {
        var kind = Pod.resource
        kind.plural = "pods/binding"
        let name = pod.metadata.name
        if pod.metadata.deletionTimestamp != nil {
            throw .conflict(kind, name, "pod \(name) is being deleted, cannot be assigned to a host")
        }
        if !pod.spec.nodeName.isEmpty {
            throw .conflict(
                kind, name, "pod \(name) is already assigned to node \"\(pod.spec.nodeName)\"")
        }
        if !binding.metadata.uid.isEmpty, binding.metadata.uid != pod.metadata.uid {
            throw .conflict(
                kind, name,
                "Precondition failed: UID in precondition: \(binding.metadata.uid), "
                    + "UID in object meta: \(pod.metadata.uid)")
        }
        var bound = pod
        bound.spec.nodeName = binding.target.name
        for (key, value) in binding.metadata.annotations { bound.metadata.annotations[key] = value }
        bound.metadata.generation += 1
        let scheduled = PodCondition(type: "PodScheduled", status: "True", lastTransitionTime: now)
        if let index = bound.status.conditions.firstIndex(where: { $0.type == "PodScheduled" }) {
            if bound.status.conditions[index].status != "True" { bound.status.conditions[index] = scheduled }
        } else {
            bound.status.conditions.append(scheduled)
        }
        return bound
    }
}
