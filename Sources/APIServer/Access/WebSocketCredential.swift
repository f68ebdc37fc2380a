import HTTPService
import KubernetesAPI
import KubernetesJSON

/// A token that comes as one of the protocols that a WebSocket is to speak: browsers let nobody set other headers.
package enum WebSocketCredential {
    private static let prefix = "base64url.bearer.authorization.k8s.io."

    /// Puts the token where other clients have it, so that whoever is spoken to inside does not see it.
    ///
    /// - Throws: `unauthorized` when it is not readable, is not the only one, or comes without a protocol to speak.
    package static func move(in headers: inout HTTPHeaders) throws(APIError) {
        guard headers.contains(name: "sec-websocket-protocol"), headers.contains(name: "upgrade") else {
            return
        }
        let offered = headers["sec-websocket-protocol"].flatMap { $0.split(separator: ",") }.map {
            String($0.trimmed())
        }
        let tokens = offered.filter { $0.hasPrefix(prefix) }
        guard let text = tokens.first else { return }
        let protocols = offered.filter { !$0.hasPrefix(prefix) }
        guard tokens.count == 1, !protocols.isEmpty,
            let bytes = Base64URL.decode(text.dropFirst(prefix.count)), !bytes.isEmpty,
            let token = String(validating: bytes, as: UTF8.self)
        else { throw .unauthorized() }
        headers.replaceOrAdd(name: "sec-websocket-protocol", value: protocols.joined(separator: ", "))
        headers.replaceOrAdd(name: "authorization", value: "Bearer \(token)")
    }
}
