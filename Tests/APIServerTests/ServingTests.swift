import APIServer
import CZlib
import HTTPService
import KubernetesAPI
import KubernetesJSON
import Synchronization
import Telemetry
import Testing

@Suite struct ServingTests {
    static let stranger = Peer.certificates([Array("CN/jane".utf8)])

    // MARK: Metrics

    @Test func requestsAreCounted() async throws {
        let api = try await Harness()
        _ = try await api.get(Harness.maps + "/none")
        _ = try await api.get(Harness.maps)
        _ = try await api.post(Harness.maps + "?dryRun=All", #"{"metadata":{"name":"a"}}"#)
        _ = try await api.get("/api/v1/namespaces/default/made-up/x")
        _ = try await api.get("//healthz")
        let reply = try await api.get("/metrics")
        #expect(reply.headers["content-type"] == ["text/plain; version=0.0.4; charset=utf-8"])
        let lines = reply.text.split(separator: "\n").map(String.init)
        let one =
            #"apiserver_request_total{verb="GET",dry_run="",group="",version="v1",resource="configmaps","#
            + #"subresource="",scope="resource",component="apiserver",code="404"} 1"#
        #expect(lines.contains(one))
        func has(_ parts: String...) -> Bool {
            lines.contains { line in parts.allSatisfy { line.contains($0) } }
        }
        #expect(has("apiserver_request_total", #"verb="LIST""#, #"scope="namespace""#, #"code="200""#))
        #expect(has("apiserver_request_total", #"verb="POST""#, #"dry_run="All""#, #"code="201""#))
        #expect(has("apiserver_request_duration_seconds_bucket", #"verb="LIST""#, #"le="0.005""#))
        #expect(has("apiserver_request_duration_seconds_bucket", #"le="60""#))
        #expect(has("apiserver_response_sizes_bucket", #"verb="LIST""#, #"le="1e+06""#))
        #expect(has(#"apiserver_storage_objects{resource="namespaces"} 4"#))
        #expect(has(#"apiserver_current_inflight_requests{request_kind="readOnly"} 1"#))
        #expect(has("etcd_request_duration_seconds_count", #"operation="create""#, #"resource="services""#))
        #expect(has("process_resident_memory_bytes "))
        #expect(has("kubernetes_build_info{", #"git_version="v1."#))
        // Strangers cannot make up series.
        #expect(!has("made-up"))
        #expect(has("apiserver_request_total", #"subresource="/healthz""#) && !has("//healthz"))
    }

    @Test func watchesAreCountedWhileTheyLast() async throws {
        let api = try await Harness()
        _ = try await api.post(Harness.maps, #"{"metadata":{"name":"a"}}"#)
        let response = await api.server.respond(
            to: api.request(.GET, Harness.maps + "?watch=true"))
        guard case .stream(let write) = response.body else {
            Issue.record("no stream")
            return
        }
        let sink = Sink()
        let watching = Task { try await write(sink) }
        await sink.waitForLines(1)
        let during = try await api.get("/metrics").text
        #expect(
            during.contains(
                #"apiserver_longrunning_requests{verb="WATCH",group="",version="v1",resource="configmaps","#
                    + #"subresource="",scope="namespace",component="apiserver"} 1"#))
        #expect(
            during.contains(
                #"apiserver_watch_events_total{group="",version="v1",resource="configmaps"} 1"#))
        watching.cancel()
        _ = await watching.result
        let after = try await api.get("/metrics").text
        #expect(after.contains(#"scope="namespace",component="apiserver"} 0"#))
        #expect(after.contains(#"apiserver_request_total{verb="WATCH""#))
    }

    // MARK: Turns and deadlines

    @Test func turns() {
        let limit = InFlightLimit(readOnly: 1, mutating: 1)
        var info = RequestInfo()
        info.verb = "get"
        let read = RequestClass(info)
        info.verb = "create"
        let write = RequestClass(info)
        #expect(limit.enter(read, isExempt: false) && limit.enter(write, isExempt: false))
        #expect(!limit.enter(read, isExempt: false) && !limit.enter(write, isExempt: false))
        #expect(limit.enter(read, isExempt: true))
        #expect(limit.readOnly == 2 && limit.mutating == 1)
        limit.leave(read)
        limit.leave(read)
        #expect(limit.enter(read, isExempt: false))
    }

    @Test func tooManyAtOnce() async throws {
        let api = try await Harness { $0.maximumRequestsInFlight = 0 }
        let refused = try await api.send(.GET, Harness.maps, peer: Self.stranger)
        #expect(refused.status == 429)
        #expect(refused.headers["retry-after"] == ["1"])
        #expect(refused.text == "Too many requests, please try again later.\n")
        // Administrators and probes come through, and what lasts as long as its client wants takes no turn.
        #expect(try await api.get(Harness.maps).status == 200)
        #expect(try await api.send(.GET, "/livez", peer: .anonymous).status == 200)
        let watch = await api.server.respond(
            to: api.request(.GET, Harness.maps + "?watch=true", peer: Self.stranger))
        #expect(watch.status.code != 429)
        #expect(
            try await api.get("/metrics").text.contains(
                #"apiserver_request_terminations_total{verb="LIST",group="",version="v1","#))
    }

    // What the harness makes for itself has to be done in time as well.
    @Test(arguments: [("", 3000), ("?timeout=20ms", 60_000)])
    func aRequestTakesNoLongerThanItMay(query: String, milliseconds: Int) async throws {
        let api = try await Harness { $0.requestTimeout = .milliseconds(milliseconds) }
        // A body that never ends: somebody who sends it a byte at a time is cut off like this, too.
        let (body, writer) = ByteStream.makePipe()
        var request = api.request(.POST, Harness.maps + query)
        request.body = .stream(body)
        let reply = try await api.read(await api.server.respond(to: request))
        writer.finish()
        #expect(reply.status == 504)
        #expect(reply.reason == "Timeout")
        #expect(reply.message == "Timeout: request did not complete within the allotted timeout")
    }

    @Test func timeoutsAreSpansOfTime() async throws {
        let api = try await Harness()
        let reply = try await api.get(Harness.maps + "?timeout=soon")
        #expect(reply.status == 400)
        #expect(
            reply.message
                == #"invalid timeout specified in the request URL - time: invalid duration "soon""#)
        #expect(
            try await api.get(Harness.maps + "?timeout=10").message.hasSuffix(
                #"missing unit in duration "10""#))
        #expect(try await api.get(Harness.maps + "?timeout=32s").status == 200)
        #expect(try RequestDeadline.limit(["timeout": "2h"], maximum: .seconds(60)) == .seconds(60))
        #expect(try RequestDeadline.limit(["timeout": "0s"], maximum: .seconds(60)) == .seconds(60))
        #expect(try RequestDeadline.limit(["timeout": "1.5s"], maximum: .seconds(60)) == .milliseconds(1500))
    }

    // MARK: Content

    @Test func largeAnswersAreCompressed() async throws {
        let api = try await Harness()
        let text = String(repeating: "swiftlet ", count: 4000)
        for index in 0..<5 {
            _ = try await api.post(
                Harness.maps, #"{"metadata":{"name":"m\#(index)"},"data":{"text":"\#(text)"}}"#)
        }
        let plain = try await api.get(Harness.maps)
        #expect(plain.headers["content-encoding"].isEmpty)
        let reply = try await api.send(.GET, Harness.maps, headers: ["accept-encoding": "deflate, gzip"])
        #expect(reply.headers["content-encoding"] == ["gzip"])
        #expect(reply.headers["vary"].contains("Accept-Encoding"))
        #expect(reply.bytes.count < plain.bytes.count / 10)
        #expect(try gunzip(reply.bytes) == plain.bytes)
        // Small ones are not worth it.
        let one = try await api.send(.GET, Harness.maps + "/m1", headers: ["accept-encoding": "gzip"])
        #expect(one.headers["content-encoding"].isEmpty)
        #expect(one.json["metadata"]?["name"] == "m1")
        #expect(reply.headers["cache-control"] == ["no-cache, private"])
    }

    @Test func bodiesHaveALimit() async throws {
        let api = try await Harness()
        let large =
            #"{"metadata":{"name":"x"},"data":{"a":""# + String(repeating: "x", count: 3 << 20) + #""}}"#
        let reply = try await api.post(Harness.maps, large)
        #expect(reply.status == 413)
        #expect(reply.reason == "RequestEntityTooLarge")
        #expect(reply.message == "Request entity too large: limit is 3145728")
    }

    @Test(arguments: ["[", "{\"a\":", "{\"data\":{\"a\":"])
    func deepNestingIsRefused(opening: String) async throws {
        let api = try await Harness()
        for type in ["application/json", "application/yaml"] {
            let body = String(repeating: opening, count: 100_000)
            let reply = try await api.send(
                .POST, Harness.maps, body, headers: ["content-type": type])
            #expect(reply.status == 400, "\(type): \(reply.message.prefix(200))")
        }
    }

    // MARK: Health and documents

    @Test func healthChecks() async throws {
        let api = try await Harness(prepared: false)
        let early = try await api.get("/readyz")
        #expect(early.status == 500)
        #expect(early.text.contains("[-]poststarthook/bootstrap-controller failed: reason withheld\n"))
        #expect(early.text.hasSuffix("readyz check failed\n"))
        let one = try await api.get("/readyz/poststarthook/bootstrap-controller")
        #expect(one.status == 500)
        #expect(one.text == "internal server error: what every cluster has is not made yet\n")
        #expect(
            try await api.get(
                "/readyz?exclude=poststarthook/bootstrap-controller&exclude=poststarthook/rbac/bootstrap-roles"
            ).text == "ok")
        try await api.server.prepare()
        #expect(try await api.get("/readyz").text == "ok")
        let verbose = try await api.get("/readyz?verbose&exclude=etcd&exclude=nonsense").text
        #expect(
            verbose == """
                [+]ping ok
                [+]etcd excluded: ok
                [+]etcd-readiness ok
                [+]poststarthook/bootstrap-controller ok
                [+]poststarthook/rbac/bootstrap-roles ok
                [+]shutdown ok
                warn: some health checks cannot be excluded: no matches for "nonsense"
                readyz check passed

                """)
        #expect(try await api.get("/livez/ping").text == "ok")
        #expect(try await api.get("/readyz/nonsense").status == 404)
        #expect(try await api.get("/livez/etcd-readiness").status == 404)

        let isSynced = Atomic(false)
        api.server.addReadinessCheck("informer-sync") {
            isSynced.load(ordering: .relaxed) ? nil : "3 informers not started yet"
        }
        #expect(try await api.get("/readyz").status == 500)
        #expect(try await api.get("/livez").status == 200)
        isSynced.store(true, ordering: .relaxed)
        #expect(try await api.get("/readyz").status == 200)

        api.server.beginShutdown()
        #expect(try await api.get("/readyz/shutdown").status == 500)
        #expect(try await api.get("/readyz").status == 500)
        #expect(try await api.get("/livez").status == 200)
        await api.store.close()
        #expect(try await api.get("/livez").text.contains("[-]etcd failed: reason withheld\n"))
        #expect(try await api.get("/livez?exclude=etcd").text == "ok")
    }

    @Test func documentsAreKept() async throws {
        let api = try await Harness()
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        let first = try await api.get("/apis", accept: accept)
        #expect(first.headers["cache-control"] == ["public"])
        let tag = try #require(first.headers["etag"].first)
        #expect(tag.count == 130)
        let again = try await api.send(.GET, "/apis", headers: ["accept": accept, "if-none-match": tag])
        #expect(again.status == 304 && again.bytes.isEmpty && again.headers["etag"] == [tag])
        let index = try await api.get("/openapi/v3")
        #expect(!index.headers["etag"].isEmpty)
        let path = try #require(index.json["paths"]?["apis/apps/v1"]?["serverRelativeURL"]?.stringValue)
        let moved = try await api.get("/openapi/v3/apis/apps/v1?hash=OLD")
        #expect(moved.status == 301 && moved.headers["location"] == [path])
        #expect(try await api.get(path, accept: "text/html").status == 406)
        let root = try await api.get("/").json["paths"]?.arrayValue?.compactMap(\.stringValue) ?? []
        #expect(root == root.sorted())
        for path in [
            "/api", "/apis/apps/v1", "/healthz/ping", "/livez/etcd", "/metrics", "/openapi/v2",
            "/openapi/v3/apis/apps/v1", "/readyz/shutdown", "/version", "/openid/v1/jwks",
        ] {
            #expect(root.contains(path))
            #expect(try await api.get(path).status == 200, "\(path)")
        }
    }

    @Test func issuerDiscovery() async throws {
        let api = try await Harness()
        let configuration = try await api.get("/.well-known/openid-configuration")
        #expect(configuration.headers["content-type"] == ["application/json"])
        #expect(configuration.headers["cache-control"] == ["public, max-age=3600"])
        #expect(configuration.json["issuer"] == "https://issuer")
        let keys = try await api.get("/openid/v1/jwks")
        #expect(keys.headers["content-type"] == ["application/jwk-set+json"])
        #expect(keys.json["keys"] == [])
    }
}

/// What a gzip file holds.
func gunzip(_ bytes: [UInt8]) throws -> [UInt8] {
    struct Bad: Error { let code: Int32 }
    var input = bytes
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    var stream = z_stream()
    guard swiftlet_gzip_inflate_init(&stream) == Z_OK else { throw Bad(code: Z_MEM_ERROR) }
    defer { inflateEnd(&stream) }
    try input.withUnsafeMutableBufferPointer { input in
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(input.count)
        var result = Z_OK
        while result == Z_OK {
            let count = buffer.count
            result = buffer.withUnsafeMutableBufferPointer { free in
                stream.next_out = free.baseAddress
                stream.avail_out = UInt32(count)
                return inflate(&stream, Z_NO_FLUSH)
            }
            output += buffer.prefix(count - Int(stream.avail_out))
        }
        guard result == Z_STREAM_END else { throw Bad(code: result) }
    }
    return output
}
