import KubernetesAPI
import KubernetesJSON
import Netlink
import ServiceProxy
import Testing
import Yams

/// A story in a file: manifests in, expected tables and packet fates out. `Tests/Scenarios/proxy/README.md`
/// describes the files.
struct Scenario: Sendable, CustomTestStringConvertible {
    var name: String
    var configuration: ProxyConfiguration
    var steps: [Step]

    var testDescription: String { name }

    struct Step: Sendable {
        var what: String
        var apply: [JSONValue]
        var delete: [String]
        var table: [String: [String]]?
        var packets: [ExpectedPacket]
        var stale: [String: [String]]?
    }

    struct ExpectedPacket: Sendable {
        var from: String
        var to: String
        var fates: Set<String>
    }

    struct Mistake: Error, CustomStringConvertible {
        let description: String
    }

    init(name: String, yaml: String) throws {
        self.name = name
        guard let root = try Yams.compose(yaml: yaml).map(Self.value), let steps = root["steps"]?.arrayValue
        else {
            throw Mistake(description: "\(name): a scenario has a list of steps")
        }
        configuration = ProxyConfiguration(
            nodeName: root["node"]?["name"]?.stringValue ?? "node-a",
            nodeAddress: IPAddress(root["node"]?["address"]?.stringValue ?? "172.31.0.1"),
            serviceRanges: ["10.96.0.0/16", "fd00:96::/112"].compactMap { IPNetwork($0) },
            podRanges: ["10.244.0.0/16", "fd00:244::/56"].compactMap { IPNetwork($0) },
            nodeLocalAddresses: (root["nodeLocal"]?.arrayValue ?? []).compactMap {
                $0.stringValue.flatMap { IPAddress($0) }
            })
        self.steps = try steps.map { try Step($0, in: name) }
    }

    /// The JSON value of a YAML node.
    private static func value(_ node: Yams.Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            var object = JSONObject()
            for (key, item) in mapping { object[key.string ?? ""] = value(item) }
            return .object(object)
        case .sequence(let sequence): return .array(sequence.map(value))
        default:
            if let bool = node.bool { return .bool(bool) }
            if let number = node.int { return .integer(Int64(number)) }
            if node.null != nil { return .null }
            return .string(node.string ?? "")
        }
    }
}

extension Scenario.Step {
    fileprivate init(_ value: JSONValue, in name: String) throws {
        func list(_ value: JSONValue?) -> [String] {
            value?.arrayValue?.compactMap(\.stringValue) ?? value?.stringValue.map { [$0] } ?? []
        }
        func map(_ value: JSONValue?) -> [String: [String]]? {
            guard let object = value?.objectValue else { return nil }
            var result: [String: [String]] = [:]
            for (key, item) in object { result[key] = list(item) }
            return result
        }
        what = value["what"]?.stringValue ?? ""
        apply = value["apply"]?.arrayValue ?? []
        delete = list(value["delete"])
        table = map(value["table"])
        stale = map(value["stale"])
        packets = try (value["packets"]?.arrayValue ?? []).map { item in
            guard let from = item["from"]?.stringValue, let to = item["to"]?.stringValue, item["fate"] != nil
            else {
                throw Scenario.Mistake(description: "\(name): a packet has from, to and fate")
            }
            return Scenario.ExpectedPacket(from: from, to: to, fates: Set(list(item["fate"])))
        }
        let known: Set<String> = ["what", "apply", "delete", "table", "stale", "packets"]
        for (key, _) in value.objectValue ?? JSONObject() where !known.contains(key) {
            throw Scenario.Mistake(description: "\(name): a step has no \(key)")
        }
        if table == nil, stale == nil, packets.isEmpty {
            throw Scenario.Mistake(description: "\(name): the step \"\(what)\" expects nothing")
        }
    }
}

/// A scenario being played.
struct ScenarioPlayer {
    let scenario: Scenario
    private var planner: Planner
    private var tracers: [PacketTracer]

    init(_ scenario: Scenario) {
        self.scenario = scenario
        planner = Planner(scenario.configuration)
        tracers = [IPAddress.Family.ipv4, .ipv6].map { family in
            PacketTracer(
                NftablesForm(family, scenario.configuration),
                nodeAddresses: Set([scenario.configuration.nodeAddress].compactMap { $0 }))
        }
    }

