public import HTTPService
public import KubernetesAPI
public import KubernetesJSON
public import Telemetry

/// How a patch's body is to be understood.
public enum PatchType: String, Sendable, Hashable {
    /// RFC 6902: an array of operations.
    case json = "application/json-patch+json"
    /// RFC 7386: members replace, null removes.
    case merge = "application/merge-patch+json"
    /// Like merge, but lists merge by the keys that the type declares.
    case strategic = "application/strategic-merge-patch+json"
    /// Server-side apply: the fields that `fieldManager` wants to own.
    case apply = "application/apply-patch+yaml"
}

/// Speaks to an API server in its own types.
///
/// All functions throw `APIError` when the server refuses, `HTTPError` when it cannot be reached, `JSONError`
/// when it answers something else than was asked for, and `CancellationError`.
public struct KubernetesClient: Sendable {
    /// What carries the requests.
    public let transport: any Transport
    /// Sent as `user-agent`; the server derives the default field manager from it.
    public var userAgent: String
    private let metrics: ClientMetrics

    /// How large an answer may be, in bytes.
    private static let limit = 1 << 30

    /// A client that sends its requests over `transport`.
    public init(
        transport: any Transport, userAgent: String = "swiftlet", metrics: MetricRegistry = .shared
    ) {
        self.transport = transport
        self.metrics = ClientMetrics(metrics, host: transport.host)
        self.userAgent = userAgent
    }

    // MARK: Reading

    /// An object; 404 (`NotFound`) when there is none of that name.
    ///
    /// - Parameter kind: where the object is, when the type does not say it: `PartialObjectMetadata` reads the
    ///   metadata of every kind. So it is with all functions below.
    public func get<T: KubernetesObject>(
        _ type: T.Type, of kind: ResourceKind? = nil, name: String, namespace: String = "",
        resourceVersion: String? = nil
    ) async throws -> T {
        var query = QueryItems()
        query.add("resourceVersion", resourceVersion)
        return try await value(
            .GET, ResourcePath.path(kind ?? T.resource, namespace: namespace, name: name), query: query)
    }

    /// All objects, or those of a namespace, that the selectors choose.
    ///
    /// - Parameters:
    ///   - resourceVersion: nil for the latest state, "0" for whatever the server has at hand.
    ///   - limit: how many objects a page has at most; the list's `continue` then leads to the next one.
    public func list<T: KubernetesObject>(
        _ type: T.Type, of kind: ResourceKind? = nil, namespace: String? = nil,
        labelSelector: String? = nil, fieldSelector: String? = nil, resourceVersion: String? = nil,
        limit: Int? = nil, continue token: String? = nil
    ) async throws -> ObjectList<T> {
        var query = QueryItems()
        query.add("labelSelector", labelSelector)
        query.add("fieldSelector", fieldSelector)
        query.add("resourceVersion", resourceVersion)
        query.add("limit", limit.map(String.init))
        query.add("continue", token)
        return try await value(
            .GET, ResourcePath.path(kind ?? T.resource, namespace: namespace ?? ""), query: query)
    }

    /// What happens after a revision, until the server ends the watch or the reading task is cancelled.
    ///
    /// - Parameter timeout: after which time the server shall end the watch.
    public func watch<T: KubernetesObject>(
        _ type: T.Type, of kind: ResourceKind? = nil, namespace: String? = nil,
        resourceVersion: String? = nil, labelSelector: String? = nil, fieldSelector: String? = nil,
        allowBookmarks: Bool = true,
        sendInitialEvents: Bool = false, timeout: Duration? = nil
    ) async throws -> ObjectWatch<T> {
        var query: QueryItems = ["watch": "true"]
        query.add("resourceVersion", resourceVersion)
        query.add("labelSelector", labelSelector)
        query.add("fieldSelector", fieldSelector)
        if allowBookmarks { query.append("allowWatchBookmarks", "true") }
        if sendInitialEvents {
            query.append("sendInitialEvents", "true")
            query.append("resourceVersionMatch", "NotOlderThan")
        }
        query.add("timeoutSeconds", timeout.map { String($0.components.seconds) })
        let response = try await send(
            .GET, ResourcePath.path(kind ?? T.resource, namespace: namespace ?? ""), query: query)
        return ObjectWatch(body: response.body)
    }

    // MARK: Writing

    /// Creates an object and returns it as the server stored it; 409 (`AlreadyExists`) when the name is taken.
    public func create<T: KubernetesObject>(_ object: T, fieldManager: String? = nil) async throws -> T {
        try await value(
            .POST, ResourcePath.path(T.resource, namespace: object.metadata.namespace),
            query: Self.query(fieldManager), body: object.json())
    }

    /// Replaces an object. Its `resourceVersion`, unless empty, must be the present one.
    public func update<T: KubernetesObject>(_ object: T, fieldManager: String? = nil) async throws -> T {
        try await replace(object, subresource: nil, fieldManager)
    }

    /// Replaces an object's status and nothing else of it.
    public func updateStatus<T: KubernetesObject>(_ object: T, fieldManager: String? = nil) async throws -> T
    {
        try await replace(object, subresource: "status", fieldManager)
    }

    /// Replaces a subresource of an object, which has the object's own type.
    public func update<T: KubernetesObject>(
        _ object: T, subresource: String, fieldManager: String? = nil
    ) async throws -> T {
        try await replace(object, subresource: subresource, fieldManager)
    }

