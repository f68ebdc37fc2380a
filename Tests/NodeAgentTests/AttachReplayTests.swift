import NodeAgent
import Testing

@Suite struct SPDYFrameTests {
    @Test func framesAreFoundHoweverTheyArrive() {
        let bytes =
            SPDYFrame.synReply(1, isFirst: true) + SPDYFrame.data(5, Array("hello".utf8), isFinal: false)
            + SPDYFrame.data(7, [], isFinal: true)
        for cut in 0...bytes.count {
            var reader = SPDYFrameReader()
            let frames = reader.read(Array(bytes[..<cut])) + reader.read(Array(bytes[cut...]))
            #expect(
                frames.map(\.kind) == [
                    .control(type: SPDYFrame.synReply, stream: 1), .data(stream: 5), .data(stream: 7),
                ])
            #expect(Array(frames.map(\.bytes).joined()) == bytes)
            #expect(frames.map(\.isFinal) == [false, false, true])
            #expect(reader.unread.isEmpty)
        }
    }

    @Test func anyBytesAreSafe() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<3000 {
            var reader = SPDYFrameReader()
            var accepter = SPDYAccepter()
            var replay = AttachReplay(
                stdin: true, stdout: true, stderr: true, protocolName: "v4.channel.k8s.io")
            for _ in 0..<4 {
                let bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    Bool.random(using: &random) ? 0 : UInt8.random(in: 0...255, using: &random)
                }
                _ = reader.read(bytes)
                _ = accepter.answer(bytes)
                replay.live(bytes)
                replay.log(bytes)
                replay.unfinished(isQuiet: true)
            }
            replay.finish(isComplete: true)
            _ = replay.takeOutput()
        }
    }
}

/// What a client has got.
private struct Received {
    private var reader = SPDYFrameReader()
    var text: [UInt32: String] = [:]
    var ended: Set<UInt32> = []
    var order: [SPDYFrame.Kind] = []

    mutating func take(_ replay: inout AttachReplay) {
        for frame in reader.read(replay.takeOutput()) {
            order.append(frame.kind)
            guard case .data(let stream) = frame.kind else { continue }
            #expect(!ended.contains(stream))
            text[stream, default: ""] += String(decoding: frame.payload, as: UTF8.self)
            if frame.isFinal { ended.insert(stream) }
        }
    }
}

@Suite struct AttachReplayTests {
    private static let stdout: UInt32 = 5
    private static let stderr: UInt32 = 7
    private static let success = #"{"metadata":{},"status":"Success"}"#

    private static func replay() -> AttachReplay {
        AttachReplay(stdin: true, stdout: true, stderr: true, protocolName: "v4.channel.k8s.io")
    }
    private static var accepted: [UInt8] {
        [1, 3, 5, 7].enumerated().flatMap { SPDYFrame.synReply($1, isFirst: $0 == 0) }
    }
    private static func entry(_ text: String, _ tag: String = "F", stream: String = "stdout") -> [UInt8] {
        Array("2026-01-02T03:04:05.000000001Z \(stream) \(tag) \(text)".utf8)
    }
    private static func data(_ text: String, stream: UInt32 = stdout) -> [UInt8] {
        SPDYFrame.data(stream, Array(text.utf8), isFinal: false)
    }
    private static var end: [UInt8] {
        SPDYFrame.data(stdout, [], isFinal: true) + SPDYFrame.data(stderr, [], isFinal: true)
    }

    @Test func aContainerThatHasEndedIsToldWhole() {
        var replay = Self.replay()
        var client = Received()
        replay.liveClosed()
        #expect(!replay.isReady)
        replay.live(Self.accepted)
        #expect(replay.isReady)
        replay.log(Self.entry("one"))
        replay.log(Self.entry("oops", stream: "stderr"))
        replay.log(Self.entry("no newline", "P"))
        replay.finish(isComplete: true)
        client.take(&replay)
        #expect(client.text == [5: "one\nno newline", 7: "oops\n", 1: Self.success])
        #expect(client.ended == [1, 5, 7])
    }

    /// Identical lines, of which some were written before the attach, however the frames are cut and whichever side
    /// is ahead.
    @Test func nothingIsLostOrDoubled() {
        let live = Self.accepted + (0..<4).flatMap { _ in Self.data("same\n") } + Self.end
        for cut in 0...live.count {
            for logFirst in [true, false] {
                var replay = Self.replay()
                var client = Received()
                replay.live(Array(live[..<cut]))
                var lines = 0
                if logFirst, replay.isReady {
                    for _ in 0..<5 { replay.log(Self.entry("same")) }
                    lines = 5
                }
                replay.unfinished(isQuiet: true)
                client.take(&replay)
                replay.live(Array(live[cut...]))
                for _ in lines..<6 { replay.log(Self.entry("same")) }
                replay.unfinished(isQuiet: true)
                #expect(replay.liveHasEnded)
                replay.finish(isComplete: true)
                client.take(&replay)
                #expect(client.text[5] == String(repeating: "same\n", count: 6))
                #expect(client.ended == [1, 5, 7])
            }
        }
    }

