/// Numbers to be given out, in two bands: what Service addresses and node ports have in common.
///
/// Numbers that nobody asked for by name are taken at random from the upper band and only then from the
/// lower one, so that the lower stays free for those who choose their own (KEP-3070, KEP-3668).
package struct NumberBands: Sendable, Hashable {
    /// Where those look who choose their own number; nil when there are too few numbers for two bands.
    package let lower: ClosedRange<UInt64>?
    /// Where numbers are drawn from first.
    package let upper: ClosedRange<UInt64>

    /// - Parameters:
    ///   - numbers: all of them.
    ///   - step: the lower band has one number in so many, ...
    ///   - bounds: ... but at least and at most this many; with fewer numbers than the least there is none.
    package init(_ numbers: ClosedRange<UInt64>, step: UInt64, bounds: ClosedRange<UInt64>) {
        let count = numbers.upperBound - numbers.lowerBound
        let size = (count == .max ? count : count + 1)
        guard size >= bounds.lowerBound else {
            lower = nil
            upper = numbers
            return
        }
        let start = numbers.lowerBound + min(max(size / step, bounds.lowerBound), bounds.upperBound)
        lower = numbers.lowerBound...(start - 1)
        // As many numbers as the least band has are all in it.
        upper = min(start, numbers.upperBound)...numbers.upperBound
    }

    /// The bands of a range of Service addresses, as distances from its base.
    package init(_ range: NetworkRange) {
        self.init(1...range.lastOffset, step: 16, bounds: 16...256)
    }

    /// The bands of node ports.
    package init(nodePorts: ClosedRange<Int>) {
        self.init(
            UInt64(nodePorts.lowerBound)...UInt64(nodePorts.upperBound), step: 32, bounds: 16...128)
    }

    /// A few darts at the upper band, which find a free number at once unless it is nearly full.
    package func dart(
        using generator: inout some RandomNumberGenerator, isTaken: (UInt64) -> Bool
    ) -> UInt64? {
        for _ in 0..<16 {
            let number = UInt64.random(in: upper, using: &generator)
            if !isTaken(number) { return number }
        }
        return nil
    }

    /// A free number wherever there is one, the upper band first.
    package func search(
        using generator: inout some RandomNumberGenerator, isTaken: (UInt64) -> Bool
    ) -> UInt64? {
        for band in [upper, lower].compactMap({ $0 }) {
            let start = UInt64.random(in: band, using: &generator)
            if let free = (start...band.upperBound).first(where: { !isTaken($0) }) { return free }
            if let free = (band.lowerBound...start).first(where: { !isTaken($0) }) { return free }
        }
        return nil
    }
}
