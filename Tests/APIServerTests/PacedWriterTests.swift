import APIServer
import HTTPService
import Synchronization
import Testing

@Suite struct PacedWriterTests {
    /// Its sleepers wake at once, and are counted.
    private final class HastyClock: Clock {
        struct Instant: InstantProtocol {
            var offset: Swift.Duration = .zero
            func advanced(by duration: Swift.Duration) -> Instant { Instant(offset: offset + duration) }
            func duration(to other: Instant) -> Swift.Duration { other.offset - offset }
            static func < (a: Instant, b: Instant) -> Bool { a.offset < b.offset }
        }
        private let time = Mutex(Instant())
        private let onWake: @Sendable () async -> Void
        init(onWake: @escaping @Sendable () async -> Void = {}) { self.onWake = onWake }
        var now: Instant { time.withLock { $0 } }
        let minimumResolution: Swift.Duration = .zero
        func sleep(until deadline: Instant, tolerance: Swift.Duration?) async throws {
            time.withLock { $0 = deadline }
            await onWake()
        }
    }

    private struct Client: ResponseWriter {
        let take: @Sendable () async throws -> Void
        func write(_ bytes: [UInt8]) async throws { try await take() }
    }

    @Test func aClientThatTakesNothingIsGivenUp() async throws {
        let (begun, signal) = AsyncStream.makeStream(of: Void.self)
        let paced = PacedWriter(
            writer: Client {
                signal.yield()
                // Until cancelled.
                for await _ in AsyncStream<Never>.makeStream().stream {}
            })
        let writing = Task { try await paced.write([1]) }
        for await _ in begun { break }
        let clock = HastyClock()
        await #expect(throws: StalledClientError.self) {
            try await paced.watchOver(for: .seconds(3600), clock)
        }
        #expect(clock.now.offset == .seconds(60))
        writing.cancel()
        try await writing.value
    }

    @Test func aClientThatIsSlowIsNot() async throws {
        let paced = PacedWriter(writer: Client {})
        let clock = HastyClock { try? await paced.write([1]) }
        try await paced.watchOver(for: .seconds(100), clock)
        #expect(clock.now.offset == .seconds(100))
    }
}
