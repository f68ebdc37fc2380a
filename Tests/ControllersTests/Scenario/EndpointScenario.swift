import Controllers
import KubernetesAPI
import KubernetesJSON
import Testing

/// A story in a file: Service, pods and nodes in, expected EndpointSlices, Endpoints and writes out.
/// `Tests/Scenarios/endpoints/README.md` describes the files.
struct EndpointScenario {
    let name: String
    let content: ScenarioContent

    init(name: String, yaml: String) throws {
        self.name = name
        content = try ScenarioContent(name: name, yaml: yaml)
    }

    func play() throws {
        let steps = try content.steps()
        var stage = EndpointStage(
            limit: content.value["maxEndpointsPerSlice"]?.integerValue ?? 100)
        for step in steps {
            let what = "\(name): \(step["what"]?.stringValue ?? "a step")"
            try stage.apply(step, what)
            try ScenarioContent.check(step, EndpointStage.words, what)
        }
    }
}

/// What there is while a scenario is played.
struct EndpointStage {
    static let words: Set<String> = [
        "what", "service", "pods", "manyPods", "nodes", "slices", "writes", "endpoints", "annotations",
        "mirror",
    ]

    let limit: Int
    private var service = Make.service()
    private var pods: [Pod] = []
    private var nodes = ["node-a", "node-b"].map {
        KubernetesAPI.Node(metadata: ObjectMeta(name: $0))
    }
    private var slices: [EndpointSlice] = []
    private var endpoints: Endpoints?
    private var created = 0

    init(limit: Int) { self.limit = limit }

    mutating func apply(_ step: JSONValue, _ what: String) throws {
        if let edit = step["service"] {
            service = try Service(json: MergePatch.apply(edit, to: service.jsonValue).json())
        }
        if let list = step["nodes"]?.arrayValue { nodes = list.map(node) }
        if let list = step["pods"]?.arrayValue { pods = try list.map(pod) }
        if let count = step["manyPods"]?.integerValue {
            pods = (0..<count).map {
                Make.pod("p\($0)", ip: "10.244.\($0 / 250).\($0 % 250 + 1)", node: "node-a")
            }
        }
        let changes: EndpointSliceChanges
        if let manifest = step["mirror"] {
            var object = try Endpoints(json: manifest.json())
            object.metadata.name = service.metadata.name
            object.metadata.namespace = service.metadata.namespace
            object.metadata.uid = "endpoints-uid"
            changes =
                MirroringReconciler.mirrors(object, of: service)
                ? MirroringReconciler.reconcile(object, existing: slices)
                : EndpointSliceChanges(delete: slices)
        } else {
            changes = EndpointSliceReconciler(maxEndpointsPerSlice: limit).reconcile(
                service, pods: pods, nodes: EndpointNodes(nodes), existing: slices, trigger: nil)
            endpoints =
                EndpointsReconciler.reconcile(service, pods: pods, existing: endpoints, trigger: nil)
                ?? endpoints
        }
        write(changes)
        try check(step, changes, what)
    }

    private mutating func write(_ changes: EndpointSliceChanges) {
        let gone = Set(changes.delete.map(\.metadata.name))
        slices.removeAll { gone.contains($0.metadata.name) }
        for slice in changes.update {
            slices = slices.map { $0.metadata.name == slice.metadata.name ? slice : $0 }
        }
        for var slice in changes.create {
            created += 1
            slice.metadata.name = "\(slice.metadata.generateName)\(created)"
            slices.append(slice)
        }
    }

