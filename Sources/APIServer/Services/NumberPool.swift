/// A pool of numbers of which some are taken: the part of Service addresses and node ports that is the same.
///
/// Numbers that nobody asked for by name are taken at random from the upper band and only then from the
/// lower one, so that the lower stays free for those who choose their own (KEP-3070, KEP-3668).
package struct NumberPool: Sendable {
    /// The usable numbers.
    package let range: ClosedRange<UInt32>
    /// The first number of the upper band.
    package let dynamicStart: UInt32
    private var taken: Set<UInt32> = []

    package init(range: ClosedRange<UInt32>, dynamicStart: UInt32) {
        self.range = range
        self.dynamicStart = min(max(dynamicStart, range.lowerBound), range.upperBound)
    }

    package var takenCount: Int { taken.count }

    package func isTaken(_ number: UInt32) -> Bool { taken.contains(number) }

    /// Takes a number; false when it was taken already.
    package mutating func take(_ number: UInt32) -> Bool { taken.insert(number).inserted }

    package mutating func release(_ number: UInt32) { taken.remove(number) }

    /// A free number, not yet taken, or nil when there is none.
    package func free(using generator: inout some RandomNumberGenerator) -> UInt32? {
        if let number = free(in: dynamicStart...range.upperBound, using: &generator) { return number }
        guard dynamicStart > range.lowerBound else { return nil }
        return free(in: range.lowerBound...(dynamicStart - 1), using: &generator)
    }

    private func free(
        in band: ClosedRange<UInt32>, using generator: inout some RandomNumberGenerator
    ) -> UInt32? {
        // A few darts find a free number at once unless the band is nearly full; then look at each in turn.
        for _ in 0..<16 {
            let number = UInt32.random(in: band, using: &generator)
            if !taken.contains(number) { return number }
        }
        let start = UInt32.random(in: band, using: &generator)
        for number in start...band.upperBound where !taken.contains(number) { return number }
        for number in band.lowerBound...start where !taken.contains(number) { return number }
        return nil
    }
}
