import HTTPService
import KubernetesAPI
import Synchronization
import Telemetry

/// What happens to every request whatever it asks for: it has a deadline and a turn, is counted, and its answer
/// is compressed for those who want that.
struct ServingFrame: Sendable {
    /// Answers up to this size are not worth compressing, as upstream sees it.
    static let compressionThreshold = 128 * 1024

    let registry: Registry
    let metrics: APIMetrics
    let limit: InFlightLimit
    let deadlines: RequestDeadlines
    let timeout: Duration

    /// Answers a request by `answer`.
    func serve(
        _ request: HTTPRequest, _ info: RequestInfo, _ failure: (APIError) -> HTTPResponse,
        _ answer: @escaping @Sendable () async -> HTTPResponse
    ) async -> HTTPResponse {
        let start = ContinuousClock.now
        let kind = RequestClass(info)
        var response = await inTime(request, info, kind, failure, answer)
        if !response.headers.contains(name: "cache-control") {
            response.headers.add(name: "cache-control", value: "no-cache, private")
        }
        if request.acceptsGzip { response = await response.compressed(above: Self.compressionThreshold) }
        return counted(response, labels(request, info, response), kind, start)
    }

    private func inTime(
        _ request: HTTPRequest, _ info: RequestInfo, _ kind: RequestClass,
        _ failure: (APIError) -> HTTPResponse, _ answer: @escaping @Sendable () async -> HTTPResponse
    ) async -> HTTPResponse {
        if kind.isLongRunning { return await answer() }
        let limit: Duration
        do {
            limit = try RequestDeadline.limit(request.query, maximum: timeout)
        } catch {
            return failure(error)
        }
        // Nothing waits in a request that only reads what is in memory.
        if request.method == .GET || request.method == .HEAD { return await answer() }
        if let response = await deadlines.run(within: limit, on: request.executor, answer) {
            return response
        }
        metrics.terminated(RequestLabels(request, info, isKnown: isServed(info)), code: 504)
        return failure(.timeout("request did not complete within the allotted timeout"))
    }

    // MARK: Turns

    /// Whether a request may be answered now; if so, it leaves when it is.
    func enter(_ request: HTTPRequest, _ info: RequestInfo, _ user: User) -> Bool {
        let kind = RequestClass(info)
        if kind.isLongRunning || limit.enter(kind, isExempt: Self.isExempt(request, info, user)) {
            return true
        }
        metrics.terminated(RequestLabels(request, info, isKnown: isServed(info)), code: 429)
        return false
    }

    func leave(_ info: RequestInfo) {
        let kind = RequestClass(info)
        if !kind.isLongRunning { limit.leave(kind) }
    }

    /// What somebody is told whose turn it is not.
    static let tooManyRequests = HTTPResponse(
        status: .tooManyRequests,
        headers: ["content-type": "text/plain; charset=utf-8", "retry-after": "1"],
        body: .bytes(Array("Too many requests, please try again later.\n".utf8)))

    /// Administrators, the cluster's own parts and health probes always get an answer.
    private static func isExempt(_ request: HTTPRequest, _ info: RequestInfo, _ user: User) -> Bool {
        if user.groups.contains("system:masters") { return true }
        if case .inProcess = request.peer { return true }
        return !info.isResourceRequest && ["/healthz", "/livez", "/readyz"].contains(info.path)
    }

    // MARK: Counting

    private func isServed(_ info: RequestInfo) -> Bool {
        guard info.isResourceRequest else { return false }
        if registry.review(group: info.group, version: info.version, plural: info.resource) != nil {
            return info.subresource.isEmpty
        }
        guard
            let resource = registry.resource(
                group: info.group, version: info.version, plural: info.resource)
        else { return false }
        return info.subresource.isEmpty || resource.subresources.contains { $0.name == info.subresource }
    }

    private func labels(
        _ request: HTTPRequest, _ info: RequestInfo, _ response: HTTPResponse
    ) -> RequestLabels {
        // Of the other paths, those that led somewhere are named.
        let isKnown = info.isResourceRequest ? isServed(info) : response.status.code < 400
        return RequestLabels(request, info, isKnown: isKnown)
    }

    private func counted(
        _ response: HTTPResponse, _ labels: RequestLabels, _ kind: RequestClass,
        _ start: ContinuousClock.Instant
    ) -> HTTPResponse {
        let metrics = metrics
        let code = response.status.code
        var response = response
        switch response.body {
        case .empty:
            metrics.record(labels, code: code, took: ContinuousClock.now - start, size: 0)
        case .bytes(let bytes):
            metrics.record(labels, code: code, took: ContinuousClock.now - start, size: bytes.count)
        case .stream(let write):
            response.body = .stream { writer in
                try await Self.counted(labels, code, start, metrics) { try await write(writer) }
            }
        case .tunnel(let use):
            response.body = .tunnel { tunnel in
                try await Self.counted(labels, code, start, metrics) { try await use(tunnel) }
            }
        }
        return response
    }

    /// A streamed answer is counted when it ends, and is long until then.
    private static func counted(
        _ labels: RequestLabels, _ code: UInt, _ start: ContinuousClock.Instant, _ metrics: APIMetrics,
        _ work: () async throws -> Void
    ) async throws {
        let running = metrics.running(labels)
        running.add(1)
        defer {
            running.add(-1)
            metrics.record(labels, code: code, took: ContinuousClock.now - start, size: nil)
        }
        try await work()
    }
}
