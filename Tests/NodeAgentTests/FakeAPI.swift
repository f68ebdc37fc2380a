import HTTPService
import KubernetesAPI
import KubernetesJSON
import Synchronization

/// As much of an API server as the node agent needs: objects by path, merge patches, watches, deletion with a
/// grace period.
final class FakeAPI: HTTPResponder {
    private struct State {
        var objects: [String: JSONObject] = [:]
        var revision = 1
        /// Every change so far, so that a watch begins where its list ended.
        var history: [(revision: Int, collection: String, line: [UInt8])] = []
        var watchers: [Int: (collection: String, continuation: AsyncStream<[UInt8]>.Continuation)] = [:]
        var nextWatcher = 0
    }
    private let state = Mutex(State())

    /// An object by its path, such as `/api/v1/namespaces/default/pods/web`.
    func object(_ path: String) -> JSONValue? { state.withLock { $0.objects[path].map { .object($0) } } }

    func pod(_ name: String) -> Pod? {
        object("/api/v1/namespaces/default/pods/\(name)").flatMap { try? Pod($0) }
    }

    /// Messages of the events about a pod, in the order in which they were recorded.
    func events(_ name: String) -> [String] {
        state.withLock { state in
            state.objects.filter { $0.key.contains("/events/") }.values
                .filter { $0["involvedObject"]?["name"]?.stringValue == name }
                .sorted { Self.revision($0) < Self.revision($1) }
                .map { "\($0["reason"]?.stringValue ?? ""): \($0["message"]?.stringValue ?? "")" }
        }
    }

    private static func revision(_ object: JSONObject) -> Int {
        object["metadata"]?["resourceVersion"]?.stringValue.flatMap { Int($0) } ?? 0
    }

    func respond(to request: HTTPRequest) async -> HTTPResponse {
        let path = request.path
        let body = (try? await request.body.collect(upTo: 1 << 24)) ?? []
        let sent = (try? JSONValue(json: body))?.objectValue ?? JSONObject()
        switch request.method {
        case .GET where request.query.first("watch") == "true":
            return watch(path, after: Int(request.query.first("resourceVersion") ?? "") ?? 0)
        case .GET: return get(path)
        case .POST: return create(path, sent)
        case .PATCH: return patch(path, sent)
        case .DELETE: return delete(path, sent)
        default: return failure(405, "MethodNotAllowed")
        }
    }

    private func failure(_ code: Int, _ reason: String) -> HTTPResponse {
        let status = Status(status: "Failure", message: reason, reason: reason, code: code)
        return HTTPResponse(
            status: HTTPResponseStatus(statusCode: code), contentType: "application/json", status.json())
    }

    private func answer(_ object: JSONObject, _ status: HTTPResponseStatus = .ok) -> HTTPResponse {
        HTTPResponse(status: status, contentType: "application/json", JSONValue.object(object).json())
    }

    /// `/api/v1/namespaces/default/pods` and `/api/v1/pods` are one collection: the plural.
    private static func collection(_ path: String) -> String {
        let parts = path.split(separator: "/").map(String.init)
        guard let index = parts.firstIndex(of: "namespaces"), parts.count > index + 2 else {
            return parts.first == "api" ? parts.dropFirst(2).first ?? "" : parts.dropFirst(3).first ?? ""
        }
        return parts[index + 2]
    }

    private static func isCollection(_ path: String) -> Bool {
        let parts = path.split(separator: "/").count
        let base = path.hasPrefix("/api/") ? 2 : 3
        return path.contains("/namespaces/") ? parts == base + 3 : parts == base + 1
    }

    private func get(_ path: String) -> HTTPResponse {
        if Self.isCollection(path) {
            return state.withLock { state in
                let items = state.objects.filter { Self.collection($0.key) == Self.collection(path) }
                return answer([
                    "kind": "List", "apiVersion": "v1",
                    "metadata": ["resourceVersion": .string("\(state.revision)")],
                    "items": .array(items.values.map { .object($0) }),
                ])
            }
        }
        return state.withLock { $0.objects[path] }.map { answer($0) } ?? failure(404, "NotFound")
    }

