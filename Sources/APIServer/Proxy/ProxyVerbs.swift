import HTTPService
import KubernetesAPI
import KubernetesJSON
import Logging

/// Passes requests on to pods, Services and nodes: the `proxy` subresources.
struct ProxyVerbs: Sendable {
    let core: ServerCore
    let context: RequestContext
    let nodes: any NodeConnector

    private var info: RequestInfo { context.info }

    func forward() async throws(APIError) -> Answer {
        let target = try target()
        // `/api/v1/[namespaces/NS/]RESOURCE/NAME/proxy`
        let proxied = ProxyRequest(context.request, segments: info.resource == "nodes" ? 5 : 7)
        if let redirect = proxied.redirect { return Answer(.raw(redirect)) }
        switch target {
        case .agent(let node):
            var request = proxied.forwarded(host: node)
            request.peer = .inProcess(user: context.user.name, groups: context.user.groups)
            return Answer(.raw(await nodes.respond(node: node, to: request)))
        case .address(let host, let port, let isTLS):
            return Answer(.raw(try await send(proxied, host: host, port: port, isTLS: isTLS)))
        }
    }

    private func target() throws(APIError) -> ProxyTarget {
        guard let name = ProxyName(info.name) else {
            let kind = String(info.resource.dropLast())
            throw .badRequest("invalid \(kind) request \"\(info.name)\"")
        }
        switch info.resource {
        case "pods":
            return try .pod(try found(name.name), name)
        case "services":
            return try .service(
                try found(name.name), core.find(Endpoints.self, name.name, namespace: info.namespace), name
            ) { Int.random(in: $0) }
        default:
            return try .node(try found(name.name), name)
        }
    }

    private func found<Object: KubernetesObject>(_ name: String) throws(APIError) -> Object {
        let namespace = Object.resource.isNamespaced ? info.namespace : ""
        guard let object = core.find(Object.self, name, namespace: namespace) else {
            throw .notFound(Object.resource, name)
        }
        return object
    }

    private func send(
        _ proxied: ProxyRequest, host: String, port: Int, isTLS: Bool
    ) async throws(APIError) -> HTTPResponse {
        let endpoint = ClientConfiguration.Endpoint.tcp(host: host, port: port)
        // Pods make their own certificates; whom one reaches is decided by the address (as upstream does).
        var configuration = ClientConfiguration(
            endpoint: endpoint, tls: isTLS ? .init(trust: .anything) : nil)
        configuration.offersHTTP2 = false
        let authority = endpoint.description
        let request = proxied.forwarded(host: authority)
        do {
            let client = try HTTPClient(configuration)
            guard request.upgradeProtocols == nil else {
                return answer(try await client.upgrade(request), proxied, authority, client)
            }
            return answer(try await client.send(request), proxied, authority, client)
        } catch {
            core.logger.debug("a proxied request failed", metadata: ["error": "\(error)"])
            let reason = (error as? HTTPError)?.message ?? "\(error)"
            throw .serviceUnavailable("error trying to reach service: \(reason)")
        }
    }

    private func answer(
        _ response: ClientResponse, _ proxied: ProxyRequest, _ authority: String, _ client: HTTPClient
    ) -> HTTPResponse {
        HTTPResponse(
            status: response.status, headers: proxied.answered(response.headers, host: authority),
            body: .stream { writer in
                for try await chunk in response.body { try await writer.write(chunk) }
                await client.close()
            })
    }

    private func answer(
        _ result: UpgradeResult, _ proxied: ProxyRequest, _ authority: String, _ client: HTTPClient
    ) -> HTTPResponse {
        switch result {
        case .refused(let response):
            return answer(response, proxied, authority, client)
        case .switched(let headers, let tunnel):
            return HTTPResponse(
                status: .switchingProtocols,
                headers: proxied.answered(headers, host: authority, keepsUpgrade: true),
                body: .tunnel { other in
                    await Tunnel.join(other, tunnel)
                    await client.close()
                })
        }
    }
}
