/// A line of a container's log file: `2026-01-02T03:04:05.000000006Z stdout F text`.
package struct CRILogLine: Sendable, Hashable {
    package var timestamp: String
    package var isError: Bool
    /// False when the text goes on in the next line.
    package var isComplete: Bool
    package var content: [UInt8]

    /// Nil when the bytes (without the newline) are no such line.
    package init?(_ bytes: some Collection<UInt8>) {
        let parts = bytes.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3 else { return nil }
        timestamp = String(decoding: parts[0], as: UTF8.self)
        let stream = String(decoding: parts[1], as: UTF8.self)
        guard stream == "stdout" || stream == "stderr" else { return nil }
        isError = stream == "stderr"
        let tags = parts[2].split(separator: UInt8(ascii: ":"))
        guard let tag = tags.first.map({ String(decoding: $0, as: UTF8.self) }), tag == "F" || tag == "P"
        else { return nil }
        isComplete = tag == "F"
        content = parts.count > 3 ? Array(parts[3]) : []
    }
}
