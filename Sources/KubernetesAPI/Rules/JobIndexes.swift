/// Indexes of an Indexed Job as its status and policies write them: `1,3-5,7`.
struct JobIndexes {
    /// The intervals in rising order.
    var intervals: [ClosedRange<Int>] = []

    /// How many indexes these are.
    var count: Int { intervals.reduce(0) { $0 + $1.count } }

    /// Why a text is none; the message is upstream's.
    struct Mistake: Error {
        var message: String
    }

    /// Reads indexes below a limit; an empty text is none of them.
    init(parsing text: String, below limit: Int) throws(Mistake) {
        if text.isEmpty { return }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let interval = try Self.interval(String(part), limit)
            if let last = intervals.last, last.upperBound >= interval.lowerBound {
                throw Self.order(last.upperBound, interval.lowerBound)
            }
            intervals.append(interval)
        }
    }

    private static func interval(_ text: String, _ limit: Int) throws(Mistake) -> ClosedRange<Int> {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2 else {
            throw Mistake(
                message:
                    "the fragment \(GoText.quoted(text)) violates the requirement that an index interval "
                    + "can have at most two parts separated by '-'")
        }
        let first = try index(ends[0], limit)
        guard ends.count == 2 else { return first...first }
        let last = try index(ends[1], limit)
        guard first < last else { throw order(first, last) }
        return first...last
    }

    private static func index(_ text: Substring, _ limit: Int) throws(Mistake) -> Int {
        let shown = GoText.quoted(String(text))
        guard let index = Int(text) else {
            throw Mistake(message: "cannot convert string to integer for index: \(shown)")
        }
        guard index < limit else { throw Mistake(message: "too large index: \(shown)") }
        return index
    }

    private static func order(_ previous: Int, _ current: Int) -> Mistake {
        Mistake(message: "non-increasing order, previous: \(previous), current: \(current)")
    }

    /// The first index that is among others too, or nil.
    func overlap(with others: JobIndexes) -> Int? {
        var mine = intervals[...]
        var theirs = others.intervals[...]
        while let a = mine.first, let b = theirs.first {
            if a.overlaps(b) { return max(a.lowerBound, b.lowerBound) }
            if a.lowerBound <= b.lowerBound { mine.removeFirst() } else { theirs.removeFirst() }
        }
        return nil
    }
}
