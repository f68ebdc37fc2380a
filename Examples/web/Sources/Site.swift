import NIOHTTP1

/// What the application answers, as a value.
struct Site: Sendable {
    var version: String
    var pod: String

    struct Page: Equatable {
        var status: HTTPResponseStatus
        var type: String
        var text: String
    }

    /// The delay that a target asks for, in milliseconds: what a slow page is to test with.
    func delay(_ target: String) -> Int64? {
        guard let query = target.split(separator: "?").dropFirst().first else { return nil }
        let wanted = query.split(separator: "&").first { $0.hasPrefix("delay=") }
        return wanted.flatMap { Int64($0.dropFirst(6)) }.map { min(max($0, 0), 10_000) }
    }

    func page(_ method: HTTPMethod, _ target: String) -> Page {
        guard method == .GET || method == .HEAD else {
            return Page(status: .methodNotAllowed, type: "text/plain", text: "only GET and HEAD\n")
        }
        switch target.prefix(while: { $0 != "?" }) {
        case "/api":
            return Page(
                status: .ok, type: "application/json",
                text: "{\"version\":\"\(version)\",\"pod\":\"\(pod)\"}\n")
        case "/healthz":
            return Page(status: .ok, type: "text/plain", text: "ok\n")
        case "/":
            return Page(
                status: .ok, type: "text/html; charset=utf-8",
                text: """
                    <!doctype html>
                    <title>web \(version)</title>
                    <h1>web \(version)</h1>
                    <p>Served by pod <code>\(pod)</code>. The same as JSON: <a href="/api">/api</a></p>

                    """)
        default:
            return Page(status: .notFound, type: "text/plain", text: "not found\n")
        }
    }
}
