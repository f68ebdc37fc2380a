/// Samples of one quantity and what is said about them.
public struct Samples: Sendable {
    public private(set) var values: [Double] = []

    public init() {}

    public mutating func add(_ value: Double) { values.append(value) }

    /// The value below which a fraction of the samples lies (nearest rank).
    public func percentile(_ fraction: Double) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        let rank = Int((fraction * Double(sorted.count)).rounded(.up))
        return sorted[min(max(rank, 1), sorted.count) - 1]
    }

    public var median: Double { percentile(0.5) }

    /// `p50 12.1  p90 14.0  p99 20.3  (n=50)`
    public var summary: String {
        let parts = [0.5, 0.9, 0.99].map { "p\(Int($0 * 100)) \(decimal(percentile($0)))" }
        return "\(parts.joined(separator: "  "))  (n=\(values.count))"
    }
}

/// A number with as many places as its size deserves.
public func decimal(_ value: Double) -> String {
    guard value.isFinite else { return "none" }
    let places = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : 2
    var factor = 1.0
    for _ in 0..<places { factor *= 10 }
    let rounded = (value * factor).rounded() / factor
    return places == 0 ? String(Int(rounded)) : String(rounded)
}

/// The closing lines of a benchmark, for programs to read.
public func figure(_ name: String, _ value: Double, _ unit: String) {
    print("figure: \(name) \(decimal(value)) \(unit)")
}
