import KubernetesAPI
import KubernetesJSON
import Netlink
import ScenarioFiles
import ServiceProxy
import Testing
import Yams

/// A story in a file: manifests in, expected tables and packet fates out. `Tests/Scenarios/proxy/README.md`
/// describes the files.
struct Scenario: Sendable, CustomTestStringConvertible {
    var name: String
    var configuration: ProxyConfiguration
    var zone: String?
    /// Whether the story is also played with real packets.
    var isForKernel: Bool
    var steps: [Step]

    var testDescription: String { name }

    /// The node's addresses as its pods' gateway.
    static let gateways = ["10.244.0.1", "fd00:244::1"].compactMap { Netlink.IPAddress($0) }

    struct Step: Sendable {
        var what: String
        /// Services and EndpointSlices, as the API has them.
        var apply: [JSONValue]
        var delete: [String]
        var zone: String?
        var table: [String: [String]]?
        var packets: [ExpectedPacket]
        var stale: [String: [String]]?
        var departed: [String: [String]]?
        var begun: [String]?
        var health: [String: [String]]?
    }

    struct ExpectedPacket: Sendable {
        var from: String
        var to: String
        var fates: Set<String>
        /// Whether all further packets from there have the fate of the first.
        var sticks: Bool
    }

    struct Mistake: Error, CustomStringConvertible {
        let description: String
    }

    init(name: String, yaml: String) throws {
        self.name = name
        guard let root = try Yams.compose(yaml: yaml).map(JSONValue.init(yaml:)),
            let steps = root["steps"]?.arrayValue
        else {
            throw Mistake(description: "\(name): a scenario has a list of steps")
        }
        for (key, _) in root.objectValue ?? JSONObject()
        where !["node", "nodeLocal", "podRanges", "nodePods", "kernel", "steps"].contains(key) {
            throw Mistake(description: "\(name): a scenario has no \(key)")
        }
        let node = root["node"]
        func addresses(_ value: JSONValue?, _ usual: [String]) -> [Netlink.IPAddress] {
            (list(value) ?? usual).compactMap { IPAddress($0) }
        }
        func ranges(_ value: JSONValue?, _ usual: [String]) -> [IPNetwork] {
            (list(value) ?? usual).compactMap { IPNetwork($0) }
        }
        configuration = ProxyConfiguration(
            nodeName: node?["name"]?.stringValue ?? "node-a",
            nodeAddresses: addresses(node?["address"], ["172.31.0.1", "fd00:172::1"]),
            serviceRanges: ranges(nil, ["10.96.0.0/16", "fd00:96::/112"]),
            podRanges: ranges(root["podRanges"], ["10.244.0.0/16", "fd00:244::/56"]),
            nodeLocalAddresses: addresses(root["nodeLocal"], []))
        configuration.nodePodRanges = ranges(root["nodePods"], ["10.244.0.0/24", "fd00:244::/64"])
        zone = node?["zone"]?.stringValue
        isForKernel = root["kernel"]?.boolValue ?? false
        self.steps = try steps.map { try Step($0, in: name) }
    }
}

/// A list of strings, or a single one; nil for what is neither.
private func list(_ value: JSONValue?) -> [String]? {
    func text(_ value: JSONValue) -> String? {
        value.stringValue ?? value.integerValue.map { String($0) }
    }
    guard let value else { return nil }
    return value.arrayValue?.compactMap(text) ?? text(value).map { [$0] }
}

extension Scenario.Step {
    fileprivate init(_ value: JSONValue, in name: String) throws {
        func map(_ value: JSONValue?) -> [String: [String]]? {
            guard let object = value?.objectValue else { return nil }
            var result: [String: [String]] = [:]
            for (key, item) in object { result[key] = list(item) ?? [] }
            return result
        }
        what = value["what"]?.stringValue ?? ""
        apply = value["apply"]?.arrayValue ?? []
        delete = list(value["delete"]) ?? []
        zone = value["zone"]?.stringValue
        table = map(value["table"])
        stale = map(value["stale"])
        departed = map(value["departed"])
        begun = list(value["begun"])
        health = map(value["health"])
        packets = try (value["packets"]?.arrayValue ?? []).map { item in
            guard let from = item["from"]?.stringValue, let to = item["to"]?.stringValue,
                let fates = list(item["fate"])
            else {
                throw Scenario.Mistake(description: "\(name): a packet has from, to and fate")
            }
            return Scenario.ExpectedPacket(
                from: from, to: to, fates: Set(fates), sticks: item["sticks"]?.boolValue ?? false)
        }
        let known: Set<String> = [
            "what", "apply", "delete", "zone", "table", "packets", "stale", "departed", "begun", "health",
        ]
        for (key, _) in value.objectValue ?? JSONObject() where !known.contains(key) {
            throw Scenario.Mistake(description: "\(name): a step has no \(key)")
        }
        if table == nil, stale == nil, departed == nil, begun == nil, health == nil, packets.isEmpty {
            throw Scenario.Mistake(description: "\(name): the step \"\(what)\" expects nothing")
        }
    }

    /// What the step tells the proxy: facts by name, nil for what goes.
    func batch(nodeName: String) throws -> ProxyQueue.Batch {
        var batch = ProxyQueue.Batch()
        for text in delete {
            let parts = text.split(separator: "/")
            switch (parts.first, parts.count) {
            case ("Service", 2): batch.services[ObjectName("default", String(parts[1]))] = .some(nil)
            case ("EndpointSlice", 2): batch.slices[ObjectName("default", String(parts[1]))] = .some(nil)
            default: throw Scenario.Mistake(description: "delete \(text): neither Service nor EndpointSlice")
            }
        }
        for object in apply {
            switch object["kind"]?.stringValue {
            case "Service":
                var service = try Service(object)
                if service.metadata.namespace.isEmpty { service.metadata.namespace = "default" }
                let name = ObjectName(service.metadata.namespace, service.metadata.name)
                batch.services[name] = .some(ServiceFacts(service))
            case "EndpointSlice":
                var slice = try EndpointSlice(object)
                if slice.metadata.namespace.isEmpty { slice.metadata.namespace = "default" }
                let name = ObjectName(slice.metadata.namespace, slice.metadata.name)
                batch.slices[name] = .some(SliceFacts(slice, nodeName: nodeName))
            default:
                throw Scenario.Mistake(description: "neither Service nor EndpointSlice: \(object)")
            }
        }
        return batch
    }
}

extension Scenario.ExpectedPacket {
    /// Where the packet is sent: `ADDRESS:PORT/PROTOCOL`.
    func destination() throws -> ServiceAddress {
        guard let slash = to.lastIndex(of: "/"), let colon = to.lastIndex(of: ":"),
            let transport = TransportProtocol(name: String(to[to.index(after: slash)...])),
            let port = UInt16(to[to.index(after: colon)..<slash]),
            let address = IPAddress(to[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
        else { throw Scenario.Mistake(description: "\(to) is not ADDRESS:PORT/PROTOCOL") }
        return ServiceAddress(address, transport, port)
    }

    /// Who sends it: an address, or the node's own one of the destination's family.
    func sender(_ configuration: ProxyConfiguration) throws -> Netlink.IPAddress {
        let own = configuration.nodeAddress(try destination().address.family)
        guard let address = from == "node" ? own : IPAddress(from) else {
            throw Scenario.Mistake(description: "no sender \(from)")
        }
        return address
    }
}