    /// Every interleaving that a seeded generator comes upon of a container that writes pieces, an attach somewhere,
    /// a log that lags and quiet moments: the text is always the same in the end.
    @Test func anyInterleavingEndsInTheSameText() {
        var random = SeededGenerator(seed: 42)
        for _ in 0..<3000 {
            var replay = Self.replay()
            var client = Received()
            replay.live(Self.accepted)
            let pieces = (0..<8).map { _ in
                ["a\n", "a\n", "bb", "\n", "a", ""].randomElement(using: &random) ?? ""
            }
            let attached = Int.random(in: 0...8, using: &random)
            let text = pieces.joined()
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            let rest = lines.removeLast()
            var entries = lines.map { Self.entry($0) }
            if !rest.isEmpty { entries.append(Self.entry(rest, "P")) }
            var frames = pieces[attached...].map { Self.data($0) } + [Self.end]
            while !entries.isEmpty || !frames.isEmpty {
                if frames.isEmpty || (!entries.isEmpty && Bool.random(using: &random)) {
                    replay.log(entries.removeFirst())
                } else {
                    replay.live(frames.removeFirst())
                }
                client.take(&replay)
            }
            replay.finish(isComplete: true)
            client.take(&replay)
            #expect(client.text[5] == text)
        }
    }

    @Test func aPromptIsShownBeforeItsLineIsFinished() {
        var replay = Self.replay()
        var client = Received()
        replay.live(Self.accepted + Self.data("hello\nName: "))
        replay.log(Self.entry("before"))
        replay.unfinished(isQuiet: true)
        client.take(&replay)
        #expect(client.text[5] == "before\n", "The log has not come as far.")
        #expect(replay.isWaiting)
        replay.log(Self.entry("hello"))
        replay.unfinished(isQuiet: true)
        client.take(&replay)
        #expect(client.text[5] == "before\nhello\nName: ")
        #expect(!replay.isWaiting)
        // From now on the lines are counted, and no quiet moment is needed.
        replay.live(Self.data("Ada\nAge: "))
        replay.unfinished(isQuiet: false)
        client.take(&replay)
        #expect(client.text[5] == "before\nhello\nName: ")
        replay.log(Self.entry("Name: Ada"))
        replay.unfinished(isQuiet: false)
        client.take(&replay)
        #expect(client.text[5] == "before\nhello\nName: Ada\nAge: ")
        replay.log(Self.entry("Age: ", "P"))
        replay.live(Self.end)
        replay.finish(isComplete: true)
        client.take(&replay)
        #expect(client.text[5] == "before\nhello\nName: Ada\nAge: ")
    }

    @Test func theEndWaitsForTheLog() {
        var replay = Self.replay()
        var client = Received()
        let goAway: [UInt8] = [0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]
        replay.live(Self.accepted + Self.end + Self.data("late", stream: 1) + goAway)
        client.take(&replay)
        #expect(client.ended.isEmpty)
        replay.log(Self.entry("all"))
        replay.finish(isComplete: true)
        client.take(&replay)
        #expect(client.text == [5: "all\n", 7: "", 1: Self.success])
        // kubectl throws away what it has not read yet when it is told to go.
        #expect(client.order.last == .data(stream: 1))
    }

    @Test func aContainerThatLivesOnGetsTheRuntimesResult() {
        var replay = Self.replay()
        var client = Received()
        let failure = #"{"status":"Failure"}"#
        replay.live(Self.accepted + SPDYFrame.data(1, Array(failure.utf8), isFinal: true))
        replay.liveClosed()
        replay.finish(isComplete: false)
        client.take(&replay)
        #expect(client.text == [5: "", 7: "", 1: failure])
    }

    @Test func linesTravelTogether() {
        var replay = Self.replay()
        var client = Received()
        replay.live(Self.accepted)
        client.take(&replay)
        let before = client.order.count
        for _ in 0..<10_000 { replay.log(Self.entry("0123456789")) }
        client.take(&replay)
        #expect(client.text[5]?.count == 110_000)
        #expect(client.order.count - before == 4)
    }

    @Test func streamsThatWereNotAskedForAreLeftOut() {
        var replay = AttachReplay(
            stdin: false, stdout: true, stderr: false, protocolName: "v2.channel.k8s.io")
        var client = Received()
        replay.live(SPDYFrame.synReply(1, isFirst: true) + SPDYFrame.synReply(3, isFirst: false))
        #expect(replay.isReady)
        replay.log(Self.entry("x", stream: "stderr"))
        replay.log(Self.entry("y"))
        replay.finish(isComplete: true)
        client.take(&replay)
        #expect(client.text == [3: "y\n", 1: ""])
    }
}
