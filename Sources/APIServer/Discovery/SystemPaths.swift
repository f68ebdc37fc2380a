import HTTPService
import KubernetesAPI
import KubernetesJSON
import Telemetry

/// Paths outside the resources: discovery, version, health, documents.
struct SystemPaths: Sendable {
    let discovery: DiscoveryDocuments
    let documents: OpenAPIDocuments
    let health: HealthChecks
    let issuer: IssuerDocuments?
    let metrics: MetricRegistry
    let serverAddress: String

    /// - Returns: nil when the path is none of these.
    func respond(_ request: HTTPRequest, _ segments: [String], _ form: ResponseForm) -> HTTPResponse? {
        guard request.method == .GET || request.method == .HEAD else { return nil }
        let accept = request.headers.first(name: "accept")
        switch segments.first {
        case nil:
            let paths: JSONValue = ["paths": .array(paths.map { .string($0) })]
            return HTTPResponse(contentType: "application/json", PrettyJSON.indent(paths.json()))
        case "api" where segments.count == 1:
            if let version = AggregatedAccept.version(accept) {
                return aggregated(core: true, version, request)
            }
            return json(discovery.coreVersions(serverAddress: serverAddress), form)
        case "api" where segments.count == 2:
            return discovery.resources(group: "", version: segments[1]).map { list in
                // The core group's list is older than the field, and upstream's still lacks it.
                var value = list.jsonValue
                value["apiVersion"] = nil
                return json(value, form)
            }
        case "apis" where segments.count == 1:
            if let version = AggregatedAccept.version(accept) {
                return aggregated(core: false, version, request)
            }
            return json(discovery.groups, form)
        case "apis" where segments.count == 2:
            return discovery.group(named: segments[1]).map { json($0, form) }
        case "apis" where segments.count == 3:
            return discovery.resources(group: segments[1], version: segments[2]).map { json($0, form) }
        case "version" where segments.count == 1:
            return HTTPResponse(
                contentType: "application/json", PrettyJSON.indent(ServerVersion.document.json()))
        case "healthz", "livez", "readyz":
            return healthResponse(request, segments)
        case "metrics" where segments.count == 1:
            return HTTPResponse(contentType: MetricText.contentType, Array(metrics.text().utf8))
        case ".well-known" where segments == [".well-known", "openid-configuration"]:
            return issuer.map { openID($0.configuration, "application/json") }
        case "openid" where segments == ["openid", "v1", "jwks"]:
            return issuer.map { openID($0.keySet, "application/jwk-set+json") }
        case "openapi":
            return documents.respond(request, Array(segments.dropFirst()))
        default:
            return nil
        }
    }

    private func json(_ value: some JSONCodable, _ form: ResponseForm) -> HTTPResponse {
        var bytes = value.json()
        if form.isPretty { bytes = PrettyJSON.indent(bytes) }
        bytes.append(UInt8(ascii: "\n"))
        return HTTPResponse(
            headers: ["content-type": "application/json", "vary": "Accept"], body: .bytes(bytes))
    }

    private func aggregated(core: Bool, _ version: String, _ request: HTTPRequest) -> HTTPResponse {
        let document = documents.document("discovery/\(core)/\(version)") {
            var value = discovery.aggregated(core: core).jsonValue
            value["apiVersion"] = .string("apidiscovery.k8s.io/\(version)")
            return value.json()
        }
        var response = document.response(to: request, contentType: AggregatedAccept.contentType(version))
        response.headers.add(name: "cache-control", value: "public")
        return response
    }

    /// Keys change seldom, and those who check tokens ask often.
    private func openID(_ document: [UInt8], _ type: String) -> HTTPResponse {
        HTTPResponse(
            headers: ["content-type": type, "cache-control": "public, max-age=3600"],
            body: .bytes(document))
    }

    /// The paths that `/` names.
    private var paths: [String] {
        var paths = discovery.paths + documents.paths + ["/metrics", "/version"]
        if issuer != nil { paths += ["/.well-known/openid-configuration", "/openid/v1/jwks"] }
        for endpoint in HealthChecks.Endpoint.allCases {
            paths.append("/\(endpoint.rawValue)")
            paths += health.results(endpoint).map { "/\(endpoint.rawValue)/\($0.name)" }
        }
        return paths.sorted()
    }

    private func healthResponse(_ request: HTTPRequest, _ segments: [String]) -> HTTPResponse? {
        guard let endpoint = segments.first.flatMap({ HealthChecks.Endpoint(rawValue: $0) }) else {
            return nil
        }
        let results = health.results(endpoint)
        if segments.count > 1 {
            let name = segments.dropFirst().joined(separator: "/")
            guard let result = results.first(where: { $0.name == name }) else { return nil }
            guard let failure = result.failure else { return HTTPResponse(text: "ok") }
            return HTTPResponse(status: .internalServerError, text: "internal server error: \(failure)\n")
        }
        let report = HealthReport(
            name: endpoint.rawValue, checks: results, excluded: Set(request.query.all("exclude")))
        let isVerbose = !report.isHealthy || request.query.contains("verbose")
        var response = HTTPResponse(
            status: report.isHealthy ? .ok : .internalServerError, text: isVerbose ? report.text : "ok")
        response.headers.add(name: "x-content-type-options", value: "nosniff")
        return response
    }
}

/// What the server says of its version: the Kubernetes version whose API it speaks.
package enum ServerVersion {
    /// `v1.35.0`, with what kubectl's version skew check reads.
    package static let gitVersion = "v1.35.0"

    package static let document: JSONValue = [
        "major": "1", "minor": "35", "emulationMajor": "1", "emulationMinor": "35",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "34", "gitVersion": .string(gitVersion),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "swift", "platform": .string(platform),
    ]

    private static var platform: String {
        #if arch(arm64)
            "linux/arm64"
        #else
            "linux/amd64"
        #endif
    }
}
