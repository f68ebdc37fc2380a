import ClusterDNS
import HostileInput
import Testing

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Messages come from anybody. Starts from the messages kept in `Corpus`, each a text of hexadecimal digits with
/// comments; one that was found to do harm is to be added there.
@Suite struct FuzzTests {
    private static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast()
        return "/" + parts.joined(separator: "/") + "/Corpus"
    }()

    private static func corpus() throws -> [String: [UInt8]] {
        var messages: [String: [UInt8]] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".hex") {
            let text = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            messages[name] = try bytes(text)
        }
        return messages
    }

    private static func bytes(_ text: String) throws -> [UInt8] {
        let lines = text.split(separator: "\n").map { $0.prefix { $0 != "#" } }
        let digits = Array(lines.joined().filter { !$0.isWhitespace })
        try #require(digits.count.isMultiple(of: 2))
        return try Swift.stride(from: 0, to: digits.count, by: 2).map {
            try #require(UInt8(String(digits[$0...($0 + 1)]), radix: 16))
        }
    }

    private func responder() throws -> Responder {
        let zone = ZoneStore(ClusterZone(domain: try name("cluster.local")))
        zone.update {
            $0.setService(
                ServiceDescription(
                    kind: .addressed([.v4(0x0a60_0c22)]),
                    ports: [ServiceDescription.Port(name: "http", transport: "TCP", number: 80)]),
                namespace: "default", name: "web")
        }
        let pods = PodStore(PodDirectory(domain: try name("cluster.local")))
        let pod = PodDescription(
            uid: "u", addresses: [.v4(1)], search: .standard(namespace: try name("default")))
        pods.update { $0.replace(nil, with: pod) }
        return Responder(
            chain: ResolverChain([
                LoopDetector(), ClusterResolver(store: zone, timeToLive: 5),
                ReverseResolver(store: zone, ranges: [], timeToLive: 5),
            ]), completion: SearchPathCompletion(pods: pods, timeToLive: 5))
    }

    /// What every message must come through; true if it was understood as a query.
    private func survive(_ message: [UInt8], _ responder: Responder) async throws -> Bool {
        var isQuery = false
        if case .query(let query) = Query.read(message) {
            isQuery = true
            #expect(Query.read(query.message()) == .query(query) || query.message().count >= 512)
        }
        _ = try? Response(reading: message)
        var generator = SeededGenerator(seed: 7)
        switch responder.respond(to: message, over: .datagram, from: .v4(1), using: &generator) {
        case .reply(let reply):
            #expect(reply.bytes.count <= Query.largestDatagram)
            _ = try Response(reading: reply.bytes)
        case .later(let pending):
            let reply = await pending.reply { _ in Answer(code: .nameError) }
            _ = try Response(reading: reply.bytes)
        case .ignore: break
        }
        return isQuery
    }

    @Test func theCorpusIsUnderstoodOrRefused() async throws {
        let responder = try responder()
        let corpus = try Self.corpus()
        #expect(corpus.count >= 20)
        for (name, message) in corpus {
            let isQuery = try await survive(message, responder)
            // The files say by their names what they are.
            #expect(isQuery == name.hasPrefix("query"), "\(name)")
        }
    }

    @Test func damagedMessages() async throws {
        let responder = try responder()
        let corpus = try Self.corpus().sorted { $0.key < $1.key }.map(\.value)
        var fuzzer = Fuzzer("dns-message", seed: 53)
        var understood = 0
        for _ in 0..<Fuzzer.rounds(20_000) {
            if try await survive(fuzzer.mutated(corpus), responder) { understood += 1 }
        }
        #expect(understood > 500)
    }

    @Test func pointersCannotLoop() throws {
        // Two names that point at each other, and a chain of pointers.
        let header: [UInt8] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        for body in [[0xc0, 14, 0xc0, 12, 0, 1, 0, 1], [1, 0x61, 0xc0, 12, 0, 1, 0, 1]] as [[UInt8]] {
            var reader = MessageReader(header + body, offset: 14)
            #expect(throws: MessageReader.Failure.self) { try reader.name() }
        }
        // A name longer than 255 bytes by way of pointers.
        var bytes: [UInt8] = []
        var previous: Int?
        for _ in 0..<5 {
            let start = bytes.count
            bytes += [63] + [UInt8](repeating: 0x61, count: 63)
            bytes += previous.map { [0xc0, UInt8($0)] } ?? [0]
            previous = start
        }
        var reader = MessageReader(bytes, offset: try #require(previous))
        #expect(throws: MessageReader.Failure.badName) { try reader.name() }
    }
}
