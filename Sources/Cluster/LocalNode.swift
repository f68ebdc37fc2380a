import APIServer
import HTTPService
import KubernetesAPI
import NIOHTTP1
import Synchronization

/// Reaches the agent of this machine's node, in process.
final class LocalNode: NodeConnector {
    private let name: String
    private let agent = Mutex<(any HTTPResponder)?>(nil)

    init(name: String) { self.name = name }

    /// From now on the node can be reached.
    func connect(_ responder: any HTTPResponder) {
        agent.withLock { $0 = responder }
    }

    func respond(node: String, to request: HTTPRequest) async -> HTTPResponse {
        guard node == name, let responder = agent.withLock({ $0 }) else { return Self.unreachable(node) }
        return await responder.respond(to: request)
    }

    /// The answer for a node that cannot be reached.
    static func unreachable(_ node: String) -> HTTPResponse {
        let status = Status(
            status: "Failure",
            message: "Expected the agent of node \"\(node)\" to answer; it cannot be reached from here. "
                + "Try again once 'kubectl get nodes' shows the node as Ready.",
            reason: "ServiceUnavailable", code: 503)
        return HTTPResponse(
            status: .serviceUnavailable, headers: ["content-type": "application/json"],
            body: .bytes(status.json()))
    }
}