    private func replace<T: KubernetesObject>(
        _ object: T, subresource: String?, _ fieldManager: String?
    ) async throws -> T {
        let metadata = object.metadata
        return try await value(
            .PUT,
            ResourcePath.path(
                T.resource, namespace: metadata.namespace, name: metadata.name, subresource: subresource),
            query: Self.query(fieldManager), body: object.json())
    }

    /// Changes an object.
    ///
    /// - Parameters:
    ///   - fieldManager: required for `apply`.
    ///   - force: takes fields over from other managers (`apply` only).
    public func patch<T: KubernetesObject>(
        _ type: T.Type, of kind: ResourceKind? = nil, name: String, namespace: String = "",
        subresource: String? = nil, type patchType: PatchType = .merge, body: JSONValue,
        fieldManager: String? = nil, force: Bool = false
    ) async throws -> T {
        var query = Self.query(fieldManager)
        if force { query.append("force", "true") }
        return try await value(
            .PATCH,
            ResourcePath.path(
                kind ?? T.resource, namespace: namespace, name: name, subresource: subresource),
            query: query, body: body.json(), contentType: patchType.rawValue)
    }

    /// Deletes an object, or begins to when it has finalizers or a grace period.
    public func delete<T: KubernetesObject>(
        _ type: T.Type, of kind: ResourceKind? = nil, name: String, namespace: String = "",
        options: DeleteOptions = DeleteOptions()
    ) async throws {
        _ = try await bytes(
            .DELETE, ResourcePath.path(kind ?? T.resource, namespace: namespace, name: name), query: [:],
            body: options.json())
    }

    /// Deletes all objects of a namespace that the selectors choose.
    public func deleteCollection<T: KubernetesObject>(
        _ type: T.Type, of kind: ResourceKind? = nil, namespace: String? = nil,
        labelSelector: String? = nil, fieldSelector: String? = nil, options: DeleteOptions = DeleteOptions()
    ) async throws {
        var query = QueryItems()
        query.add("labelSelector", labelSelector)
        query.add("fieldSelector", fieldSelector)
        _ = try await bytes(
            .DELETE, ResourcePath.path(kind ?? T.resource, namespace: namespace ?? ""), query: query,
            body: options.json())
    }

    /// Posts to a subresource of an object: `binding` and `eviction` of a pod, `token` of a service account.
    public func createSubresource<T: KubernetesObject, Body: JSONCodable, Answer: JSONCodable>(
        of type: T.Type, name: String, namespace: String = "", subresource: String, body: Body,
        returning: Answer.Type = Answer.self
    ) async throws -> Answer {
        try await value(
            .POST, ResourcePath.path(T.resource, namespace: namespace, name: name, subresource: subresource),
            body: body.json())
    }

    /// Posts to a subresource whose answer says nothing but that it worked.
    public func createSubresource<T: KubernetesObject, Body: JSONCodable>(
        of type: T.Type, name: String, namespace: String = "", subresource: String, body: Body
    ) async throws {
        _ = try await bytes(
            .POST, ResourcePath.path(T.resource, namespace: namespace, name: name, subresource: subresource),
            query: [:], body: body.json())
    }

    private static func query(_ fieldManager: String?) -> QueryItems {
        var query = QueryItems()
        query.add("fieldManager", fieldManager)
        return query
    }

    // MARK: Any path

    /// The bytes at a path such as `/version` or `/readyz`.
    public func raw(
        _ path: String, query: QueryItems = [:], accept: String = "application/json"
    ) async throws -> [UInt8] {
        try await send(.GET, path, query: query, accept: accept).body.collect(upTo: Self.limit)
    }

    private func value<Answer: JSONCodable>(
        _ method: HTTPMethod, _ path: String, query: QueryItems = [:], body: [UInt8] = [],
        contentType: String = "application/json"
    ) async throws -> Answer {
        try Answer(
            json: try await bytes(method, path, query: query, body: body, contentType: contentType))
    }

    private func bytes(
        _ method: HTTPMethod, _ path: String, query: QueryItems, body: [UInt8] = [],
        contentType: String = "application/json"
    ) async throws -> [UInt8] {
        try await send(method, path, query: query, body: body, contentType: contentType)
            .body.collect(upTo: Self.limit)
    }

    /// Sends a request and returns the response if it is a success.
    private func send(
        _ method: HTTPMethod, _ path: String, query: QueryItems, body: [UInt8] = [],
        contentType: String = "application/json", accept: String = "application/json"
    ) async throws -> ClientResponse {
        var headers: HTTPHeaders = ["accept": accept, "user-agent": userAgent]
        if !body.isEmpty { headers.add(name: "content-type", value: contentType) }
        let request = HTTPRequest(
            method: method, path: path, query: query, headers: headers, body: .bytes(body))
        let start = ContinuousClock.now
        let response: ClientResponse
        do {
            response = try await transport.send(request)
        } catch {
            metrics.record(method, code: nil, took: ContinuousClock.now - start)
            throw error
        }
        metrics.record(method, code: response.status.code, took: ContinuousClock.now - start)
        guard (200..<300).contains(Int(response.status.code)) else {
            let answer = try await response.body.collect(upTo: 1 << 20)
            throw APIErrors.error(
                status: Int(response.status.code), reason: response.status.reasonPhrase, body: answer,
                request: request)
        }
        return response
    }
}
