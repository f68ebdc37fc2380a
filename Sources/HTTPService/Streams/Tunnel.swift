/// A connection that left HTTP: bytes both ways, each way ending by itself.
public struct Tunnel: Sendable {
    /// What the other side sends; ends when it ends its direction.
    public let inbound: ByteStream
    private let send: @Sendable ([UInt8]) async throws -> Void
    private let end: @Sendable () async -> Void
    private let drop: @Sendable () -> Void

    /// A tunnel from its operations.
    /// - Parameters:
    ///   - inbound: what the other side sends.
    ///   - write: sends bytes; returns when more may be sent.
    ///   - finish: ends the outbound direction once everything written is sent, the inbound one stays open.
    ///   - close: ends both directions at once.
    public init(
        inbound: ByteStream, write: @escaping @Sendable ([UInt8]) async throws -> Void,
        finish: @escaping @Sendable () async -> Void, close: @escaping @Sendable () -> Void
    ) {
        self.inbound = inbound
        send = write
        end = finish
        drop = close
    }

    /// Sends bytes; returns when more may be sent.
    /// - Throws: `HTTPError` with `connectionClosed` or `closed`, `CancellationError`.
    public func write(_ bytes: [UInt8]) async throws {
        try await send(bytes)
    }

    /// Ends the outbound direction (half-close) once everything written is sent.
    public func finish() async {
        await end()
    }

    /// Ends both directions at once.
    public func close() {
        drop()
    }

    /// Two tunnels in memory: what is written to one is read from the other.
    public static func pair() -> (Tunnel, Tunnel) {
        let forth = BytePipe()
        let back = BytePipe()
        func half(reading: BytePipe, writing: BytePipe) -> Tunnel {
            Tunnel(
                inbound: ByteStream(reading),
                write: { try await writing.write($0) },
                finish: { writing.finish() },
                close: {
                    let error = HTTPError(.connectionClosed, "the tunnel was closed")
                    writing.finish()
                    reading.abandon(error)
                })
        }
        return (half(reading: back, writing: forth), half(reading: forth, writing: back))
    }

    /// Passes bytes both ways until both directions have ended, then closes both tunnels. The end of one
    /// direction is passed on and leaves the other one open. A failure, or cancelling the task, closes both.
    public static func join(_ left: Tunnel, _ right: Tunnel) async {
        await withTaskCancellationHandler {
            await withTaskGroup(of: Bool.self) { group in
                group.addTask { await pass(from: left, to: right) }
                group.addTask { await pass(from: right, to: left) }
                for await ok in group where !ok {
                    left.close()
                    right.close()
                }
            }
        } onCancel: {
            left.close()
            right.close()
        }
        left.close()
        right.close()
    }

    private static func pass(from source: Tunnel, to target: Tunnel) async -> Bool {
        do {
            for try await bytes in source.inbound { try await target.write(bytes) }
            await target.finish()
            return true
        } catch {
            return false
        }
    }
}
