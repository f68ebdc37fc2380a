import KubernetesJSON

/// A span of time written like `1h30m0s` (metav1.Duration).
public struct MetaDuration: JSONCodable, Comparable, CustomStringConvertible {
    /// The span in nanoseconds.
    public var nanoseconds: Int

    /// Makes an empty span.
    public init() { nanoseconds = 0 }

    /// Makes a span of nanoseconds.
    public init(nanoseconds: Int) { self.nanoseconds = nanoseconds }

    private static let units: [(name: String, size: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12),
    ]

    /// Reads a sequence of numbers with units: `300ms`, `-1.5h`, `2h45m`.
    public init?(_ text: String) {
        var rest = Substring(text)
        let isNegative = rest.hasPrefix("-")
        if isNegative || rest.hasPrefix("+") { rest = rest.dropFirst() }
        if rest == "0" {
            self.init()
            return
        }
        guard !rest.isEmpty else { return nil }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { !($0.isASCII && ($0.isNumber || $0 == ".")) }
            rest = rest.dropFirst(name.count)
            guard let number = Double(digits), let unit = Self.units.first(where: { $0.name == name }) else {
                return nil
            }
            total += number * unit.size
        }
        guard let whole = Int(exactly: total.rounded()) else { return nil }
        self.init(nanoseconds: isNegative ? -whole : whole)
    }

    public var description: String {
        if nanoseconds == 0 { return "0s" }
        let sign = nanoseconds < 0 ? "-" : ""
        let size = nanoseconds.magnitude
        func decimal(_ value: UInt, _ unit: UInt) -> String {
            var fraction = String(value % unit)
            fraction = String(repeating: "0", count: String(unit).count - 1 - fraction.count) + fraction
            while fraction.hasSuffix("0") { fraction.removeLast() }
            return fraction.isEmpty ? "\(value / unit)" : "\(value / unit).\(fraction)"
        }
        if size < 1000 { return "\(sign)\(size)ns" }
        if size < 1_000_000 { return "\(sign)\(decimal(size, 1000))µs" }
        if size < 1_000_000_000 { return "\(sign)\(decimal(size, 1_000_000))ms" }
        let seconds = decimal(size % 60_000_000_000, 1_000_000_000) + "s"
        let minutes = size / 60_000_000_000
        if minutes == 0 { return sign + seconds }
        if minutes < 60 { return "\(sign)\(minutes)m\(seconds)" }
        return "\(sign)\(minutes / 60)h\(minutes % 60)m\(seconds)"
    }

    public init(reading reader: inout JSONReader) throws(JSONError) {
        if try reader.readNull() {
            self.init()
            return
        }
        let text = try reader.string()
        guard let value = MetaDuration(text) else {
            throw reader.invalidValue("time: invalid duration \"\(text)\"")
        }
        self = value
    }

    public func write(to writer: inout JSONWriter) { writer.string(description) }

    public static func < (left: MetaDuration, right: MetaDuration) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}
