import APIServer
import HTTPService
import KubernetesAPI
import KubernetesJSON
import ObjectStore
import Testing

@Suite struct ListAndWatchTests {
    func seed(_ api: Harness, _ count: Int) async throws {
        for index in 0..<count {
            let parity = index % 2 == 0 ? "even" : "odd"
            _ = try await api.post(
                Harness.maps,
                #"{"metadata":{"name":"m\#(index)","labels":{"parity":"\#(parity)"}}}"#)
        }
    }

    @Test func pagesAreOneSnapshot() async throws {
        let api = try await Harness()
        try await seed(api, 5)
        let first = try await api.get(Harness.maps + "?limit=2")
        let metadata = try #require(first.json["metadata"])
        #expect(metadata["remainingItemCount"] == 3)
        let token = try #require(metadata["continue"]?.stringValue)
        _ = try await api.delete(Harness.maps + "/m4")
        let second = try await api.get(Harness.maps + "?limit=2&continue=\(token)")
        #expect(second.json["metadata"]?["resourceVersion"] == metadata["resourceVersion"])
        let next = try #require(second.json["metadata"]?["continue"]?.stringValue)
        let third = try await api.get(Harness.maps + "?limit=2&continue=\(next)")
        #expect(third.json["items"]?.arrayValue?.map { $0["metadata"]?["name"] } == ["m4"])
        #expect(third.json["metadata"]?["continue"] == nil)
    }

    @Test func expiredTokensOfferAnother() async throws {
        let api = try await Harness()
        try await seed(api, 3)
        let first = try await api.get(Harness.maps + "?limit=1")
        let token = try #require(first.json["metadata"]?["continue"]?.stringValue)
        _ = try await api.delete(Harness.maps + "/m2")
        api.store.compact(before: api.store.revision)
        let second = try await api.get(Harness.maps + "?limit=1&continue=\(token)")
        #expect(second.status == 410)
        #expect(second.reason == "Expired")
        let again = try #require(second.json["metadata"]?["continue"]?.stringValue)
        let third = try await api.get(Harness.maps + "?continue=\(again)")
        #expect(third.json["items"]?.arrayValue?.map { $0["metadata"]?["name"] } == ["m1"])
    }

    @Test func selectors() async throws {
        let api = try await Harness()
        try await seed(api, 6)
        let even = try await api.get(Harness.maps + "?labelSelector=parity+in+(even),!nope&limit=2")
        #expect(even.json["items"]?.arrayValue?.map { $0["metadata"]?["name"] } == ["m0", "m2"])
        let one = try await api.get(Harness.maps + "?fieldSelector=metadata.name%3Dm3")
        #expect(one.json["items"]?.arrayValue?.count == 1)
        let bad = try await api.get(Harness.maps + "?labelSelector=a%3Db%3Dc")
        #expect(bad.status == 400)
        #expect(bad.message == "found '=', expected: ',' or 'end of string'")
        let unknown = try await api.get(Harness.pods + "?fieldSelector=spec.foo%3Dbar")
        #expect(unknown.status == 400)
        #expect(unknown.message == "field label not supported: spec.foo")
    }

    @Test func resourceVersions() async throws {
        let api = try await Harness()
        try await seed(api, 2)
        let bad = try await api.get(Harness.maps + "?resourceVersion=abc")
        #expect(
            bad.message
                == #"invalid resource version: resourceVersion: Invalid value: "abc": "#
                + #"strconv.ParseUint: parsing "abc": invalid syntax"#)
        let future = try await api.get(Harness.maps + "?resourceVersion=999999")
        #expect(future.status == 504)
        #expect(future.json["details"]?["causes"]?[0]?["reason"] == "ResourceVersionTooLarge")
        let list = try await api.get(Harness.maps)
        let version = try #require(list.json["metadata"]?["resourceVersion"]?.stringValue)
        _ = try await api.delete(Harness.maps + "/m0")
        let exact = try await api.get(
            Harness.maps + "?resourceVersion=\(version)&resourceVersionMatch=Exact")
        #expect(exact.json["items"]?.arrayValue?.count == 2)
        let newer = try await api.get(Harness.maps + "?resourceVersion=\(version)")
        #expect(newer.json["items"]?.arrayValue?.count == 1)
        // With a limit the revision is meant exactly, unless it is said otherwise.
        let page = try await api.get(Harness.maps + "?resourceVersion=\(version)&limit=10")
        #expect(page.json["items"]?.arrayValue?.count == 2)
        let any = try await api.get(
            Harness.maps + "?resourceVersion=\(version)&limit=10&resourceVersionMatch=NotOlderThan")
        #expect(any.json["items"]?.arrayValue?.count == 1)
        let one = try await api.get(Harness.maps + "/m1?resourceVersion=999999")
        #expect(one.status == 504)
    }

    /// The combinations that make no sense, and what upstream says of them.
    @Test(arguments: [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            #"resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0""#
        ),
        (
            "resourceVersionMatch=Some&resourceVersion=1",
            #"resourceVersionMatch: Unsupported value: "Some": supported values: "Exact", "NotOlderThan", """#
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=1&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        ),
        (
            "watch=1&sendInitialEvents=false&resourceVersionMatch=Exact",
            "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, "
                + #"resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]"#
        ),
    ])
    func badCombinations(_ query: String, _ message: String) async throws {
        let api = try await Harness(prepared: false)
        let reply = try await api.get(Harness.maps + "?" + query)
        #expect(reply.status == 422)
        #expect(reply.message == #"ListOptions.meta.k8s.io "" is invalid: "# + message)
    }