    private func watch(_ path: String, after revision: Int) -> HTTPResponse {
        let (stream, continuation) = AsyncStream<[UInt8]>.makeStream()
        let id = state.withLock { state in
            let collection = Self.collection(path)
            for change in state.history where change.revision > revision && change.collection == collection {
                continuation.yield(change.line)
            }
            state.nextWatcher += 1
            state.watchers[state.nextWatcher] = (collection, continuation)
            return state.nextWatcher
        }
        return HTTPResponse(
            headers: ["content-type": "application/json"],
            body: .stream { writer in
                for await line in stream { try await writer.write(line) }
                _ = self.state.withLock { $0.watchers.removeValue(forKey: id) }
            })
    }

    private static func tell(_ state: inout State, _ type: String, _ path: String, _ object: JSONObject) {
        let event: JSONValue = ["type": .string(type), "object": .object(object)]
        let line = event.json() + [UInt8(ascii: "\n")]
        let changed = collection(path)
        state.history.append((state.revision, changed, line))
        for (collection, continuation) in state.watchers.values where collection == changed {
            continuation.yield(line)
        }
    }

    private static func store(_ state: inout State, _ type: String, _ path: String, _ object: JSONObject)
        -> JSONObject
    {
        state.revision += 1
        var object = object
        var metadata = object["metadata"]?.objectValue ?? JSONObject()
        metadata["resourceVersion"] = .string("\(state.revision)")
        object["metadata"] = .object(metadata)
        state.objects[path] = type == "DELETED" ? nil : object
        tell(&state, type, path, object)
        return object
    }

    private func create(_ path: String, _ sent: JSONObject) -> HTTPResponse {
        if path.hasSuffix("/token") {
            var answer = sent
            answer["status"] = ["token": "the-token", "expirationTimestamp": "2100-01-01T00:00:00Z"]
            return self.answer(answer, .created)
        }
        guard let name = sent["metadata"]?["name"]?.stringValue else { return failure(422, "Invalid") }
        let target = "\(path)/\(name)"
        return state.withLock { state in
            guard state.objects[target] == nil else { return failure(409, "AlreadyExists") }
            var object = sent
            var metadata = object["metadata"]?.objectValue ?? JSONObject()
            if metadata["uid"] == nil { metadata["uid"] = .string("uid-\(name)-\(state.revision)") }
            object["metadata"] = .object(metadata)
            return answer(Self.store(&state, "ADDED", target, object), .created)
        }
    }

    private func patch(_ path: String, _ sent: JSONObject) -> HTTPResponse {
        let target = path.hasSuffix("/status") ? String(path.dropLast("/status".count)) : path
        return state.withLock { state in
            guard let object = state.objects[target] else { return failure(404, "NotFound") }
            if let uid = sent["metadata"]?["uid"], uid != object["metadata"]?["uid"] {
                return failure(409, "Conflict")
            }
            let merged = Self.merge(.object(object), .object(sent)).objectValue ?? object
            return answer(Self.store(&state, "MODIFIED", target, merged))
        }
    }

    private static func merge(_ target: JSONValue, _ patch: JSONValue) -> JSONValue {
        guard let changes = patch.objectValue else { return patch }
        var result = target.objectValue ?? JSONObject()
        for (key, value) in changes {
            result[key] = value.isNull ? nil : merge(result[key] ?? .null, value)
        }
        return .object(result)
    }

    private func delete(_ path: String, _ sent: JSONObject) -> HTTPResponse {
        state.withLock { state in
            guard var object = state.objects[path] else { return failure(404, "NotFound") }
            let grace = sent["gracePeriodSeconds"]?.integerValue ?? 30
            if Self.collection(path) == "pods", grace > 0 {
                var metadata = object["metadata"]?.objectValue ?? JSONObject()
                metadata["deletionTimestamp"] = .string(Time.now().description)
                metadata["deletionGracePeriodSeconds"] = .integer(Int64(grace))
                object["metadata"] = .object(metadata)
                return answer(Self.store(&state, "MODIFIED", path, object))
            }
            return answer(Self.store(&state, "DELETED", path, object))
        }
    }
}
