/// Cuts a stream of bytes into lines. JSON has no newline inside, so a line is a document.
package struct LineSplitter: Sendable {
    private var partial: [UInt8] = []
    private let limit: Int

    package struct TooLong: Error { package let limit: Int }

    /// - Parameter limit: how long a line may be, in bytes.
    package init(limit: Int = 64 << 20) { self.limit = limit }

    /// Takes bytes in and returns the lines they complete; empty ones are left out.
    package mutating func append(_ chunk: [UInt8]) throws(TooLong) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = chunk[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            partial.append(contentsOf: rest[..<end])
            if !partial.isEmpty { lines.append(partial) }
            partial = []
            rest = rest[(end + 1)...]
        }
        guard rest.count <= limit - partial.count else { throw TooLong(limit: limit) }
        partial.append(contentsOf: rest)
        return lines
    }

    /// What came after the last newline.
    package mutating func finish() -> [UInt8]? {
        defer { partial = [] }
        return partial.isEmpty ? nil : partial
    }
}