    mutating func play() throws {
        for step in scenario.steps {
            let place = Comment(rawValue: "\(scenario.name): \(step.what)")
            for object in step.apply { try apply(object) }
            for name in step.delete { try delete(name) }
            let changes = planner.plan()
            for index in tracers.indices {
                try tracers[index].apply(changes)
                // Changed step by step or written at once, the kernel's sets are the same.
                let whole = tracers[index].form.elements(of: planner.table)
                for set in tracers[index].form.sets {
                    #expect(
                        Set(tracers[index].sets[set.name, default: [:]].keys)
                            == Set((whole[set.name] ?? []).map(\.key)), place)
                }
            }
            if let table = step.table { #expect(drawn(planner.table) == table.mapValues(Set.init), place) }
            if let stale = step.stale {
                let found = StaleConnections(changes).removed
                #expect(
                    Dictionary(
                        uniqueKeysWithValues: found.map {
                            ($0.key.description, Set($0.value.map(\.description)))
                        })
                        == stale.mapValues(Set.init), place)
            }
            for packet in step.packets { try check(packet, place) }
        }
    }

    private func drawn(_ table: ForwardingTable) -> [String: Set<String>] {
        Dictionary(
            uniqueKeysWithValues: table.entries.map { address, forwarding in
                switch forwarding {
                case .spread(let backends): (address.description, Set(backends.map(\.description)))
                case .refuse: (address.description, ["refuse"])
                case .drop: (address.description, ["drop"])
                }
            })
    }

    private func check(_ expected: Scenario.ExpectedPacket, _ place: Comment) throws {
        let destination = try serviceAddress(expected.to)
        let text =
            expected.from == "node" ? scenario.configuration.nodeAddress?.description ?? "" : expected.from
        guard let source = IPAddress(text),
            let tracer = tracers.first(where: { $0.form.family == source.family })
        else { throw Scenario.Mistake(description: "\(scenario.name): no sender \(expected.from)") }
        let fates = try tracer.fates(of: Packet(source: source, destination: destination)).map { fate in
            switch fate {
            case .untouched: "untouched"
            case .refused: "refused"
            case .dropped: "dropped"
            case .translated(let backend, let isMasqueraded):
                "\(backend)" + (isMasqueraded ? " masqueraded" : "")
            }
        }
        #expect(
            Set(fates) == expected.fates,
            "\(place.rawValue): a packet from \(expected.from) to \(expected.to)")
    }

    private func serviceAddress(_ text: String) throws -> ServiceAddress {
        guard let slash = text.lastIndex(of: "/"), let colon = text.lastIndex(of: ":"),
            let transport = TransportProtocol(name: String(text[text.index(after: slash)...])),
            let port = UInt16(text[text.index(after: colon)..<slash]),
            let address = IPAddress(text[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
        else { throw Scenario.Mistake(description: "\(scenario.name): \(text) is not ADDRESS:PORT/PROTOCOL") }
        return ServiceAddress(address, transport, port)
    }

    private mutating func apply(_ object: JSONValue) throws {
        switch object["kind"]?.stringValue {
        case "Service":
            var service = try Service(object)
            if service.metadata.namespace.isEmpty { service.metadata.namespace = "default" }
            let name = ObjectName(service.metadata.namespace, service.metadata.name)
            if let facts = ServiceFacts(service) {
                planner.setService(facts)
            } else {
                planner.removeService(name)
            }
        case "EndpointSlice":
            var slice = try EndpointSlice(object)
            if slice.metadata.namespace.isEmpty { slice.metadata.namespace = "default" }
            let name = ObjectName(slice.metadata.namespace, slice.metadata.name)
            if let facts = SliceFacts(slice, nodeName: scenario.configuration.nodeName) {
                planner.setSlice(facts)
            } else {
                planner.removeSlice(name)
            }
        default:
            throw Scenario.Mistake(
                description: "\(scenario.name): neither Service nor EndpointSlice: \(object)")
        }
    }

    /// `Service/NAME` or `EndpointSlice/NAME`, in the namespace `default`.
    private mutating func delete(_ text: String) throws {
        let parts = text.split(separator: "/")
        guard parts.count == 2 else {
            throw Scenario.Mistake(description: "\(scenario.name): delete \(text)")
        }
        let name = ObjectName("default", String(parts[1]))
        switch parts[0] {
        case "Service": planner.removeService(name)
        case "EndpointSlice": planner.removeSlice(name)
        default: throw Scenario.Mistake(description: "\(scenario.name): delete \(text)")
        }
    }
}
