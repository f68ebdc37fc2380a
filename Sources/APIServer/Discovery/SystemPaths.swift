import HTTPService
import KubernetesAPI
import KubernetesJSON

/// Paths outside the resources: discovery, version, health, documents.
struct SystemPaths: Sendable {
    let discovery: DiscoveryDocuments
    let documents: OpenAPIDocuments
    let health: @Sendable () -> [HealthCheck]
    let serverAddress: String

    /// - Returns: nil when the path is none of these.
    func respond(_ request: HTTPRequest, _ segments: [String], _ form: ResponseForm) -> HTTPResponse? {
        guard request.method == .GET || request.method == .HEAD else { return nil }
        let accept = request.headers.first(name: "accept")
        switch segments.first {
        case nil:
            let paths: JSONValue = ["paths": .array(discovery.paths.map { .string($0) })]
            return json(paths, form)
        case "api" where segments.count == 1:
            if let version = AggregatedAccept.version(accept) { return aggregated(core: true, version) }
            return json(discovery.coreVersions(serverAddress: serverAddress), form)
        case "api" where segments.count == 2:
            return discovery.resources(group: "", version: segments[1]).map { list in
                // The core group's list is older than the field, and upstream's still lacks it.
                var value = list.jsonValue
                value["apiVersion"] = nil
                return json(value, form)
            }
        case "apis" where segments.count == 1:
            if let version = AggregatedAccept.version(accept) { return aggregated(core: false, version) }
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

    private func aggregated(core: Bool, _ version: String) -> HTTPResponse {
        var value = discovery.aggregated(core: core).jsonValue
        value["apiVersion"] = .string("apidiscovery.k8s.io/\(version)")
        return HTTPResponse(
            headers: ["content-type": AggregatedAccept.contentType(version), "vary": "Accept"],
            body: .bytes(value.json()))
    }

    private func healthResponse(_ request: HTTPRequest, _ segments: [String]) -> HTTPResponse? {
        let checks = health()
        if segments.count == 2 {
            guard let check = checks.first(where: { $0.name == segments[1] }) else { return nil }
            return check.failure.map { HTTPResponse(status: .internalServerError, text: "\($0)\n") }
                ?? HTTPResponse(text: "ok")
        }
        guard segments.count == 1, let name = segments.first else { return nil }
        let excluded = Set(request.query.all("exclude"))
        let report = HealthReport(name: name, checks: checks, excluded: excluded)
        if report.isHealthy {
            return HTTPResponse(text: request.query.contains("verbose") ? report.text : "ok")
        }
        return HTTPResponse(status: .internalServerError, text: report.text)
    }
}

/// One thing that must be well for the server to be well.
package struct HealthCheck: Sendable, Hashable {
    package var name: String
    /// What is wrong, or nil.
    package var failure: String?

    package init(_ name: String, failure: String? = nil) {
        self.name = name
        self.failure = failure
    }
}

/// The text that `/healthz?verbose` shows.
package struct HealthReport: Sendable {
    package let isHealthy: Bool
    package let text: String

    package init(name: String, checks: [HealthCheck], excluded: Set<String> = []) {
        var text = ""
        var isHealthy = true
        for check in checks {
            if excluded.contains(check.name) {
                text += "[+]\(check.name) excluded: ok\n"
            } else if check.failure != nil {
                isHealthy = false
                text += "[-]\(check.name) failed: reason withheld\n"
            } else {
                text += "[+]\(check.name) ok\n"
            }
        }
        text += isHealthy ? "\(name) check passed\n" : "\(name) check failed\n"
        self.text = text
        self.isHealthy = isHealthy
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