    @Test func badParameters() async throws {
        let api = try await Harness(prepared: false)
        let token = try await api.get(Harness.maps + "?continue=nonsense")
        #expect(token.status == 400)
        #expect(token.message.hasPrefix("invalid continue token: continue key is not valid"))
        let valid = ContinueToken(revision: 1, namespace: "default", name: "a").encoded
        let both = try await api.get(Harness.maps + "?resourceVersion=1&continue=\(valid)")
        #expect(both.message == "specifying resource version is not allowed when using continue")
        let limit = try await api.get(Harness.maps + "?limit=ten")
        #expect(limit.message == #"strconv.ParseInt: parsing "ten": invalid syntax"#)
        let field = try await api.get(Harness.maps + "?fieldSelector=spec.foo%3Dbar")
        #expect(
            field.message
                == #""spec.foo" is not a known field selector: only "metadata.name", "metadata.namespace""#)
        let selector = try await api.get(Harness.maps + "?fieldSelector=foo")
        #expect(selector.message == "invalid selector: 'foo'; can't understand 'foo'")
    }

    /// Runs a watch while `act` acts, until so many lines came.
    func watch(
        _ api: Harness, _ target: String, lines: Int, accept: String? = nil,
        _ act: () async throws -> Void = {}
    ) async throws -> [JSONValue] {
        let request = HTTPRequest(target: target, headers: accept.map { ["accept": $0] } ?? [:])
        var asked = request
        asked.peer = .inProcess(user: "admin", groups: ["system:masters"])
        let response = await api.server.respond(to: asked)
        guard case .stream(let write) = response.body else {
            Issue.record("no stream: \(response.status)")
            return []
        }
        let sink = Sink()
        let task = Task { try await write(sink) }
        try await act()
        await sink.waitForLines(lines)
        task.cancel()
        _ = try? await task.value
        return await sink.lines
    }

