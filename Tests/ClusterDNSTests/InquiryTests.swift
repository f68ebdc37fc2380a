import ClusterDNS
import Testing

/// The chain and the search path, without IO.
@Suite struct InquiryTests {
    private let client = HostAddress.v4(0x0af4_0005)

    private func inquiry(_ text: String, _ type: RecordType = .a, isTraced: Bool = false) throws -> Inquiry {
        let domain = try name("cluster.local")
        let zone = ZoneStore(ClusterZone(domain: domain))
        zone.update { zone in
            zone.missing = []
            zone.setService(
                ServiceDescription(kind: .addressed([.v4(0x0a60_0001)])), namespace: "other", name: "db")
        }
        let pods = PodStore(PodDirectory(domain: domain))
        let pod = PodDescription(
            uid: "1", addresses: [client], search: .standard(namespace: try name("default")))
        pods.update { $0.replace(nil, with: pod) }
        return Inquiry(
            Question(name: try name(text), type: type),
            chain: ResolverChain([ClusterResolver(store: zone, timeToLive: 5)]),
            completion: SearchPathCompletion(pods: pods, timeToLive: 5), client: client, isTraced: isTraced)
    }

    @Test func theSearchPathGoesOnOutside() throws {
        var inquiry = try inquiry("example.com.default.svc.cluster.local")
        #expect(inquiry.next() == .forward(Question(name: try name("example.com"), type: .a)))
        let address = ResourceRecord(
            name: try name("example.com"), timeToLive: 60, data: .address(.v4(0xc000_0201)))
        guard case .answer(let answer) = inquiry.received(Answer(answers: [address])) else {
            Issue.record("no answer")
            return
        }
        #expect(
            answer.answers.map(\.text) == [
                "example.com.default.svc.cluster.local. CNAME example.com.", "example.com. A 192.0.2.1",
            ])
        #expect(inquiry.isCompleted)
    }

    /// The client goes on by itself then, and hears of the failure where it belongs.
    @Test func aFailureOutsideIsNotThatOfTheFirstName() throws {
        var inquiry = try inquiry("example.com.default.svc.cluster.local")
        _ = inquiry.next()
        guard case .answer(let answer) = inquiry.received(Answer(code: .serverFailure)) else {
            Issue.record("no answer")
            return
        }
        #expect(answer.code == .nameError)
        #expect(answer.answers.isEmpty)
        #expect(!answer.authority.isEmpty)
        var direct = try self.inquiry("example.com")
        #expect(direct.next() == .forward(direct.question))
        #expect(direct.received(Answer(code: .serverFailure)) == .answer(Answer(code: .serverFailure)))
    }

    /// A mistyped Service must not make anybody wait for other servers.
    @Test func singleLabelsStayInside() throws {
        var inquiry = try inquiry("missing.default.svc.cluster.local")
        guard case .answer(let answer) = inquiry.next() else {
            Issue.record("asks outside")
            return
        }
        #expect(answer.code == .nameError)
    }

    @Test func whatWasFoundIsKeptForExplanations() throws {
        var inquiry = try inquiry("db.other.default.svc.cluster.local", isTraced: true)
        guard case .answer(let answer) = inquiry.next() else {
            Issue.record("asks outside")
            return
        }
        #expect(answer.answers.count == 2)
        let findings = try #require(inquiry.findings)
        #expect(
            findings.map(\.question.name.description) == [
                "db.other.default.svc.cluster.local.", "db.other.svc.cluster.local.",
            ])
        #expect(findings.map(\.resolver) == ["cluster", "cluster"])
    }

    @Test func addressesAreUsedAgain() throws {
        var pods = PodDirectory(domain: try name("cluster.local"))
        func pod(_ uid: String, _ namespace: String) throws -> PodDescription {
            PodDescription(
                uid: uid, addresses: [client], search: .standard(namespace: try name(namespace)))
        }
        pods.replace(nil, with: try pod("1", "a"))
        // The second pod is heard of before the end of the first.
        pods.replace(nil, with: try pod("2", "b"))
        pods.replace(try pod("1", "a"), with: nil)
        #expect(pods.searchPath(of: client)?.domains.first == DNSName("b.svc.cluster.local"))
        pods.replace(try pod("2", "b"), with: nil)
        #expect(pods.searchPath(of: client) == nil)
        #expect(pods.count == 0)
    }
}
