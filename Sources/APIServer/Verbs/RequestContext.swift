import HTTPService
import KubernetesAPI
import KubernetesJSON
import Logging
import ObjectStore

/// What every request needs of the server.
package struct ServerCore: Sendable {
    package let store: ObjectStore
    package let registry: Registry
    package let authorizer: any Authorizer
    package var admission = AdmissionChain.standard
    package let clock: any Clock<Duration>
    package let now: @Sendable () -> Time
    package let metrics: APIMetrics
    package let logger: Logger
    private let decoded = DecodedObjects()

    package init(
        store: ObjectStore, registry: Registry, authorizer: any Authorizer, clock: any Clock<Duration>,
        now: @escaping @Sendable () -> Time, metrics: APIMetrics, logger: Logger
    ) {
        self.store = store
        self.registry = registry
        self.authorizer = authorizer
        self.clock = clock
        self.now = now
        self.metrics = metrics
        self.logger = logger
    }

    /// Bodies larger than this are refused (upstream's limit for a resource is 3 MiB).
    static let maximumBody = 3 * 1024 * 1024
}

extension ServerCore: AdmissionLookup {
    package func object<Object: KubernetesObject>(
        _ type: Object.Type, _ name: String, namespace: String
    ) -> Object? {
        let key = ObjectKey(resource: Object.resource.groupResource, namespace: namespace, name: name)
        return store.get(key).flatMap { decoded.object(type, $0) }
    }

    package func objects<Object: KubernetesObject>(_ type: Object.Type, namespace: String?) -> [Object] {
        let resource = Object.resource.groupResource
        guard store.count(resource: resource) > 0,
            let page = try? store.list(resource: resource, namespace: namespace)
        else { return [] }
        return page.objects.compactMap { try? Object(json: $0.bytes) }
    }

    package func count(resource: String, namespace: String) -> Int {
        (try? store.list(resource: resource, namespace: namespace))?.objects.count ?? 0
    }

    func find<Object: KubernetesObject>(
        _ type: Object.Type, _ name: String, namespace: String = ""
    ) -> Object? {
        let key = ObjectKey(resource: Object.resource.groupResource, namespace: namespace, name: name)
        return store.get(key).flatMap { try? Object(json: $0.bytes) }
    }
}

/// One request on its way.
package struct RequestContext: Sendable {
    package let request: HTTPRequest
    package let info: RequestInfo
    package let user: User
    package let form: ResponseForm

    package init(request: HTTPRequest, info: RequestInfo, user: User, form: ResponseForm) {
        self.request = request
        self.info = info
        self.user = user
        self.form = form
    }

    var query: QueryItems { request.query }

    /// The whole body.
    func body() async throws(APIError) -> [UInt8] { try await Self.body(of: request) }

    /// The whole body of a request.
    static func body(of request: HTTPRequest) async throws(APIError) -> [UInt8] {
        do {
            if let announced = request.headers.first(name: "content-length").flatMap({ Int($0) }),
                announced > ServerCore.maximumBody
            {
                throw APIError.requestEntityTooLarge("limit is \(ServerCore.maximumBody)")
            }
            return try await request.body.collect(upTo: ServerCore.maximumBody)
        } catch let error as HTTPError {
            if case .bodyTooLarge = error.code {
                throw .requestEntityTooLarge("limit is \(ServerCore.maximumBody)")
            }
            throw .badRequest("the request's body did not arrive: \(error.message)")
        } catch let error as APIError {
            throw error
        } catch {
            throw .badRequest("the request's body did not arrive")
        }
    }
}

/// What a verb answers, before it is given the form the client asked for.
package struct Answer: Sendable {
    package enum Content: Sendable {
        /// One object's bytes.
        case object([UInt8])
        /// A page of a list.
        case list(ListAnswer)
        /// A running watch.
        case watch(WatchAnswer)
        /// A response that is ready.
        case raw(HTTPResponse)
    }
    package var status: HTTPResponseStatus = .ok
    package var content: Content
    package var warnings: [String] = []

    package init(_ content: Content, status: HTTPResponseStatus = .ok, warnings: [String] = []) {
        self.content = content
        self.status = status
        self.warnings = warnings
    }

    static func value(
        _ value: some JSONCodable, status: HTTPResponseStatus = .ok, warnings: [String] = []
    ) -> Answer {
        Answer(.object(value.json()), status: status, warnings: warnings)
    }
}

/// A page of stored objects.
package struct ListAnswer: Sendable {
    package var objects: [StoredObject]
    package var revision: Revision
    package var continuation = ""
    /// How many objects follow the page, where that is known.
    package var remaining: Int?
}
