/// How soon the tables are put right when somebody else has changed them: at once, as long as that does not happen
/// again and again. Two proxies that have different things in mind for one table would else keep a processor busy with
/// taking turns.
package struct RepairPace: Sendable {
    /// So many in a row are put right at once.
    package static let patience = 8
    /// After so long without a repair all is forgotten.
    package static let memory = Duration.seconds(10)
    /// The longest pause.
    package static let longest = Duration.seconds(5)

    private var last: Duration?
    private var count = 0

    package init() {}

    /// How long to wait before a repair.
    /// - Parameter now: the time since some beginning.
    package mutating func pause(at now: Duration) -> Duration {
        if let last, now - last > Self.memory { count = 0 }
        count += 1
        let pause: Duration =
            count <= Self.patience
            ? .zero : min(.milliseconds(50) * (1 << min(count - Self.patience - 1, 10)), Self.longest)
        last = now + pause
        return pause
    }
}
