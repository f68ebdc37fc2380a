import ClusterDNS
import HostileInput
import Testing

@Suite struct NameTests {
    @Test func textAndBack() throws {
        #expect(try name("web.default").description == "web.default.")
        #expect(try name("web.default.") == name("web.default"))
        #expect(try name(".") == .root)
        #expect(DNSName.root.description == ".")
        #expect(try name("wEb").lowercased == name("web"))
    }

    @Test func limits() {
        #expect(DNSName("a..b") == nil)
        #expect(DNSName(".a") == nil)
        #expect(DNSName(String(repeating: "a", count: 63)) != nil)
        #expect(DNSName(String(repeating: "a", count: 64)) == nil)
        // 255 bytes with all lengths and the final zero: three labels of 63 and one of 61.
        let label = String(repeating: "a", count: 63)
        let long = [label, label, label, String(repeating: "a", count: 61)].joined(separator: ".")
        #expect(DNSName(long) != nil)
        #expect(DNSName(long + "a") == nil)
    }

    @Test func relativeNamesEndAtLabels() throws {
        let domain = try name("cluster.local")
        #expect(try name("web.cluster.local").relative(to: domain) == name("web"))
        #expect(domain.relative(to: domain) == .root)
        #expect(try name("notcluster.local").relative(to: domain) == nil)
        #expect(try name("local").relative(to: domain) == nil)
        // The suffix's bytes, length included, inside of a label.
        let trap = DNSName(labels: ["x\u{7}cluster", "local"])
        #expect(trap?.relative(to: domain) == nil)
    }

    @Test func addresses() throws {
        #expect(try address("10.96.0.10").dashed == "10-96-0-10")
        #expect(HostAddress(dashed: "10-96-0-10") == HostAddress("10.96.0.10"))
        #expect(HostAddress(dashed: "fd00--1") == HostAddress("fd00::1"))
        #expect(HostAddress(dashed: "web-0") == nil)
        #expect(HostAddress("10.96.0.256") == nil)
        let range = try #require(AddressRange("10.96.0.0/12"))
        #expect(range.contains(try address("10.111.255.255")))
        #expect(!range.contains(try address("10.112.0.0")))
        #expect(!range.contains(try address("fd00::1")))
        #expect(AddressRange("10.96.0.0/33") == nil)
        #expect(ListenAddress("10.96.0.10") == ListenAddress("10.96.0.10:53"))
        #expect(ListenAddress("[fd00::a]:54")?.port == 54)
        #expect(ListenAddress("10.96.0.10:65536") == nil)
    }
}

