/// Names and values of a metric's labels, in the order of the metric.
public struct MetricLabels: Sendable, Hashable {
    /// The labels.
    public var pairs: [(name: String, value: String)]

    /// Labels of these names and values; a value that is missing is empty.
    public init(_ names: [String], _ values: [String]) {
        pairs = names.enumerated().map { ($1, $0 < values.count ? values[$0] : "") }
    }

    func adding(_ name: String, _ value: String) -> MetricLabels {
        var labels = self
        labels.pairs.append((name, value))
        return labels
    }

    public static func == (left: MetricLabels, right: MetricLabels) -> Bool {
        left.pairs.elementsEqual(right.pairs) { $0 == $1 }
    }

    public func hash(into hasher: inout Hasher) {
        for (name, value) in pairs {
            hasher.combine(name)
            hasher.combine(value)
        }
    }
}

/// Metrics in Prometheus' text format, version 0.0.4.
public struct MetricText: Sendable {
    /// What the text is to be served as.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// The text so far.
    public private(set) var text = ""

    /// Makes an empty text.
    public init() {}

    mutating func header(_ name: String, _ help: String, _ type: MetricType) {
        text += "# HELP \(name) \(Self.escape(help, quotes: false))\n# TYPE \(name) \(type.rawValue)\n"
    }

    mutating func line(_ name: String, _ labels: MetricLabels, _ value: Double) {
        text += name
        if !labels.pairs.isEmpty {
            var separator = "{"
            for (name, value) in labels.pairs {
                text += "\(separator)\(name)=\"\(Self.escape(value, quotes: true))\""
                separator = ","
            }
            text += "}"
        }
        text += " \(Self.number(value))\n"
    }

    private static func escape(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// A number as Go's `%g` writes it with as few digits as tell it apart: `0.005`, `1e+06`, `+Inf`. The bounds
    /// of buckets are labels, which others compare as text.
    public static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == 0 { return "0" }
        let (digits, exponent) = decimal(value.magnitude)
        let sign = value < 0 ? "-" : ""
        if exponent < -4 || exponent >= 6 {
            let rest = digits.dropFirst()
            let fraction = rest.isEmpty ? "" : ".\(rest)"
            let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
            return "\(sign)\(digits.prefix(1))\(fraction)e\(exponent < 0 ? "-" : "+")\(power)"
        }
        if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
        let whole = exponent + 1
        if digits.count <= whole {
            return sign + digits + String(repeating: "0", count: whole - digits.count)
        }
        return "\(sign)\(digits.prefix(whole)).\(digits.dropFirst(whole))"
    }

    /// The significant digits of a positive number, and the power of ten of the first one.
    private static func decimal(_ value: Double) -> (digits: String, exponent: Int) {
        let parts = value.description.split(separator: "e")
        var exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let mantissa = (parts.first ?? "0").split(separator: ".", omittingEmptySubsequences: false)
        let whole = mantissa.first ?? "0"
        let fraction = mantissa.count > 1 ? mantissa[1] : ""
        let all = String(whole + fraction)
        exponent += whole.count - 1
        let leading = all.prefix { $0 == "0" }.count
        var digits = all.dropFirst(leading)
        while digits.last == "0" { digits.removeLast() }
        return (digits.isEmpty ? "0" : String(digits), exponent - leading)
    }
}
