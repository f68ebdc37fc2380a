import HTTPService
import KubernetesAPI
import KubernetesJSON
import Synchronization

/// `/openapi/v2` and `/openapi/v3`, made of the schema when first asked for, each once.
package final class OpenAPIDocuments: Sendable {
    static let protobufV2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

    private let registry: Registry
    private let made = Mutex<[String: ServedDocument]>([:])

    package init(registry: Registry) { self.registry = registry }

    /// Answers a request below `/openapi`; nil when there is nothing at the path.
    func respond(_ request: HTTPRequest, _ segments: [String]) -> HTTPResponse? {
        switch segments.first {
        case "v2" where segments.count == 1:
            switch OpenAPIDocuments.version2(accept: request.headers.first(name: "accept") ?? "*/*") {
            case .json:
                return document("v2") { self.v2.json() }.response(
                    to: request, contentType: "application/json")
            case .protobuf:
                return document("v2.pb") { OpenAPIProtobuf.encode(self.v2) }.response(
                    to: request, contentType: "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
            case nil: return HTTPResponse(status: .notAcceptable)
            }
        case "v3" where segments.count == 1:
            return ServedDocument(index.json()).response(to: request, contentType: "application/json")
        case "v3":
            let path = segments.dropFirst().joined(separator: "/")
            guard let document = groupDocument(path) else { return nil }
            return versioned(document, "/openapi/v3/" + path, request)
        default:
            return nil
        }
    }

    private enum Encoding { case json, protobuf }

    /// Nil if the client takes neither.
    private static func version2(accept: String) -> Encoding? {
        for range in MediaType.ranges(accept: accept) {
            if range.subtype.hasPrefix("com.github.proto-openapi.spec.v2") { return .protobuf }
            if ["application/json", "*/*", "application/*"].contains(range.essence) { return .json }
        }
        return nil
    }

    /// A document whose address in the index names its hash: what is behind it never changes.
    private func versioned(
        _ document: ServedDocument, _ path: String, _ request: HTTPRequest
    ) -> HTTPResponse {
        let accept = request.headers.first(name: "accept") ?? "*/*"
        let types = ["application/json", "application/*", "*/*"]
        guard MediaType.ranges(accept: accept).contains(where: { types.contains($0.essence) }) else {
            return HTTPResponse(status: .notAcceptable)
        }
        guard let hash = request.query.first("hash"), !hash.isEmpty else {
            return document.response(to: request, contentType: "application/json")
        }
        guard hash == document.hash else {
            return HTTPResponse(
                status: .movedPermanently, headers: ["location": "\(path)?hash=\(document.hash)"])
        }
        var response = document.response(to: request, contentType: "application/json")
        response.headers.add(name: "cache-control", value: "public, immutable, max-age=31536000")
        return response
    }

    /// The paths of these documents.
    var paths: [String] {
        ["/openapi/v2", "/openapi/v3", "/openapi/v3/"]
            + registry.groups.flatMap { group in
                group.versions.map { "/openapi/v3/" + OpenAPIDocuments.path(group.name, $0.name) }
            }
    }

    /// A document that is made when it is asked for first.
    func document(_ name: String, _ make: () -> [UInt8]) -> ServedDocument {
        if let document = made.withLock({ $0[name] }) { return document }
        let document = ServedDocument(make())
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
    package func groupDocument(_ path: String) -> ServedDocument? {
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