    private func check(_ step: JSONValue, _ changes: EndpointSliceChanges, _ what: String) throws {
        if let expected = step["writes"] {
            for (word, count) in [
                ("create", changes.create.count), ("update", changes.update.count),
                ("delete", changes.delete.count),
            ] {
                #expect(count == (expected[word]?.integerValue ?? 0), "\(what): slices to \(word)")
            }
        }
        if let expected = step["slices"]?.objectValue {
            #expect(
                slices.map(\.metadata.name).sorted() == expected.keys.sorted(),
                "\(what): the slices there are")
            for (name, wanted) in expected {
                guard let slice = slices.first(where: { $0.metadata.name == name }) else { continue }
                check(slice, wanted, "\(what): \(name)")
            }
        }
        if let expected = step["endpoints"]?.arrayValue {
            #expect(
                Set((endpoints?.subsets ?? []).map(Self.text)) == Set(expected.compactMap(\.stringValue)),
                "\(what): Endpoints")
        }
        if let expected = step["annotations"]?.objectValue {
            for (key, value) in expected {
                #expect(endpoints?.metadata.annotations[key] == value.stringValue, "\(what): \(key)")
            }
        }
    }

    private func check(_ slice: EndpointSlice, _ wanted: JSONValue, _ what: String) {
        if let type = wanted["addressType"]?.stringValue { #expect(slice.addressType == type, "\(what)") }
        if let ports = wanted["ports"]?.arrayValue {
            #expect(slice.ports.map(Self.text) == ports.compactMap(\.stringValue), "\(what): ports")
        }
        if let endpoints = wanted["endpoints"]?.arrayValue {
            #expect(
                slice.endpoints.map(Self.text).sorted() == endpoints.compactMap(\.stringValue).sorted(),
                "\(what): endpoints")
        }
        if let count = wanted["count"]?.integerValue {
            #expect(slice.endpoints.count == count, "\(what): how many endpoints")
        }
        for (key, value) in wanted["labels"]?.objectValue ?? [:] {
            #expect(slice.metadata.labels[key] == value.stringValue, "\(what): label \(key)")
        }
        if let owner = wanted["owner"]?.stringValue {
            #expect(slice.controllerReference?.kind == owner, "\(what): owner")
        }
    }

    // MARK: Short forms

    private func node(_ value: JSONValue) -> KubernetesAPI.Node {
        var node = KubernetesAPI.Node(metadata: ObjectMeta(name: value["name"]?.stringValue ?? ""))
        if let zone = value["zone"]?.stringValue {
            node.metadata.labels["topology.kubernetes.io/zone"] = zone
        }
        return node
    }

    private func pod(_ value: JSONValue) throws -> Pod {
        var pod = Make.pod(
            value["name"]?.stringValue ?? "", ip: value["ip"]?.stringValue ?? "",
            ready: value["ready"]?.boolValue ?? true, node: value["node"]?.stringValue ?? "node-a")
        if let second = value["ip6"]?.stringValue { pod.status.podIPs.append(PodIP(ip: second)) }
        if value["terminating"]?.boolValue == true { pod.metadata.deletionTimestamp = Make.now }
        if let phase = value["phase"]?.stringValue { pod.status.phase = phase }
        pod.spec.hostname = value["hostname"]?.stringValue ?? ""
        pod.spec.subdomain = value["subdomain"]?.stringValue ?? ""
        let ports = (value["ports"]?.objectValue ?? [:]).map {
            ContainerPort(name: $0.key, containerPort: $0.value.integerValue ?? 0)
        }
        if value["sidecar"]?.boolValue == true {
            var sidecar = Container(name: "sidecar", ports: ports)
            sidecar.restartPolicy = "Always"
            pod.spec.initContainers = [sidecar]
        } else {
            pod.spec.containers[0].ports = ports
        }
        return pod
    }

    private static func text(_ port: EndpointSlicePort) -> String {
        let name = port.name ?? ""
        return "\(name.isEmpty ? "" : name + ":")\(port.port ?? 0)/\(port.protocol ?? "")"
    }

    private static func text(_ endpoint: Endpoint) -> String {
        var words = [endpoint.addresses.joined(separator: ",")]
        if endpoint.conditions.ready == true { words.append("ready") }
        if endpoint.conditions.serving == true { words.append("serving") }
        if endpoint.conditions.terminating == true { words.append("terminating") }
        if let node = endpoint.nodeName { words.append("on \(node)") }
        if let zone = endpoint.zone { words.append("in \(zone)") }
        if let name = endpoint.hostname { words.append("named \(name)") }
        words += (endpoint.hints?.forZones ?? []).map { "for zone \($0.name)" }
        words += (endpoint.hints?.forNodes ?? []).map { "for node \($0.name)" }
        return words.joined(separator: " ")
    }

    private static func text(_ subset: EndpointSubset) -> String {
        let ready = subset.addresses.map(\.ip) + subset.notReadyAddresses.map { "(\($0.ip))" }
        let ports = subset.ports.map { "\($0.name.isEmpty ? "" : $0.name + ":")\($0.port)/\($0.protocol)" }
        return "\(ready.joined(separator: " ")) at \(ports.joined(separator: " "))"
    }
}
