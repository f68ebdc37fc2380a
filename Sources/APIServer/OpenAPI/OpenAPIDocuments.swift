import Crypto
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Synchronization

/// `/openapi/v2` and `/openapi/v3`, made of the schema when first asked for, each once.
package final class OpenAPIDocuments: Sendable {
    /// A document that is ready to be sent.
    package struct Document: Sendable {
        package let bytes: [UInt8]
        /// Changes when the bytes do.
        package let hash: String

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            let digits = Array("0123456789ABCDEF")
            var text = ""
            for byte in SHA256.hash(data: bytes) {
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
            hash = text
        }
    }

    static let protobufV2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

    private let registry: Registry
    private let made = Mutex<[String: Document]>([:])

    package init(registry: Registry) { self.registry = registry }

    /// Answers a request below `/openapi`; nil when there is nothing at the path.
    func respond(_ request: HTTPRequest, _ segments: [String]) -> HTTPResponse? {
        switch segments.first {
        case "v2" where segments.count == 1:
            let accept = request.headers.first(name: "accept") ?? ""
            if OpenAPIDocuments.prefersProtobuf(accept) {
                return send(
                    document("v2.pb") { OpenAPIProtobuf.encode(self.v2) }, request,
                    type: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
            }
            return send(document("v2") { self.v2.json() }, request, type: "application/json")
        case "v3" where segments.count == 1:
            return HTTPResponse(contentType: "application/json", index.json())
        case "v3":
            guard let document = groupDocument(segments.dropFirst().joined(separator: "/")) else {
                return nil
            }
            return send(document, request, type: "application/json")
        default:
            return nil
        }
    }

    private static func prefersProtobuf(_ accept: String) -> Bool {
        for range in MediaType.ranges(accept: accept) {
            if range.subtype.hasPrefix("com.github.proto-openapi.spec.v2") { return true }
            if ["application/json", "*/*", "application/*"].contains(range.essence) { return false }
        }
        return false
    }

    private func send(_ document: Document, _ request: HTTPRequest, type: String) -> HTTPResponse {
        let tag = "\"\(document.hash)\""
        if request.headers["if-none-match"].contains(tag) {
            return HTTPResponse(status: .notModified, headers: ["etag": tag])
        }
        var headers: HTTPHeaders = ["content-type": type, "etag": tag, "vary": "Accept"]
        if request.query.first("hash") == document.hash {
            // The index names the hash, so what is behind it never changes.
            headers.add(name: "cache-control", value: "public, immutable, max-age=31536000")
        }
        return HTTPResponse(headers: headers, body: .bytes(document.bytes))
    }

    private func document(_ name: String, _ make: () -> [UInt8]) -> Document {
        if let document = made.withLock({ $0[name] }) { return document }
        let document = Document(make())
        // Two that made it at once made the same.
        made.withLock { $0[name] = document }
        return document
    }

    // MARK: Version 3

    private static func path(_ group: String, _ version: String) -> String {
        group.isEmpty ? "api/\(version)" : "apis/\(group)/\(version)"
    }

    /// `/openapi/v3`: where the groups' documents are.
    package var index: JSONValue {
        var paths = JSONObject()
        for group in registry.groups {
            for version in group.versions {
                let path = OpenAPIDocuments.path(group.name, version.name)
                guard let document = groupDocument(path) else { continue }
                paths[path] = [
                    "serverRelativeURL": .string("/openapi/v3/\(path)?hash=\(document.hash)")
                ]
            }
        }
        return ["paths": .object(paths)]
    }

    /// The document of a group and version, by its path.
    package func groupDocument(_ path: String) -> Document? {
        for group in registry.groups {
            for version in group.versions where OpenAPIDocuments.path(group.name, version.name) == path {
                return document("v3/" + path) {
                    let value: JSONValue = [
                        "openapi": "3.0.0",
                        "info": ["title": "Kubernetes", "version": .string(ServerVersion.gitVersion)],
                        "paths": .object(PathDocument(.v3).paths(version, group: group.name)),
                        "components": [
                            "schemas": .object(
                                SchemaDocument(.v3).definitions(
                                    roots: OpenAPIDocuments.roots(group.name, version)))
                        ],
                    ]
                    return value.json()
                }
            }
        }
        return nil
    }

    /// The types that the paths of a group and version speak of.
    private static func roots(_ group: String, _ version: Registry.Version) -> [String] {
        var kinds: [(String, String, String)] = []
        for resource in version.resources {
            kinds.append((resource.kind.group, resource.kind.version, resource.kind.kind))
            kinds.append((resource.kind.group, resource.kind.version, resource.kind.listKind))
            for subresource in resource.subresources {
                kinds.append(
                    (
                        subresource.group ?? resource.kind.group,
                        subresource.version ?? resource.kind.version, subresource.kind
                    ))
            }
        }
        for review in version.reviews {
            kinds.append((review.kind.group, review.kind.version, review.kind.kind))
        }
        return ["Status", "DeleteOptions", "WatchEvent"]
            + kinds.compactMap { SchemaRegistry.shared.type(group: $0, version: $1, kind: $2)?.name }
    }

    // MARK: Version 2

    /// `/openapi/v2`.
    package var v2: JSONValue {
        var paths = JSONObject()
        var roots: [String] = []
        for group in registry.groups {
            for version in group.versions {
                for (path, item) in PathDocument(.v2).paths(version, group: group.name) { paths[path] = item }
                roots += OpenAPIDocuments.roots(group.name, version)
            }
        }
        return [
            "swagger": "2.0",
            "info": ["title": "Kubernetes", "version": .string(ServerVersion.gitVersion)],
            "paths": .object(paths),
            "definitions": .object(SchemaDocument(.v2).definitions(roots: roots)),
        ]
    }
}
