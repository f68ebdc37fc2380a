import ClusterDNS
import HostileInput
import Testing

@Suite struct ZoneTests {
    /// However the zone came about, its answers are those of a zone that was given the same objects once.
    @Test func changesAddUpToTheSameZone() throws {
        var generator = SeededGenerator(seed: 10)
        let domain = try name("cluster.local")
        let kinds: [ServiceDescription.Kind] = try [
            .addressed([address("10.96.0.1")]), .addressed([address("10.96.0.2"), address("fd00::2")]),
            .headless(publishNotReady: false), .headless(publishNotReady: true),
            .external(name("web.a.svc.cluster.local")),
            .unresolvable,
        ]
        let port = ServiceDescription.Port(name: "http", transport: "TCP", number: 80)
        let names = ["web", "db"]
        let namespaces = ["a", "b"]
        var services: [[String]: ServiceDescription] = [:]
        var slices: [[String]: SliceDescription] = [:]
        var zone = ClusterZone(domain: domain)
        var differences = 0
        for _ in 0..<2000 {
            let service = names.randomElement(using: &generator) ?? "web"
            let namespace = namespaces.randomElement(using: &generator) ?? "a"
            if Bool.random(using: &generator) {
                let kind = kinds.randomElement(using: &generator).map {
                    ServiceDescription(kind: $0, ports: [port])
                }
                let value = Int.random(in: 0..<4, using: &generator) == 0 ? nil : kind
                services[[namespace, service]] = value
                zone.setService(value, namespace: namespace, name: service)
            } else {
                let slice = ["x", "y"].randomElement(using: &generator) ?? "x"
                let endpoints = (0..<Int.random(in: 0...3, using: &generator)).map { index in
                    SliceDescription.Endpoint(
                        address: .v4(0x0af4_0000 + UInt32(Int.random(in: 0...5, using: &generator))),
                        hostname: index == 0 ? "first" : nil, isReady: Bool.random(using: &generator))
                }
                let value =
                    Int.random(in: 0..<4, using: &generator) == 0
                    ? nil : SliceDescription(endpoints: endpoints, ports: [port])
                slices[[namespace, service, slice]] = value
                zone.setSlice(value, named: slice, service: service, namespace: namespace)
            }
            var fresh = ClusterZone(domain: domain)
            for (key, value) in slices.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                fresh.setSlice(value, named: key[2], service: key[1], namespace: key[0])
            }
            for (key, value) in services.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                fresh.setService(value, namespace: key[0], name: key[1])
            }
            for question in try questions() where try answers(zone, question) != answers(fresh, question) {
                differences += 1
            }
        }
        #expect(differences == 0)
    }

    private func questions() throws -> [Question] {
        var questions: [Question] = []
        for namespace in ["a", "b"] {
            questions.append(Question(name: try name("\(namespace).svc.cluster.local"), type: .a))
            for service in ["web", "db"] {
                for prefix in ["", "first.", "10-244-0-1.", "_http._tcp.", "_tcp."] {
                    let whole = try name("\(prefix)\(service).\(namespace).svc.cluster.local")
                    questions.append(Question(name: whole, type: prefix.hasPrefix("_http") ? .srv : .a))
                }
            }
        }
        for index in 0...5 {
            questions.append(Question(name: try name("\(index).0.244.10.in-addr.arpa"), type: .ptr))
        }
        questions.append(Question(name: try name("1.0.96.10.in-addr.arpa"), type: .ptr))
        return questions
    }

    private func answers(_ zone: ClusterZone, _ question: Question) throws -> [String] {
        var zone = zone
        zone.missing = []
        let store = ZoneStore(zone)
        let chain = ResolverChain([
            ClusterResolver(store: store, timeToLive: 5),
            ReverseResolver(store: store, ranges: [], timeToLive: 5),
        ])
        var inquiry = Inquiry(question, chain: chain)
        guard case .answer(let answer) = inquiry.next() else { return ["forward"] }
        return [answer.code.description] + answer.answers.map(\.text).sorted()
            + answer.additional.map(\.text).sorted()
    }

    /// Until everything that existed at the beginning is known, nobody is told that a name does not exist.
    @Test func incompleteZonesDenyNothing() throws {
        let store = ZoneStore(ClusterZone(domain: try name("cluster.local")))
        store.update {
            $0.setService(
                ServiceDescription(kind: .addressed([.v4(1)])), namespace: "default", name: "web")
        }
        let resolver = ClusterResolver(store: store, timeToLive: 5)
        func code(_ text: String) throws -> ResponseCode? {
            guard case .answer(let answer) = resolver.resolve(Question(name: try name(text), type: .a)) else {
                return nil
            }
            return answer.code
        }
        #expect(try code("web.default.svc.cluster.local") == .noError)
        #expect(try code("db.default.svc.cluster.local") == .serverFailure)
        store.update { $0.missing = [] }
        #expect(try code("db.default.svc.cluster.local") == .nameError)
    }

    @Test func answersAreSpread() throws {
        var generator = SeededGenerator(seed: 3)
        let owner = try name("db")
        let records =
            [ResourceRecord(name: owner, timeToLive: 1, data: .cname(owner))]
            + (1...3).map { ResourceRecord(name: owner, timeToLive: 1, data: .address(.v4($0))) }
        var firsts: [UInt32: Int] = [:]
        for _ in 0..<3000 {
            let shuffled = Answer(answers: records).shuffled(using: &generator).answers
            #expect(shuffled[0].type == .cname)
            #expect(Set(shuffled) == Set(records))
            if case .address(.v4(let value)) = shuffled[1].data { firsts[value, default: 0] += 1 }
        }
        #expect(firsts.values.allSatisfy { $0 > 900 && $0 < 1100 })
    }
}
