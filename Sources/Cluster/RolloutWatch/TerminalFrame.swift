import Glibc

/// How many characters a terminal has.
public struct TerminalSize: Sendable, Hashable {
    public var columns: Int
    public var rows: Int

    public init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }

    /// The size of the terminal behind a descriptor; nil if there is none. One that does not tell has 80 columns and
    /// 24 rows. Shell: `stty size`.
    public init?(of descriptor: Int32) {
        guard isatty(descriptor) == 1 else { return nil }
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0
        columns = isKnown && size.ws_col > 0 ? Int(size.ws_col) : 80
        rows = isKnown && size.ws_row > 0 ? Int(size.ws_row) : 24
    }
}

/// Draws pictures of lines over each other on a terminal, whose cursor is left in the line below; a value.
///
/// A line is cut off where the terminal ends: if it went on in the next one, nobody could tell how far up the picture
/// began. When a terminal becomes narrower it breaks the lines that it shows; the next picture reckons with that.
package struct TerminalFrame: Sendable {
    private var shown: [String] = []

    package init() {}

    /// What to write so that these lines are seen in place of the last ones.
    package mutating func draw(_ lines: [String], _ size: TerminalSize) -> String {
        let columns = max(size.columns, 1)
        // The cursor's line is below the picture, and what has left the screen above cannot be drawn over.
        let room = max(size.rows - 1, 1)
        let height = shown.map { max(($0.count + columns - 1) / columns, 1) }.reduce(0, +)
        let up = min(height, room)
        var picture = lines.map { String($0.prefix(columns)) }
        if picture.count > room {
            let more = "... \(picture.count - room + 1) more lines"
            picture = picture.prefix(room - 1) + [String(more.prefix(columns))]
        }
        shown = picture
        let back = up > 0 ? "\u{1B}[\(up)A\r\u{1B}[J" : ""
        return back + picture.map { "\($0)\n" }.joined()
    }
}
