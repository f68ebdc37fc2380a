/// Standard output or standard error of a container as someone attached sees it.
///
/// The log has every byte from the container's start, but an unfinished line only once it is finished (or longer than
/// 16 KiB, or the container has ended). The runtime's live bytes have the unfinished line, but begin somewhere. So
/// lines come from the log, and the live bytes only tell how the unfinished line begins: `Name: `, before someone
/// types. Which line that is follows from counting lines on both sides; how the two counts belong together is seen in
/// a moment when neither side brings anything. Whatever is guessed wrong there, no line is lost, doubled or moved.
package struct AttachedOutput: Sendable {
    /// What is compared of two lines.
    private static let comparedSize = 512
    /// What is remembered of an unfinished line.
    private static let tailSize = 64 << 10

    // The unfinished line as the live bytes have it, from offset `tailStart` of the line.
    private var tail: [UInt8] = []
    private var tailStart = 0
    private var liveLines = 0
    /// The end of the last line, nil before there was one.
    private var lastLiveLine: [UInt8]?

    // The unfinished line as the log has it.
    private var logged = 0
    private var loggedEnd: [UInt8] = []
    private var logLines = 0
    private var lastLogLine: [UInt8] = []

    /// How many lines the log had before the live bytes began; nil while unknown.
    private var linesBefore: Int?
    /// What was shown of the unfinished line before the log had it.
    private var ahead: [UInt8] = []

    package init() {}

    /// Takes note of live bytes.
    package mutating func live(_ bytes: ArraySlice<UInt8>) {
        guard let last = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
            tail += bytes
            trim()
            return
        }
        let lines = bytes[..<last]
        if let before = lines.lastIndex(of: UInt8(ascii: "\n")) {
            lastLiveLine = Array(lines[(before + 1)...].suffix(Self.comparedSize))
        } else {
            lastLiveLine = Array((tail + lines).suffix(Self.comparedSize))
        }
        liveLines += bytes.count { $0 == UInt8(ascii: "\n") }
        tail = Array(bytes[(last + 1)...])
        tailStart = 0
        trim()
    }

    private mutating func trim() {
        guard tail.count > 2 * Self.tailSize else { return }
        tailStart += tail.count - Self.tailSize
        tail.removeFirst(tail.count - Self.tailSize)
    }

    /// What is to be shown of the next part of the log.
    package mutating func log(_ line: CRILogLine) -> ArraySlice<UInt8> {
        let content = line.isComplete ? line.content + [UInt8(ascii: "\n")] : line.content
        var known = min(ahead.count, content.count)
        // Were it otherwise, the guess which line it is was wrong: show it all.
        if !ahead.prefix(known).elementsEqual(content.prefix(known)) { known = 0 }
        if line.isComplete {
            lastLogLine = (loggedEnd + line.content).suffix(Self.comparedSize)
            logLines += 1
            logged = 0
            loggedEnd = []
            ahead = []
        } else {
            loggedEnd = (loggedEnd + line.content).suffix(Self.comparedSize)
            logged += content.count
            if known == 0 { ahead = [] } else { ahead.removeFirst(known) }
        }
        return content[known...]
    }

    /// Whether there is something unfinished that was not shown.
    package var isWaiting: Bool { tailStart + tail.count > logged + ahead.count }

    /// What is to be shown of the unfinished line.
    /// - Parameter isQuiet: neither the log nor the runtime has brought anything for a while.
    package mutating func unfinished(isQuiet: Bool) -> ArraySlice<UInt8> {
        if isQuiet, lastLiveLine.map({ Self.agree($0, lastLogLine) }) ?? (logged == 0) {
            linesBefore = logLines - liveLines
        }
        let shown = logged + ahead.count
        guard isWaiting, let linesBefore, logLines == liveLines + linesBefore, shown >= tailStart else {
            return []
        }
        let more = tail[(shown - tailStart)...]
        ahead += more
        return more
    }

    /// The live bytes may have begun inside the line.
    private static func agree(_ live: [UInt8], _ log: [UInt8]) -> Bool {
        log.suffix(live.count).elementsEqual(live.suffix(log.count))
    }
}
