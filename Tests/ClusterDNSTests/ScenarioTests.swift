import ClusterDNS
import HostileInput
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import ScenarioFiles
import Testing
import Yams

/// Runs the scenarios of Tests/Scenarios/dns; their README describes the form.
@Suite struct ScenarioTests {
    private static let scenarios = ScenarioFiles("dns")

    static let files = scenarios.names

    @Test func thereAreScenarios() {
        #expect(Self.files.count >= 35)
    }

    @Test(arguments: files)
    func scenario(file: String) async throws {
        let text = try Self.scenarios.contents(of: file)
        let scenario = JSONValue(yaml: try #require(try Yams.compose(yaml: text)))
        try #require(scenario["rule"]?.stringValue?.isEmpty == false)
        let hostDomains = (scenario["nodeSearch"]?.arrayValue ?? []).compactMap(\.stringValue)
        var cluster = try Cluster(
            outside: scenario["outside"]?.arrayValue?.compactMap(\.stringValue),
            host: HostSearch(
                domains: hostDomains.map { try name($0) },
                since: (scenario["nodeSearchSince"]?.stringValue).flatMap { Time($0)?.seconds } ?? 0))
        let steps = try #require(scenario["steps"]?.arrayValue)
        for (index, step) in steps.enumerated() {
            for object in step["delete"]?.arrayValue ?? [] {
                try cluster.delete(#require(object.stringValue))
            }
            for object in step["apply"]?.arrayValue ?? [] {
                try cluster.apply(object)
            }
            let queries = try #require(step["queries"]?.arrayValue)
            for query in queries {
                try await cluster.check(query, "step \(index + 1)")
            }
        }
    }
}

/// The objects of a scenario, and the server that answers from them.
private struct Cluster {
    private let store: ZoneStore
    private let responder: Responder
    private var services: [String: Service] = [:]
    private var slices: [String: EndpointSlice] = [:]
    private var pods: [String: Pod] = [:]
    private let directory: PodStore
    /// What other servers know; nil: nobody asks them, only that they would be asked is looked at.
    private let outside: [ResourceRecord]?
    private var generator = SeededGenerator(seed: 1)

    init(outside: [String]?, host: HostSearch) throws {
        self.outside = try outside?.map { try Self.record($0) }
        directory = PodStore(PodDirectory(domain: try name("cluster.local")))
        directory.update { $0.host = host }
        store = ZoneStore(
            ClusterZone(domain: try name("cluster.local"), servers: [try address("10.96.0.10")]))
        let ranges = ["10.96.0.0/16", "10.244.0.0/16", "fd00:96::/108", "fd00:244::/56"]
        responder = Responder(
            chain: ResolverChain([
                ClusterResolver(store: store, timeToLive: 5),
                ReverseResolver(store: store, ranges: ranges.compactMap(AddressRange.init), timeToLive: 5),
            ]), completion: SearchPathCompletion(pods: directory, timeToLive: 5))
        store.update {
            $0.apply(.synced as InformerEvent<NamedNamespace>)
            $0.apply(.synced as InformerEvent<NamedService>)
            $0.apply(.synced as InformerEvent<NamedSlice>)
        }
    }

    mutating func apply(_ manifest: JSONValue) throws {
        let kind = try #require(manifest["kind"]?.stringValue)
        switch kind {
        case "Namespace":
            let event = InformerEvent.added(try Namespace(manifest))
            store.update { $0.apply(event.reduced() as InformerEvent<NamedNamespace>) }
        case "Service":
            let service = try Service(manifest)
            let old = services.updateValue(service, forKey: key(service.metadata))
            let event = old.map { InformerEvent.updated(old: $0, new: service) } ?? .added(service)
            store.update { $0.apply(event.reduced() as InformerEvent<NamedService>) }
        case "EndpointSlice":
            let slice = try EndpointSlice(manifest)
            let old = slices.updateValue(slice, forKey: key(slice.metadata))
            let event = old.map { InformerEvent.updated(old: $0, new: slice) } ?? .added(slice)
            store.update { $0.apply(event.reduced() as InformerEvent<NamedSlice>) }
        case "Pod":
            let pod = try Pod(manifest)
            let old = pods.updateValue(pod, forKey: key(pod.metadata))
            let event = old.map { InformerEvent.updated(old: $0, new: pod) } ?? .added(pod)
            directory.update { $0.apply(event.reduced() as InformerEvent<NamedPod>) }
        default:
            Issue.record("a scenario knows Namespace, Service, EndpointSlice and Pod, not \(kind)")
        }
    }

    mutating func delete(_ object: String) throws {
        let parts = object.split(separator: " ").map(String.init)
        try #require(parts.count == 2)
        switch parts[0] {
        case "Namespace":
            var removed = Namespace()
            removed.metadata.name = parts[1]
            let event = InformerEvent.deleted(removed)
            store.update { $0.apply(event.reduced() as InformerEvent<NamedNamespace>) }
        case "Service":
            let removed = services.removeValue(forKey: parts[1])
            let event = InformerEvent.deleted(try #require(removed))
            store.update { $0.apply(event.reduced() as InformerEvent<NamedService>) }
        case "EndpointSlice":
            let removed = slices.removeValue(forKey: parts[1])
            let event = InformerEvent.deleted(try #require(removed))
            store.update { $0.apply(event.reduced() as InformerEvent<NamedSlice>) }
        default:
            let removed = pods.removeValue(forKey: parts[1])
            let event = InformerEvent.deleted(try #require(removed))
            directory.update { $0.apply(event.reduced() as InformerEvent<NamedPod>) }
        }
    }

    private func key(_ metadata: ObjectMeta) -> String { "\(metadata.namespace)/\(metadata.name)" }

    /// `NAME TYPE CONTENT`, of the types that other servers have in scenarios.
    private static func record(_ text: String) throws -> ResourceRecord {
        let words = text.split(separator: " ").map(String.init)
        try #require(words.count == 3)
        let data: RecordData =
            words[1] == "CNAME" ? .cname(try name(words[2])) : .address(try address(words[2]))
        try #require(data.type.description == words[1])
        return ResourceRecord(name: try name(words[0]), timeToLive: 60, data: data)
    }

    private static func answer(_ question: Question, from records: [ResourceRecord]) -> Answer {
        var name = question.name
        var answers: [ResourceRecord] = []
        while let alias = records.first(where: { $0.name == name && $0.type == .cname }),
            case .cname(let target) = alias.data
        {
            answers.append(alias)
            name = target
        }
        guard records.contains(where: { $0.name == name }) else {
            return Answer(code: .nameError, answers: answers)
        }
        answers += records.filter { $0.name == name && $0.type == question.type }
        return Answer(answers: answers)
    }

    mutating func check(_ expected: JSONValue, _ step: String) async throws {
        let ask = try #require(expected["ask"]?.stringValue)
        let words = ask.split(separator: " ").map(String.init)
        try #require(words.count == 2)
        let type = try #require(RecordType(words[1]))
        let client = try (expected["from"]?.stringValue).map { try address($0) }
        let code = expected["code"]?.stringValue ?? "NOERROR"
        let comment = Comment(rawValue: "\(step): \(ask)")
        let query = try query(words[0], type, id: 4711)
        switch responder.respond(to: query.message(), over: .datagram, from: client, using: &generator) {
        case .ignore: Issue.record(comment)
        case .later(let pending):
            guard code != "FORWARD" else { return }
            guard let outside else {
                Issue.record("\(comment) is forwarded")
                return
            }
            let reply = await pending.reply { Self.answer($0, from: outside) }
            try check(reply.bytes, query, code, expected, comment, isOurs: false)
        case .reply(let reply):
            try check(reply.bytes, query, code, expected, comment, isOurs: true)
        }
    }

    private func check(
        _ bytes: [UInt8], _ query: Query, _ code: String, _ expected: JSONValue, _ comment: Comment,
        isOurs: Bool
    ) throws {
        let response = try Response(reading: bytes)
        #expect(response.id == 4711, comment)
        #expect(response.question == query.question, comment)
        #expect(response.answer.code.description == code, comment)
        func compare(_ section: String, _ records: [ResourceRecord], isDefaultEmpty: Bool) {
            guard expected[section] != nil || isDefaultEmpty else { return }
            let wanted = (expected[section]?.arrayValue ?? []).compactMap(\.stringValue)
            #expect(records.map(\.text).sorted() == wanted.sorted(), comment)
        }
        compare("answers", response.answer.answers, isDefaultEmpty: true)
        compare("authority", response.answer.authority, isDefaultEmpty: false)
        compare("additional", response.answer.additional, isDefaultEmpty: false)
        if isOurs, code != "SERVFAIL" { #expect(response.answer.isAuthoritative, comment) }
    }
}
