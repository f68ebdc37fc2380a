import ContainerRuntime
import Glibc
import HTTPService
import Logging
import Synchronization

/// One client attached without a terminal: feeds an `AttachReplay` from the runtime's connection and the container's
/// log, and writes to the client what comes of it.
///
/// The client is written to by one task, which reads the log as fast as the client takes it. The live bytes are taken
/// at once, whatever the client does: little of them is kept.
package final class AttachSession: Sendable {
    private struct State {
        var replay: AttachReplay
        /// Counts what the runtime and the log bring.
        var activity: UInt64 = 0
        /// Set when nothing more comes: whether the container has ended.
        var outcome: Bool?
        var runtimeHasClosed = false

        /// The outcome, once no more streams can be accepted.
        var settled: Bool? { replay.isReady || runtimeHasClosed ? outcome : nil }
    }

    private enum Ended { case client, output, aside }

    /// So long, neither log nor runtime may bring anything before an unfinished line is shown on a guess.
    private static let quietTime = Duration.milliseconds(50)
    /// A container that ends is polled this often; it has closed its output already.
    private static let pollTime = Duration.milliseconds(5)
    /// How long a container may live on without its output.
    private static let patience = Duration.seconds(10)
    /// How long a client may take to read the last of it (as long as upstream's idle streams live).
    private static let clientPatience = Duration.seconds(4 * 3600)

    private let state: Mutex<State>
    private let logPath: String
    private let clock: AgentClock
    private let logger: Logger
    private let hasEnded: @Sendable () async -> Bool
    private let wake = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let arm = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    private let liveEnd = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))

    /// - Parameter hasEnded: whether the container has ended and all its output is in the log.
    package init(
        _ replay: AttachReplay, logPath: String, clock: AgentClock, logger: Logger,
        hasEnded: @escaping @Sendable () async -> Bool
    ) {
        state = Mutex(State(replay: replay))
        self.logPath = logPath
        self.clock = clock
        self.logger = logger
        self.hasEnded = hasEnded
    }

    /// Serves the client until all is told or it goes away; then closes both tunnels.
    /// - Parameter runtime: the upgraded connection to the runtime; nil for a container that has ended.
    package func run(client: Tunnel, runtime: Tunnel?) async {
        await withTaskCancellationHandler {
            do {
                let watch = try FileWatch(logPath)
                await serve(client, runtime, watch)
            } catch {
                logger.warning("What a container wrote before an attach cannot be shown: \(error)")
                if let runtime { await Tunnel.join(client, runtime) }
            }
        } onCancel: {
            client.close()
            runtime?.close()
        }
        client.close()
        runtime?.close()
    }

    private func serve(_ client: Tunnel, _ runtime: Tunnel?, _ watch: FileWatch) async {
        await withTaskGroup(of: Ended.self) { group in
            if let runtime {
                group.addTask { await self.passInput(client, runtime) }
                group.addTask { await self.takeLive(runtime) }
            } else {
                group.addTask { await self.acceptStreams(client) }
            }
            group.addTask {
                for await _ in self.liveEnd.stream { break }
                await self.awaitEnd()
                return .aside
            }
            group.addTask {
                while (try? await watch.wait()) != nil { self.note { _ in } }
                return .aside
            }
            group.addTask { await self.noticeQuiet() }
            group.addTask { await self.write(to: client) }
            loop: for await ended in group {
                switch ended {
                case .client: break loop
                case .output:
                    // The client closes once it has read everything. At the end of a connection it would forget what it
                    // has received and not read yet.
                    group.addTask {
                        try? await self.clock.sleep(Self.clientPatience)
                        return .client
                    }
                case .aside: break
                }
            }
            group.cancelAll()
            runtime?.close()
        }
    }

    // MARK: - What comes

    /// Changes the state for something that happened, and lets the writer look.
    private func note(_ change: (inout AttachReplay) -> Void) {
        let liveHasEnded = state.withLock { state in
            state.activity += 1
            change(&state.replay)
            return state.replay.liveHasEnded
        }
        if liveHasEnded { liveEnd.continuation.yield() }
        wake.continuation.yield()
    }

    private func passInput(_ client: Tunnel, _ runtime: Tunnel) async -> Ended {
        var isOpen = true
        do {
            for try await bytes in client.inbound where isOpen {
                // A runtime that is done takes no more input; the client still gets the rest of the output.
                do { try await runtime.write(bytes) } catch { isOpen = false }
            }
        } catch {
            logger.debug("An attached client went away: \(error)")
        }
        return .client
    }

    private func takeLive(_ runtime: Tunnel) async -> Ended {
        do {
            for try await bytes in runtime.inbound { note { $0.live(bytes) } }
        } catch {
            logger.debug("The runtime ended an attachment: \(error)")
        }
        state.withLock { $0.runtimeHasClosed = true }
        note { $0.liveClosed() }
        return .aside
    }

    private func acceptStreams(_ client: Tunnel) async -> Ended {
        var accepter = SPDYAccepter()
        note { $0.liveClosed() }
        do {
            for try await bytes in client.inbound {
                let answer = accepter.answer(bytes)
                note { $0.live(answer) }
            }
        } catch {
            logger.debug("An attached client went away: \(error)")
        }
        return .client
    }

    private func awaitEnd() async {
        let start = clock.now()
        var isOver = await hasEnded()
        while !isOver, clock.now() - start < Self.patience {
            do { try await clock.sleep(Self.pollTime) } catch { return }
            isOver = await hasEnded()
        }
        state.withLock { $0.outcome = isOver }
        wake.continuation.yield()
    }

    private func noticeQuiet() async -> Ended {
        for await _ in arm.stream {
            var seen: UInt64?
            while true {
                let now = state.withLock { $0.activity }
                if seen == now { break }
                seen = now
                do { try await clock.sleep(Self.quietTime) } catch { return .aside }
            }
            state.withLock { $0.replay.unfinished(isQuiet: true) }
            wake.continuation.yield()
        }
        return .aside
    }

    // MARK: - What goes out

    private func write(to client: Tunnel) async -> Ended {
        let descriptor = open(logPath, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        var lines = LineCutter()
        do {
            for await _ in wake.stream {
                while true {
                    // Asked before reading: what was written before the end is then read for certain.
                    let (isReady, outcome) = state.withLock { ($0.replay.isReady, $0.settled) }
                    let chunk = isReady ? lines.read(descriptor) : nil
                    let output = state.withLock { state in
                        for line in chunk ?? [] { state.replay.log(line) }
                        if chunk == nil {
                            state.replay.unfinished(isQuiet: false)
                            if let outcome { state.replay.finish(isComplete: outcome) }
                        }
                        return state.replay.takeOutput()
                    }
                    if !output.isEmpty { try await client.write(output) }
                    guard chunk == nil else { continue }
                    if let outcome {
                        if !outcome || !isReady { await client.finish() }
                        return .output
                    }
                    break
                }
                if state.withLock({ $0.replay.isWaiting }) { arm.continuation.yield() }
            }
        } catch {
            logger.debug("An attached client takes no more output: \(error)")
        }
        return .client
    }
}

/// Cuts what is read of a file into lines.
private struct LineCutter {
    private var rest: [UInt8] = []

    /// The lines that the next part of the file completes; nil at its present end.
    mutating func read(_ descriptor: Int32) -> [ArraySlice<UInt8>]? {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else { return nil }
        rest += buffer[..<count]
        var lines: [ArraySlice<UInt8>] = []
        var start = rest.startIndex
        while let newline = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(rest[start..<newline])
            start = newline + 1
        }
        rest.removeSubrange(..<start)
        return lines
    }
}
