import HTTPService
import KubernetesAPI

/// A request on its way through a `proxy` subresource, and the answer on its way back. Pure.
package struct ProxyRequest: Sendable {
    /// The path up to and including `proxy`, percent-encoded as it came.
    package let prefix: String
    /// What follows: the path at the target. Empty when the client left out even the slash.
    package let path: String
    private let request: HTTPRequest

    /// - Parameter segments: how many path segments there are up to and including `proxy`.
    package init(_ request: HTTPRequest, segments: Int) {
        self.request = request
        var left = segments
        var index = request.path.startIndex
        while left > 0, index < request.path.endIndex {
            while index < request.path.endIndex, request.path[index] == "/" {
                index = request.path.index(after: index)
            }
            while index < request.path.endIndex, request.path[index] != "/" {
                index = request.path.index(after: index)
            }
            left -= 1
        }
        prefix = String(request.path[..<index])
        path = String(request.path[index...])
    }

    /// Links on a page are relative to its folder, so a target's root needs its slash.
    package var redirect: HTTPResponse? {
        guard path.isEmpty, request.method == .GET || request.method == .HEAD else { return nil }
        let query = request.query.isEmpty ? "" : "?\(request.query)"
        return HTTPResponse(
            status: .movedPermanently, headers: ["location": "\(request.path)/\(query)"], body: .empty)
    }

    /// The request as the target sees it. Who the client is to the API server is none of the target's
    /// business.
    package func forwarded(host: String) -> HTTPRequest {
        var result = request
        result.path = path.isEmpty ? "/" : path
        result.headers = Self.endToEnd(request.headers, keepsUpgrade: request.upgradeProtocols != nil)
        for name in ["authorization", "host"] { result.headers.remove(name: name) }
        for (name, _) in request.headers where name.lowercased().hasPrefix("impersonate-") {
            result.headers.remove(name: name)
        }
        result.headers.add(name: "host", value: host)
        if let asked = request.headers.first(name: "host") {
            result.headers.replaceOrAdd(name: "x-forwarded-host", value: asked)
        }
        result.headers.replaceOrAdd(name: "x-forwarded-proto", value: "https")
        result.headers.replaceOrAdd(name: "x-forwarded-uri", value: prefix + path)
        if !request.remoteAddress.isEmpty {
            let seen = request.headers[canonicalForm: "x-forwarded-for"].map(String.init)
            result.headers.replaceOrAdd(
                name: "x-forwarded-for", value: (seen + [request.remoteAddress]).joined(separator: ", "))
        }
        return result
    }

    /// The headers of the target's answer as the client sees them: a redirect within the target stays within
    /// the proxy.
    package func answered(_ headers: HTTPHeaders, host: String, keepsUpgrade: Bool = false) -> HTTPHeaders {
        var result = Self.endToEnd(headers, keepsUpgrade: keepsUpgrade)
        guard let location = headers.first(name: "location") else { return result }
        var path = location
        for scheme in ["http://", "https://"] where location.hasPrefix(scheme + host) {
            path = String(location.dropFirst(scheme.count + host.count))
            if path.isEmpty { path = "/" }
        }
        if path.hasPrefix("/"), !path.hasPrefix("//") {
            result.replaceOrAdd(name: "location", value: prefix + path)
        }
        return result
    }

    /// Without what is between two neighbours only (RFC 9110, section 7.6.1).
    private static func endToEnd(_ headers: HTTPHeaders, keepsUpgrade: Bool) -> HTTPHeaders {
        var result = headers
        let named = headers[canonicalForm: "connection"].map { $0.lowercased() }
        let fixed = [
            "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
            "transfer-encoding",
        ]
        for name in fixed + named.filter({ $0 != "upgrade" }) { result.remove(name: name) }
        if !keepsUpgrade {
            result.remove(name: "connection")
            result.remove(name: "upgrade")
        }
        return result
    }
}
