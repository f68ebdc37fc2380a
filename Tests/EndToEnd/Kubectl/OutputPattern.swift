/// What a command is expected to print, as `Tests/Scenarios/kubectl/README.md` describes it.
struct OutputPattern: Sendable, CustomStringConvertible {
    private let lines: [[UInt8]]
    let description: String

    /// - Parameter text: lines in which `*` stands for anything; a line of `...` for any number of lines.
    init(_ text: String) {
        description = text
        lines = Self.normalized(text)
    }

    func matches(_ output: String) -> Bool {
        Self.match(lines[...], Self.normalized(output)[...])
    }

    private static let anyLines = Array("...".utf8)

    private static func match(_ patterns: ArraySlice<[UInt8]>, _ lines: ArraySlice<[UInt8]>) -> Bool {
        guard let pattern = patterns.first else { return lines.isEmpty }
        let rest = patterns.dropFirst()
        if pattern == anyLines {
            return (0...lines.count).contains { match(rest, lines.dropFirst($0)) }
        }
        guard let line = lines.first, glob(pattern, line) else { return false }
        return match(rest, lines.dropFirst())
    }

    /// Whether a line fits a pattern in which `*` stands for anything. The last star is where matching goes back to.
    private static func glob(_ pattern: [UInt8], _ text: [UInt8]) -> Bool {
        var p = 0
        var t = 0
        var star: (pattern: Int, text: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                star = (p, t)
                p += 1
            } else if p < pattern.count, pattern[p] == text[t] {
                p += 1
                t += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                p = last.pattern + 1
                t = last.text + 1
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// Lines without space at their ends and with single spaces, and no empty lines at the ends.
    private static func normalized(_ text: String) -> [[UInt8]] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            Array(line.split { $0 == " " || $0 == "\t" || $0 == "\r" }.joined(separator: " ").utf8)
        }
        while lines.first?.isEmpty == true { lines.removeFirst() }
        while lines.last?.isEmpty == true { lines.removeLast() }
        return lines
    }
}
