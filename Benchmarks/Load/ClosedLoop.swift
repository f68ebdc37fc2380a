import BenchmarkSupport
import HTTPService
import KubernetesClient

/// Clients of which each sends its next request when the last one was answered, each on a connection of its own.
public struct ClosedLoop: Sendable {
    /// Requests answered in a second, by all clients together.
    public private(set) var rate = 0.0
    /// How long the answers took, in milliseconds.
    public private(set) var latencies = Samples()

    /// Sends `count` requests and measures.
    ///
    /// - Parameter request: sends the request of that number.
    public init(
        clients: Int, requests count: Int, to server: APIProcess, offersHTTP2: Bool = true,
        request: @escaping @Sendable (HTTPSTransport, Int) async throws -> Void
    ) async throws {
        var transports: [(ClientThread, HTTPSTransport)] = []
        for _ in 0..<clients {
            let thread = ClientThread.next()
            let transport = try server.connect(offersHTTP2: offersHTTP2, on: thread)
            // Opens the connection: the handshake is not what is measured.
            try await transport.exchange(.GET, "/readyz")
            transports.append((thread, transport))
        }
        let begin = ContinuousClock.now
        let samples = try await withThrowingTaskGroup(of: [Double].self) { group in
            for (client, (thread, transport)) in transports.enumerated() {
                group.addTask(executorPreference: thread.executor) {
                    var samples: [Double] = []
                    for number in stride(from: client, to: count, by: clients) {
                        let sent = ContinuousClock.now
                        try await request(transport, number)
                        samples.append((ContinuousClock.now - sent) / .milliseconds(1))
                    }
                    return samples
                }
            }
            return try await group.reduce(into: [Double]()) { $0 += $1 }
        }
        rate = Double(count) / ((ContinuousClock.now - begin) / .seconds(1))
        for sample in samples { latencies.add(sample) }
        for (_, transport) in transports { await transport.close() }
    }
}
