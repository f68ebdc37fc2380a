import ClusterDNS
import KubernetesAPI
import KubernetesClient
import KubernetesJSON
import Testing
import Yams

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Runs the scenarios of Tests/Scenarios/dns; their README describes the form.
@Suite struct ScenarioTests {
    private static let folder = "Tests/Scenarios/dns"

    private static var path: String {
        // …/Tests/ClusterDNSTests/ScenarioTests.swift
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/") + "/" + folder
    }

    private static var files: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.sorted()
    }

    @Test func thereAreScenarios() {
        #expect(Self.files.count >= 15)
    }

    @Test(arguments: files)
    func scenario(file: String) throws {
        let text = try String(contentsOfFile: Self.path + "/" + file, encoding: .utf8)
        let scenario = try #require(try Yams.compose(yaml: text)).json
        try #require(scenario["rule"]?.stringValue?.isEmpty == false)
        var cluster = try Cluster()
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
                try cluster.check(query, "step \(index + 1)")
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
    private var generator = SeededGenerator(seed: 1)

    init() throws {
        store = ZoneStore(
            ClusterZone(domain: try name("cluster.local"), servers: [try address("10.96.0.10")]))
        let ranges = ["10.96.0.0/16", "10.244.0.0/16", "fd00:96::/108", "fd00:244::/56"]
        responder = Responder(
            chain: ResolverChain([
                ClusterResolver(store: store, timeToLive: 5),
                ReverseResolver(store: store, ranges: ranges.compactMap(AddressRange.init), timeToLive: 5),
            ]))
        store.update {
            $0.apply(.synced as InformerEvent<Service>)
            $0.apply(.synced as InformerEvent<EndpointSlice>)
        }
    }

    mutating func apply(_ manifest: JSONValue) throws {
        let kind = try #require(manifest["kind"]?.stringValue)
        switch kind {
        case "Service":
            let service = try Service(manifest)
            let old = services.updateValue(service, forKey: key(service.metadata))
            store.update { $0.apply(old.map { .updated(old: $0, new: service) } ?? .added(service)) }
        case "EndpointSlice":
            let slice = try EndpointSlice(manifest)
            let old = slices.updateValue(slice, forKey: key(slice.metadata))
            store.update { $0.apply(old.map { .updated(old: $0, new: slice) } ?? .added(slice)) }
        default:
            Issue.record("a scenario knows Service and EndpointSlice, not \(kind)")
        }
    }

    mutating func delete(_ object: String) throws {
        let parts = object.split(separator: " ").map(String.init)
        try #require(parts.count == 2)
        if parts[0] == "Service" {
            let removed = services.removeValue(forKey: parts[1])
            let service = try #require(removed)
            store.update { $0.apply(.deleted(service)) }
        } else {
            let removed = slices.removeValue(forKey: parts[1])
            let slice = try #require(removed)
            store.update { $0.apply(.deleted(slice)) }
        }
    }

    private func key(_ metadata: ObjectMeta) -> String { "\(metadata.namespace)/\(metadata.name)" }

    mutating func check(_ expected: JSONValue, _ step: String) throws {
        let ask = try #require(expected["ask"]?.stringValue)
        let words = ask.split(separator: " ").map(String.init)
        try #require(words.count == 2)
        let type = try #require(RecordType(words[1]))
        let code = expected["code"]?.stringValue ?? "NOERROR"
        let comment = Comment(rawValue: "\(step): \(ask)")
        let query = try query(words[0], type, id: 4711)
        switch responder.respond(to: query.message(), over: .datagram, using: &generator) {
        case .ignore: Issue.record(comment)
        case .later: #expect(code == "FORWARD", comment)
        case .reply(let bytes):
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
            if code != "SERVFAIL" { #expect(response.answer.isAuthoritative, comment) }
        }
    }
}

extension Yams.Node {
    /// The same value as JSON.
    fileprivate var json: JSONValue {
        switch self {
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, value) in mapping { object[key.string ?? ""] = value.json }
            return .object(object)
        case .sequence(let sequence):
            return .array(sequence.map(\.json))
        case .scalar(let scalar):
            guard scalar.style == .plain else { return .string(scalar.string) }
            if let number = Int64(scalar.string) { return .integer(number) }
            switch scalar.string {
            case "true": return .bool(true)
            case "false": return .bool(false)
            case "null", "~", "": return .null
            default: return .string(scalar.string)
            }
        default: return .null
        }
    }
}