@Suite struct MessageTests {
    private let header: [UInt8] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]

    @Test func aQueryIsReadAsItWasWritten() throws {
        var query = try query("Web.default.svc.cluster.local", .srv, id: 0xbeef)
        query.extensions = Query.Extensions(payloadSize: 4096, wantsDNSSEC: true)
        #expect(Query.read(query.message()) == .query(query))
    }

    @Test func whatIsNoQueryIsIgnored() throws {
        #expect(Query.read([]) == .ignored)
        #expect(Query.read([1, 2, 3]) == .ignored)
        var response = try query("web").message()
        response[2] |= 0x80
        #expect(Query.read(response) == .ignored)
    }

    @Test(
        arguments: [
            // More than one question, none at all, and one cut short.
            ([0, 2], [3, 0x77, 0x65, 0x62, 0, 0, 1, 0, 1, 0, 0, 1, 0, 1], ResponseCode.formatError),
            ([0, 0], [], .formatError),
            ([0, 1], [3, 0x77, 0x65], .formatError),
            // Class CH, and a zone transfer.
            ([0, 1], [0, 0, 16, 0, 3], .refused),
            ([0, 1], [0, 0, 252, 0, 1], .refused),
            // A name that points at itself, and a label length that is none.
            ([0, 1], [0xc0, 12, 0, 1, 0, 1], .formatError),
            ([0, 1], [0x40, 0, 1, 0, 1], .formatError),
        ] as [([UInt8], [UInt8], ResponseCode)])
    func rejections(count: [UInt8], body: [UInt8], code: ResponseCode) throws {
        guard case .rejected(let reply, _) = Query.read([0, 7, 1, 0] + count + [0, 0, 0, 0, 0, 0] + body)
        else {
            Issue.record("not rejected")
            return
        }
        let response = try Response(reading: reply)
        #expect(response.id == 7)
        #expect(response.answer.code == code)
    }

    @Test func otherOperationsAreNotImplemented() throws {
        var message = try query("web").message()
        message[2] |= 5 << 3  // UPDATE
        guard case .rejected(let reply, _) = Query.read(message) else {
            Issue.record("not rejected")
            return
        }
        #expect(try Response(reading: reply).answer.code == .notImplemented)
        #expect(reply[2] & 0x78 == 5 << 3)
    }

    @Test func extensions() throws {
        var query = try query("web")
        query.extensions = Query.Extensions(payloadSize: 4096, wantsDNSSEC: false)
        var message = query.message()
        // The version is the second byte of the OPT record's time to live.
        message[message.count - 5] = 1
        guard case .rejected(let reply, _) = Query.read(message) else {
            Issue.record("not rejected")
            return
        }
        #expect(try Response(reading: reply).answer.code == .badVersion)
        let twice = query.message() + query.message().suffix(11)
        var both = twice
        both[11] = 2
        guard case .rejected(let second, _) = Query.read(both) else {
            Issue.record("two OPT records are accepted")
            return
        }
        #expect(try Response(reading: second).answer.code == .formatError)
        // An unknown option is no reason to fail.
        var option = query.message()
        option[option.count - 1] = 6
        option += [0, 10, 0, 2, 1, 2]
        #expect(Query.read(option) == .query(query))
    }

    @Test func responsesAreCompressedAndReadBack() throws {
        let query = try query("web.default.svc.cluster.local", .srv)
        let records = try (0..<4).map {
            ResourceRecord(
                name: query.question.name, timeToLive: 5,
                data: .srv(priority: 0, weight: 1, port: UInt16($0), target: try name("a\($0).example.com")))
        }
        let additional = try [
            ResourceRecord(name: name("a0.example.com"), timeToLive: 5, data: .address(address("192.0.2.1"))),
            ResourceRecord(
                name: name("a1.example.com"), timeToLive: 5, data: .address(address("2001:db8::1"))),
            ResourceRecord(name: name("a1.example.com"), timeToLive: 5, data: .txt([[1, 2], []])),
            ResourceRecord(
                name: name("a1.example.com"), timeToLive: 5, data: .other(RecordType(rawValue: 99), [1])),
            ResourceRecord(
                name: name("example.com"), timeToLive: 5,
                data: .mx(preference: 1, exchange: name("m.example.com"))),
        ]
        let answer = Answer(isAuthoritative: true, answers: records, additional: additional)
        let message = query.response(answer, limit: 512)
        let response = try Response(reading: message)
        #expect(response.answer == answer)
        #expect(response.question == query.question)
        #expect(response.answers(query))
        #expect(!response.isTruncated)
        // The owner's 31 bytes are written once.
        #expect(message.count < 4 * 31 + 200)
    }

    @Test func whatDoesNotFitIsLeftOutAndSaid() throws {
        var query = try query("web.default.svc.cluster.local")
        let records = (0..<100).map {
            ResourceRecord(name: query.question.name, timeToLive: 5, data: .address(.v4($0)))
        }
        let answer = Answer(answers: records)
        #expect(query.datagramLimit == 512)
        for size in [512, 600, 1232, 9000] {
            query.extensions = Query.Extensions(payloadSize: size, wantsDNSSEC: false)
            let limit = query.datagramLimit
            #expect(limit == min(size, 1232))
            let message = query.response(answer, limit: limit)
            let response = try Response(reading: message)
            #expect(message.count <= limit)
            #expect(message.count > limit - 16)
            #expect(response.isTruncated)
            #expect(response.answer.answers.count > 20)
        }
        let whole = try Response(reading: query.response(answer, limit: Query.largestMessage))
        #expect(!whole.isTruncated)
        #expect(whole.answer.answers.count == 100)
    }

    @Test func additionalRecordsThatDoNotFitAreNoTruncation() throws {
        let query = try query("web", .srv)
        let additional = (0..<100).map {
            ResourceRecord(name: query.question.name, timeToLive: 5, data: .address(.v4($0)))
        }
        let response = try Response(reading: query.response(Answer(additional: additional), limit: 512))
        #expect(!response.isTruncated)
        #expect(!response.answer.additional.isEmpty)
    }

    @Test func addressesInLabelsHaveDashes() {
        #expect(HostAddress(dashed: "10-244-0-5") == HostAddress("10.244.0.5"))
        #expect(HostAddress(dashed: "fd00--5") == HostAddress("fd00::5"))
        for label in ["10.244.0.5", "fd00::5", "10-244-0-5\0x"] { #expect(HostAddress(dashed: label) == nil) }
    }

    /// There are servers that cut where the datagram ends; that it was cut is what counts.
    @Test func answersThatAreCutAnywhereAreAnswers() throws {
        let asked = try query("web.example.com", id: 9)
        let records = (0..<4).map {
            ResourceRecord(name: asked.question.name, timeToLive: 5, data: .address(.v4($0)))
        }
        let whole = asked.response(Answer(answers: records), limit: 512)
        var cut = Array(whole.dropLast(7))
        #expect(throws: MessageReader.Failure.self) { try Response(reading: cut) }
        cut[2] |= 0x02
        let response = try Response(reading: cut)
        #expect(response.isTruncated && response.answers(asked))
    }

    /// RFC 6891, 7: who does not know EDNS may say so with a header alone.
    @Test func aHeaderAloneRefusesAQuery() throws {
        let asked = try query("web.example.com", id: 9)
        for (code, isAnswer) in [(UInt8(1), true), (4, true), (2, true), (0, false), (3, false)] {
            let header = [0, 9, 0x80, code] + [UInt8](repeating: 0, count: 8)
            #expect(try Response(reading: header).answers(asked) == isAnswer)
        }
    }

    @Test func aliasesStayInFront() throws {
        let name = try name("web.example.com")
        let records: [RecordData] = [
            .other(RecordType(rawValue: 39), [0]), .cname(name), .address(.v4(1)), .address(.v4(2)),
            .address(.v4(3)),
        ]
        let answer = Answer(answers: records.map { ResourceRecord(name: name, timeToLive: 5, data: $0) })
        var generator = SeededGenerator(seed: 4)
        var orders: Set<[ResourceRecord]> = []
        for _ in 0..<100 {
            let shuffled = answer.shuffled(using: &generator).answers
            #expect(shuffled[..<2] == answer.answers[..<2])
            orders.insert(shuffled)
        }
        #expect(orders.count == 6)
    }

    @Test func forgedResponsesAreNotAnswers() throws {
        let asked = try query("web.example.com", id: 9)
        let good = try Response(reading: asked.response(Answer(), limit: 512))
        #expect(good.answers(asked))
        #expect(try !good.answers(query("web.example.com", id: 8)))
        #expect(try !good.answers(query("wab.example.com", id: 9)))
        #expect(try !good.answers(query("web.example.com", .aaaa, id: 9)))
    }
}
