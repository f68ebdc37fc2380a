import KubernetesAPI
import KubernetesJSON
import Testing

/// What must hold whatever is applied by whomever in whatever order.
@Suite struct ApplyPropertyTests {
    private struct World {
        let type: SchemaType
        var live: JSONValue?
        var time = 0

        func apply(_ configuration: JSONValue, _ manager: String, force: Bool, to live: JSONValue?)
            throws(APIError)
            -> JSONValue
        {
            try ServerSideApply.apply(
                configuration, to: live, type, manager: manager, force: force, now: Time(seconds: time))
        }

        func entries() throws -> [ManagerEntry] {
            try ManagerEntries(live?.value(at: "metadata", "managedFields")).entries
        }

        /// All fields of an object: what somebody would own who applied all of it.
        func fields(of object: JSONValue?) throws -> FieldSet {
            var object = try #require(object)
            object["metadata"]?["managedFields"] = nil
            let applied = try apply(object, "all", force: false, to: nil)
            return try ManagerEntries(applied.value(at: "metadata", "managedFields")).entries.first?.fields
                ?? FieldSet()
        }
    }

    @Test(arguments: 1...10) func appliesOfSeveralManagers(_ seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let type = try #require(SchemaRegistry.shared.type(apiVersion: "v1", kind: "Pod"))
        var world = World(type: type)
        var refused = 0
        for _ in 0..<25 {
            world.time += 1
            let manager = ["alice", "bob", "carol"].randomElement(using: &random) ?? ""
            let configuration = pod(&random)
            let force = Bool.random(using: &random)
            do {
                world.live = try world.apply(configuration, manager, force: force, to: world.live)
            } catch {
                refused += 1
                #expect(!force)
                #expect(error.isConflict)
                #expect(error.status.details?.causes.isEmpty == false)
                // What was refused is done when it is forced.
                world.live = try world.apply(configuration, manager, force: true, to: world.live)
            }
            // Once more is nothing more.
            let again = try world.apply(configuration, manager, force: false, to: world.live)
            #expect(again == world.live)
            // The manager owns what it applied, and no more.
            let own = try world.entries().first { $0.manager == manager }?.fields ?? FieldSet()
            #expect(own == (try world.fields(of: configuration)))
            // What it applied is there: to lay it over the object changes nothing.
            var merged = try world.apply(configuration, "another", force: false, to: world.live)
            var live = try #require(world.live)
            merged["metadata"]?["managedFields"] = nil
            live["metadata"]?["managedFields"] = nil
            #expect(merged == live)
            // All that is there is owned, and all that is owned is there.
            let owned = try world.entries().reduce(FieldSet()) { $0.union($1.fields) }
            #expect(owned == (try world.fields(of: world.live)))
        }
        #expect(refused > 0)
        // Everybody goes.
        for manager in ["alice", "bob", "carol"] {
            world.live = try world.apply(
                json(#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#), manager, force: false,
                to: world.live)
        }
        #expect(world.live == (try json(#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"}}"#)))
    }

    /// An update moves what it changes and nothing else.
    @Test(arguments: 1...8) func updatesBetweenApplies(_ seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed) &+ 1000)
        let type = try #require(SchemaRegistry.shared.type(apiVersion: "v1", kind: "Pod"))
        var world = World(type: type)
        world.live = try world.apply(pod(&random), "alice", force: false, to: nil)
        for round in 0..<30 {
            world.time += 1
            let before = try world.entries()
            var new = pod(&random)
            if round % 3 == 0 { new = world.live ?? nil }
            let after = ManagedFields.updating(
                live: world.live, new: new, type: type, manager: "editor", now: Time(seconds: world.time))
            if round % 3 == 0 { #expect(after == world.live) }
            let kept = try ManagerEntries(after.value(at: "metadata", "managedFields")).entries
            for entry in kept where entry.manager != "editor" {
                let old = before.first { $0.manager == entry.manager }?.fields ?? FieldSet()
                #expect(entry.fields.subtracting(old).isEmpty)
            }
            // What an updater leaves without a change belongs to whom it did.
            let present = try world.fields(of: after)
            let owned = kept.reduce(FieldSet()) { $0.union($1.fields) }
            #expect(present.subtracting(owned).isEmpty || kept.isEmpty)
            world.live = after
            if kept.isEmpty || round % 4 == 3 {
                world.live = try world.apply(pod(&random), "alice", force: true, to: world.live)
            }
        }
    }

    /// A random configuration, without keys that stand several times in a list.
    private func pod(_ random: inout SeededGenerator) -> JSONValue {
        var metadata: JSONObject = ["name": "p"]
        if let labels = map(&random) { metadata["labels"] = labels }
        let finalizers = some(["x/a", "x/b", "x/c"], &random).map { JSONValue.string($0) }
        if !finalizers.isEmpty { metadata["finalizers"] = .array(finalizers) }
        var spec = JSONObject()
        if let selector = map(&random) { spec["nodeSelector"] = selector }
        if Bool.random(using: &random) {
            spec["priority"] = .integer(Int64.random(in: 0...2, using: &random))
        }
        if Bool.random(using: &random) {
            spec["tolerations"] = [["key": .string(Bool.random(using: &random) ? "a" : "b")]]
        }
        var containers: [JSONValue] = []
        for name in some(["one", "two", "three", "four"], &random) {
            var container: JSONObject = ["name": .string(name)]
            if Bool.random(using: &random) {
                container["image"] = .string(Bool.random(using: &random) ? "a" : "b")
            }
            let env = some(["A", "B"], &random).map { name -> JSONValue in
                ["name": .string(name), "value": .string(Bool.random(using: &random) ? "1" : "2")]
            }
            if !env.isEmpty { container["env"] = .array(env) }
            let ports = some(["80", "81"], &random).map { port -> JSONValue in
                Bool.random(using: &random)
                    ? ["containerPort": .integer(Int64(port) ?? 0)]
                    : ["containerPort": .integer(Int64(port) ?? 0), "protocol": "UDP"]
            }
            if !ports.isEmpty { container["ports"] = .array(ports) }
            containers.append(.object(container))
        }
        if !containers.isEmpty { spec["containers"] = .array(containers) }
        var pod: JSONObject = ["apiVersion": "v1", "kind": "Pod", "metadata": .object(metadata)]
        if !spec.isEmpty { pod["spec"] = .object(spec) }
        return .object(pod)
    }

    private func map(_ random: inout SeededGenerator) -> JSONValue? {
        var object = JSONObject()
        for key in some(["a", "b", "c"], &random) {
            object[key] = .string(Bool.random(using: &random) ? "1" : "2")
        }
        return object.isEmpty ? nil : .object(object)
    }

    private func some(_ all: [String], _ random: inout SeededGenerator) -> [String] {
        Array(all.shuffled(using: &random).prefix(Int.random(in: 0...all.count, using: &random)))
    }
}