    @Test func watchFromNowAndFromARevision() async throws {
        let api = try await Harness()
        try await seed(api, 2)
        let version = api.store.revision
        let lines = try await watch(api, Harness.maps + "?watch=true", lines: 4) {
            _ = try await api.post(Harness.maps, #"{"metadata":{"name":"new"}}"#)
            _ = try await api.delete(Harness.maps + "/new")
        }
        #expect(lines.map { $0["type"] } == ["ADDED", "ADDED", "ADDED", "DELETED"])
        let deleted = lines.last?["object"]
        #expect(deleted?["metadata"]?["resourceVersion"] == .string("\(api.store.revision)"))
        let resumed = try await watch(
            api, Harness.maps + "?watch=true&resourceVersion=\(version)", lines: 2)
        #expect(resumed.map { $0["type"] } == ["ADDED", "DELETED"])
    }

    @Test func watchesInOtherForms() async throws {
        let api = try await Harness()
        let target = Harness.maps + "?watch=true&timeoutSeconds=-1"
        let yaml = try await api.get(target, accept: "application/yaml")
        #expect(yaml.status == 406)
        #expect(yaml.text.contains("application/json;stream=watch"))
        let protobuf = try await api.get(target, accept: "application/vnd.kubernetes.protobuf;stream=watch")
        #expect(protobuf.headers["content-type"] == ["application/vnd.kubernetes.protobuf;stream=watch"])
        let both = try await api.get(
            target, accept: "application/vnd.kubernetes.protobuf;stream=watch,application/json")
        #expect(both.headers["content-type"] == ["application/json"])
    }

    @Test func framesOfAWatch() throws {
        let map = ConfigMap(metadata: ObjectMeta(name: "a", namespace: "b"), data: ["k": "v"])
        var bytes: [UInt8] = []
        for line in [WatchLine(.added, map.json()), WatchLine(.modified, Array("{}".utf8))] {
            line.appendFrame(to: &bytes)
        }
        var events: [(type: String, kind: String?)] = []
        var rest = bytes[...]
        while rest.count > 4 {
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            var event = ProtobufReader(Array(rest.dropFirst(4).prefix(length)))
            rest = rest.dropFirst(4 + length)
            var type = ""
            var object: [UInt8] = []
            while let field = try event.nextField() {
                if field.number == 1 {
                    type = try event.string()
                } else {
                    var raw = try event.message()
                    #expect(try raw.nextField()?.number == 1)
                    object = try raw.data()
                }
            }
            events.append((type, try ProtobufTranscoder.envelope(object).kind))
        }
        #expect(rest.isEmpty)
        #expect(events.map(\.type) == ["ADDED", "ERROR"])
        #expect(events.map(\.kind) == ["ConfigMap", "Status"])
    }

    @Test func aWatchWithoutTimeEndsAtOnce() async throws {
        let api = try await Harness()
        let reply = try await api.get("/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=-1")
        #expect(reply.status == 200)
    }

    @Test func selectorTransitions() async throws {
        let api = try await Harness()
        try await seed(api, 1)
        let target = Harness.maps + "?watch=true&labelSelector=parity%3Deven"
        let lines = try await watch(api, target, lines: 4) {
            let path = Harness.maps + "/m0"
            _ = try await api.patch(path, #"{"data":{"k":"v"}}"#)
            _ = try await api.patch(path, #"{"metadata":{"labels":{"parity":"odd"}}}"#)
            _ = try await api.patch(path, #"{"metadata":{"labels":{"parity":"even"}}}"#)
        }
        #expect(lines.map { $0["type"] } == ["ADDED", "MODIFIED", "DELETED", "ADDED"])
        // The state that matched, at the revision at which it ceased to.
        #expect(lines[2]["object"]?["metadata"]?["labels"]?["parity"] == "even")
    }

    @Test func initialEventsAndBookmarks() async throws {
        let api = try await Harness()
        try await seed(api, 1)
        let target =
            Harness.maps
            + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        let lines = try await watch(api, target, lines: 2)
        #expect(lines.map { $0["type"] } == ["ADDED", "BOOKMARK"])
        let mark = lines.last?["object"]
        #expect(mark?["metadata"]?["annotations"]?["k8s.io/initial-events-end"] == "true")
        #expect(mark?["kind"] == "ConfigMap")
        #expect(try await api.get(Harness.maps + "?watch=true&sendInitialEvents=true").status == 422)
    }

    @Test func namedWatchesShowOneObject() async throws {
        let api = try await Harness()
        try await seed(api, 3)
        let path = "/api/v1/watch/namespaces/default/configmaps/m1"
        let lines = try await watch(api, path, lines: 2) {
            _ = try await api.delete(Harness.maps + "/m0")
            _ = try await api.delete(Harness.maps + "/m1")
        }
        #expect(lines.map { $0["object"]?["metadata"]?["name"] } == ["m1", "m1"])
        let other = try await api.get(path + "?fieldSelector=metadata.namespace%3Ddefault")
        #expect(other.status == 400)
        #expect(other.message == "fieldSelector metadata.name doesn't match requested name")
    }

    @Test func bookmarksComeEveryMinuteAndBeforeTheEnd() async throws {
        #expect(WatchPacing.pause(left: .seconds(1800)) == .seconds(60))
        #expect(WatchPacing.pause(left: .seconds(62)) == .seconds(60))
        #expect(WatchPacing.pause(left: .seconds(30)) == .seconds(28))
        #expect(WatchPacing.pause(left: .seconds(2)) == .seconds(2))
        let api = try await Harness()
        try await seed(api, 1)
        // The whole watch: it ends by itself, two seconds after its last bookmark.
        let reply = try await api.get(
            Harness.maps + "?watch=true&allowWatchBookmarks=true&timeoutSeconds=3")
        let lines = reply.bytes.split(separator: UInt8(ascii: "\n")).compactMap {
            try? JSONValue(json: Array($0))
        }
        #expect(lines.map { $0["type"] } == ["ADDED", "BOOKMARK"])
        #expect(
            lines.last?["object"]?["metadata"]?["resourceVersion"] == .string("\(api.store.revision)"))
    }

    @Test func bookmarksTellOfProgressElsewhere() async throws {
        let api = try await Harness()
        let version = api.store.revision
        let target = Harness.maps + "?watch=true&allowWatchBookmarks=true&resourceVersion=\(version)"
        let lines = try await watch(api, target, lines: 1) {
            _ = try await api.post("/api/v1/namespaces", #"{"metadata":{"name":"elsewhere"}}"#)
            // Only watchers that wait are told.
            while api.store.idleWatchers == 0 { await Task.yield() }
            api.store.announceProgress()
        }
        #expect(lines.first?["type"] == "BOOKMARK")
        #expect(lines.first?["object"]?["metadata"]?["resourceVersion"] == .string("\(api.store.revision)"))
    }

    @Test func tooOldRevisionsEndWithGone() async throws {
        let api = try await Harness()
        try await seed(api, 3)
        api.store.compact(before: api.store.revision)
        let reply = try await api.get(Harness.maps + "?watch=true&resourceVersion=1")
        #expect(reply.status == 200)
        let line = try JSONValue(json: Array(reply.text.utf8.dropLast()))
        #expect(line["type"] == "ERROR")
        #expect(line["object"]?["code"] == 410)
        #expect(line["object"]?["reason"] == "Expired")
    }

    @Test func tablesInWatches() async throws {
        let api = try await Harness()
        try await seed(api, 2)
        let lines = try await watch(
            api, Harness.maps + "?watch=true", lines: 2,
            accept: "application/json;as=Table;v=v1;g=meta.k8s.io")
        #expect(lines[0]["object"]?["kind"] == "Table")
        #expect(lines[0]["object"]?["columnDefinitions"]?.arrayValue?.count == 3)
        #expect(lines[1]["object"]?["columnDefinitions"] == .null)
        #expect(lines[1]["object"]?["rows"]?[0]?["cells"]?[0] == "m1")
    }

    @Test func continueTokensSurviveMutilation() {
        let token = ContinueToken(revision: 42, namespace: "ns", name: "a/b").encoded
        #expect(throws: Never.self) { try ContinueToken(decoding: token) }
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<5000 {
            var bytes = Array(token.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                bytes[index] = UInt8.random(in: 0...255, using: &generator)
            }
            // Any outcome but a crash is fine; what is taken must be whole.
            if let taken = try? ContinueToken(decoding: String(decoding: bytes, as: UTF8.self)) {
                #expect(taken.revision != 0)
            }
        }
    }
}

/// Numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
