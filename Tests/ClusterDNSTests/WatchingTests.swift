import ClusterDNS
import HTTPService
import KubernetesAPI
import KubernetesClient
import Logging
import Testing

/// The server behind real informers, which list and watch a scripted API server.
@Suite struct WatchingTests {
    private static let service = """
        {"metadata":{"name":"web","namespace":"default","resourceVersion":"3"},\
        "spec":{"clusterIP":"None","clusterIPs":["None"],"ports":[{"name":"http","port":80,"protocol":"TCP"}]}}
        """

    private static func slice(_ revision: Int, _ address: String) -> String {
        """
        {"metadata":{"name":"web-1","namespace":"default","resourceVersion":"\(revision)",\
        "labels":{"kubernetes.io/service-name":"web"}},"addressType":"IPv4",\
        "ports":[{"name":"http","port":3000,"protocol":"TCP"}],"endpoints":[{"addresses":["\(address)"]}]}
        """
    }

    @Test func whatIsWatchedIsAnswered() async throws {
        let (sliceEvents, sendSlice) = AsyncStream.makeStream(of: String.self)
        let (gate, openGate) = AsyncStream.makeStream(of: Never.self)
        let api = ClosureResponder { request in
            let isSlices = request.path.hasSuffix("/endpointslices")
            if request.query.first("watch") != nil {
                return HTTPResponse(
                    headers: ["Content-Type": "application/json"],
                    body: .stream { writer in
                        guard isSlices else { return }
                        for await event in sliceEvents { try await writer.write(Array((event + "\n").utf8)) }
                    })
            }
            // The API server takes its time over the first list.
            if !isSlices { for await _ in gate {} }
            let items = isSlices ? Self.slice(4, "10.244.0.5") : Self.service
            return HTTPResponse(
                contentType: "application/json",
                Array("{\"metadata\":{\"resourceVersion\":\"5\"},\"items\":[\(items)]}".utf8))
        }
        let client = KubernetesClient(transport: InProcessTransport(responder: api, user: "dns", groups: []))
        let informers = InformerSet(client: client)
        let server = try DNSServer(
            configuration: DNSConfiguration(
                listen: [ListenAddress(address: .v4(0x7f00_0001), port: 0)], resolverFile: "/nonexistent",
                patience: .seconds(600)),
            informers: informers, logger: Logger(label: "test"))
        try await server.bind()
        let port = try #require(server.addresses.first?.port)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await informers.run() }
            tasks.addTask { try await server.run() }
            defer { tasks.cancelAll() }

            // Asked before anything is known: the query waits, it is not answered wrongly.
            let socket = try LoopbackSocket(datagram: port)
            let query = try query("web.default.svc.cluster.local")
            try socket.send(query.message())
            openGate.finish()
            #expect(try await addresses(socket.receiveDatagram()) == ["10.244.0.5"])

            // From now on this hears of events right after the server.
            let (events, heard) = AsyncStream.makeStream(of: Void.self)
            informers.informer(EndpointSlice.self).subscribe { event in
                if case .added = event { return }
                if case .synced = event { return }
                heard.yield()
            }
            var next = events.makeAsyncIterator()
            for revision in 6..<30 {
                sendSlice.yield(
                    "{\"type\":\"MODIFIED\",\"object\":\(Self.slice(revision, "10.244.1.\(revision)"))}")
                await next.next()
                #expect(try await addresses(socket.ask(query.message())) == ["10.244.1.\(revision)"])
            }
            sendSlice.yield("{\"type\":\"DELETED\",\"object\":\(Self.slice(40, "10.244.1.29"))}")
            await next.next()
            #expect(try await Response(reading: socket.ask(query.message())).answer.code == .nameError)
        }
    }

    private func addresses(_ message: [UInt8]) throws -> [String] {
        try Response(reading: message).answer.answers.compactMap {
            if case .address(let address) = $0.data { address.description } else { nil }
        }
    }
}
