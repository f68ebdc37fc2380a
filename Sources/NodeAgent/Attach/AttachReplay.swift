/// What a client that attaches without a terminal gets: everything from the container's start, each byte once.
///
/// A container may have written, and ended, before anyone could attach; the runtime then sends too little or nothing.
/// The runtime's frames are passed on as they are, but for the data of standard output and error: these come from the
/// container's log (see `AttachedOutput`), in data frames of our own, which need no compression. Once the runtime ends
/// them, the rest is held back until the log is complete. A value without IO; bytes for the client gather in it.
package struct AttachReplay: Sendable {
    private struct Stream {
        let id: UInt32
        let isError: Bool
        var isAccepted = false
        var output = AttachedOutput()
    }

    /// The stream of the result, which kubectl opens first.
    private static let resultStream: UInt32 = 1
    private static let frameSize = 32 << 10

    private var frames = SPDYFrameReader()
    private var streams: [Stream] = []
    private var output: [UInt8] = []
    /// Where the last data frame in `output` begins, and its stream, while it can grow.
    private var open: (start: Int, stream: UInt32)?
    /// The runtime's frames after the end of its output; of the result; and that concern our streams only.
    private var held: [(isOurs: Bool, bytes: [UInt8])] = []
    private let success: [UInt8]
    private var isFinished = false

    /// Whether the runtime has ended its output.
    package private(set) var liveHasEnded = false

    /// - Parameters:
    ///   - stdin, stdout, stderr: what the request asks for. From it follow the numbers of the streams: clients open
    ///     result, input, output and error in this order (Kubernetes `remotecommand` protocols v1 to v4).
    ///   - protocolName: what the runtime and the client agreed on; v4 tells the result as a Status.
    package init(stdin: Bool, stdout: Bool, stderr: Bool, protocolName: String) {
        var next: UInt32 = stdin ? 5 : 3
        for (wanted, isError) in [(stdout, false), (stderr, true)] where wanted {
            streams.append(Stream(id: next, isError: isError))
            next += 2
        }
        success =
            protocolName.hasPrefix("v4.") ? Array(#"{"metadata":{},"status":"Success"}"#.utf8) : []
    }

    /// Whether the client's streams are accepted, so that the log can be sent.
    package var isReady: Bool { streams.allSatisfy(\.isAccepted) }

    /// Whether part of an unfinished line waits for a quiet moment.
    package var isWaiting: Bool { !liveHasEnded && streams.contains { $0.output.isWaiting } }

    /// The bytes for the client since the last call.
    package mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        open = nil
        return output
    }

    /// Takes bytes of the runtime.
    package mutating func live(_ bytes: [UInt8]) {
        guard !isFinished else { return pass(bytes) }
        for frame in frames.read(bytes) {
            switch frame.kind {
            case .data(let id):
                if let index = streams.firstIndex(where: { $0.id == id }) {
                    streams[index].output.live(frame.payload)
                    if frame.isFinal { liveHasEnded = true }
                } else if id == Self.resultStream {
                    held.append((isOurs: true, frame.bytes))
                } else {
                    forward(frame)
                }
            case .control(SPDYFrame.rstStream, let id) where isOurs(id):
                if id != Self.resultStream { liveHasEnded = true }
                held.append((isOurs: true, frame.bytes))
            case .control(SPDYFrame.synReply, let id):
                if let index = streams.firstIndex(where: { $0.id == id }) { streams[index].isAccepted = true }
                pass(frame.bytes)
            case .control(SPDYFrame.goAway, _):
                held.append((isOurs: true, frame.bytes))
            case .control:
                forward(frame)
            }
        }
    }

    /// The runtime has closed the connection.
    package mutating func liveClosed() { liveHasEnded = true }

    /// Takes a line of the log file, without its newline.
    package mutating func log(_ line: some Collection<UInt8>) {
        guard let line = CRILogLine(line),
            let index = streams.firstIndex(where: { $0.isError == line.isError })
        else { return }
        send(streams[index].output.log(line), in: streams[index].id)
    }

    /// Shows what can be shown of unfinished lines.
    /// - Parameter isQuiet: neither the log nor the runtime has brought anything for a while.
    package mutating func unfinished(isQuiet: Bool) {
        guard isReady, !liveHasEnded else { return }
        for index in streams.indices {
            send(streams[index].output.unfinished(isQuiet: isQuiet), in: streams[index].id)
        }
    }

    /// Ends the client's streams.
    /// - Parameter isComplete: the container has ended and all of its log was taken. Otherwise the runtime's own
    ///   result is passed on.
    package mutating func finish(isComplete: Bool) {
        guard !isFinished else { return }
        isFinished = true
        open = nil
        if isReady {
            for stream in streams { output += SPDYFrame.data(stream.id, [], isFinal: true) }
        }
        // Without the runtime's farewell, at which kubectl would forget what it has received and not read yet.
        let isOurs = isReady && isComplete
        if isOurs { output += SPDYFrame.data(Self.resultStream, success, isFinal: true) }
        for frame in held where !(isOurs && frame.isOurs) { output += frame.bytes }
        held = []
        output += frames.unread
    }

    private func isOurs(_ id: UInt32) -> Bool {
        id == Self.resultStream || streams.contains { $0.id == id }
    }

    private mutating func forward(_ frame: SPDYFrame) {
        if liveHasEnded { held.append((isOurs: false, frame.bytes)) } else { pass(frame.bytes) }
    }

    private mutating func pass(_ bytes: [UInt8]) {
        open = nil
        output += bytes
    }

    /// Lines of the same stream travel together.
    private mutating func send(_ bytes: ArraySlice<UInt8>, in stream: UInt32) {
        guard !bytes.isEmpty else { return }
        if let open, open.stream == stream {
            let size = output.count - open.start - SPDYFrame.headerSize + bytes.count
            if size <= Self.frameSize {
                output += bytes
                for (index, shift) in [(5, 16), (6, 8), (7, 0)] {
                    output[open.start + index] = UInt8(truncatingIfNeeded: size >> shift)
                }
                return
            }
        }
        open = (output.count, stream)
        output += SPDYFrame.data(stream, bytes, isFinal: false)
    }
}
