import KubernetesAPI
import KubernetesJSON
import ObjectStore

/// Where a list that was cut at `limit` goes on: opaque to clients, upstream's form
/// (base64url of `{"v":"meta.k8s.io/v1","rv":…,"start":"…"}`).
package struct ContinueToken: Sendable, Hashable {
    /// The revision of the first page; nil in a token that gives up consistency.
    package var revision: Revision?
    package var namespace: String
    package var name: String

    package init(revision: Revision?, namespace: String, name: String) {
        self.revision = revision
        self.namespace = namespace
        self.name = name
    }

    package var encoded: String {
        let value: JSONValue = [
            "v": "meta.k8s.io/v1", "rv": .integer(revision.map { Int64(clamping: $0) } ?? -1),
            "start": .string("\(namespace)/\(name)\u{0}"),
        ]
        return Base64URL.encode(value.json())
    }

    package init(decoding text: String) throws(APIError) {
        func bad(_ why: String) -> APIError { .badRequest("continue key is not valid: \(why)") }
        guard
            text.utf8.count < 4096, let bytes = Base64URL.decode(text),
            let value = try? JSONValue(json: bytes)
        else { throw bad("it is not a token of this server") }
        guard value["v"]?.stringValue == "meta.k8s.io/v1" else {
            throw bad("server does not recognize this encoded version")
        }
        guard let rv = value["rv"]?.integerValue, rv != 0 else {
            throw bad("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
        }
        guard let start = value["start"]?.stringValue, !start.isEmpty else {
            throw bad("encoded start key empty (version meta.k8s.io/v1)")
        }
        let key = start.hasSuffix("\u{0}") ? String(start.dropLast()) : start
        let parts = key.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw bad("invalid encoded start key") }
        revision = rv > 0 ? Revision(rv) : nil
        namespace = String(parts[0])
        name = String(parts[1])
    }
}
