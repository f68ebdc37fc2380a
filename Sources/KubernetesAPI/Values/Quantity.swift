import KubernetesJSON

/// An amount of a resource with a decimal or binary suffix: `500m`, `1Gi`, `1e3` (resource.Quantity).
///
/// Amounts are exact to 10⁻⁹ (finer ones are rounded away from zero) and limited to ±(2⁶³ − 1), as upstream. Text
/// is canonical: `1000m` is written `1`, `1024Mi` is written `1Gi`. Two quantities are equal when their amounts
/// are, whatever their suffixes.
public struct Quantity: JSONCodable, Comparable, CustomStringConvertible, ExpressibleByStringLiteral,
    ExpressibleByIntegerLiteral
{
    /// How the amount is written.
    public enum Format: Sendable, Hashable {
        /// With powers of 1000: m, k, M …
        case decimal
        /// With powers of 1024: Ki, Mi …
        case binary
        /// With an exponent: e3, e-6 …
        case exponent
    }

    /// Why a text is no quantity; the messages are upstream's.
    public enum ParseError: Error, Sendable, Hashable, CustomStringConvertible {
        case format
        case suffix

        public var description: String {
            switch self {
            case .format:
                return "quantities must match the regular expression "
                    + "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            case .suffix: return "unable to parse quantity's suffix"
            }
        }
    }

    /// How the amount is written.
    public var format: Format
    /// The amount in units of 10⁻⁹.
    private var nanos: Int128

    private static let unit: Int128 = 1_000_000_000
    private static let limit: Int128 = Int128(Int64.max) * unit

    private init(nanos: Int128, format: Format) {
        self.nanos = min(max(nanos, -Self.limit), Self.limit)
        self.format = format
    }

    /// Makes 0.
    public init() { self.init(nanos: 0, format: .decimal) }

    /// Makes a whole amount.
    public init(_ value: Int, format: Format = .decimal) {
        self.init(nanos: Int128(value) * Self.unit, format: format)
    }

    /// Makes an amount of thousandths.
    public init(milli: Int, format: Format = .decimal) {
        self.init(nanos: Int128(milli) * 1_000_000, format: format)
    }

    public init(integerLiteral value: Int) { self.init(value) }

    /// Makes a quantity of text in the program; text that is no quantity stands for 0.
    public init(stringLiteral value: String) {
        do { self = try Quantity(parsing: value) } catch { self.init() }
    }

    // MARK: Amounts

    /// The amount as a whole number, rounded away from zero (resource.Quantity.Value).
    public var value: Int { Int(Self.divideAwayFromZero(nanos, Self.unit)) }

    /// The amount in thousandths, rounded away from zero and limited (resource.Quantity.MilliValue).
    public var milliValue: Int { Int(clamping: Self.divideAwayFromZero(nanos, 1_000_000)) }

    /// The amount, as near as a floating point number gets.
    public var doubleValue: Double { Double(nanos) / 1e9 }

    /// Whether the amount is 0.
    public var isZero: Bool { nanos == 0 }

    /// Whether the amount is below 0.
    public var isNegative: Bool { nanos < 0 }

    /// Whether the amount is a whole number.
    public var isWhole: Bool { nanos % Self.unit == 0 }

    public static func == (left: Quantity, right: Quantity) -> Bool { left.nanos == right.nanos }
    public static func < (left: Quantity, right: Quantity) -> Bool { left.nanos < right.nanos }
    public func hash(into hasher: inout Hasher) { hasher.combine(nanos) }

    /// The sum, in the format of the left one unless that is 0.
    public static func + (left: Quantity, right: Quantity) -> Quantity {
        Quantity(nanos: left.nanos + right.nanos, format: left.isZero ? right.format : left.format)
    }

    /// The difference, in the format of the left one unless that is 0.
    public static func - (left: Quantity, right: Quantity) -> Quantity {
        Quantity(nanos: left.nanos - right.nanos, format: left.isZero ? right.format : left.format)
    }

    public static func += (left: inout Quantity, right: Quantity) { left = left + right }
    public static func -= (left: inout Quantity, right: Quantity) { left = left - right }

    private static func divideAwayFromZero(_ value: Int128, _ divisor: Int128) -> Int128 {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        if remainder == 0 { return quotient }
        return value < 0 ? quotient - 1 : quotient + 1
    }

    // MARK: Text

    /// The canonical text.
    public var description: String {
        if nanos == 0 { return "0" }
        if format == .binary, nanos.magnitude >= (1024 * Self.unit).magnitude, isWhole {
            var amount = nanos / Self.unit
            var power = 0
            while power < 6, amount % 1024 == 0 {
                amount /= 1024
                power += 1
            }
            return "\(amount)" + ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]
        }
        var amount = nanos
        var exponent = -9
        while exponent < 18, amount % 1000 == 0 {
            amount /= 1000
            exponent += 3
        }
        if format == .exponent { return exponent == 0 ? "\(amount)" : "\(amount)e\(exponent)" }
        return "\(amount)" + ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][(exponent + 9) / 3]
    }

    /// Reads the text of a quantity.
    public init(parsing text: String) throws(ParseError) {
        var bytes = Array(text.utf8)[...]
        guard let first = bytes.first else { throw .format }
        let isNegative = first == UInt8(ascii: "-")
        if isNegative || first == UInt8(ascii: "+") { bytes = bytes.dropFirst() }

        var number = DecimalDigits()
        while let byte = bytes.first, number.take(byte) { bytes = bytes.dropFirst() }
        guard number.count > 0 else { throw .format }
        for byte in bytes where !Self.isSuffixByte(byte) { throw .format }

        let suffix = String(decoding: bytes, as: UTF8.self)
        let format: Format
        let amount: Int128
        if let power = Self.binaryPower(suffix) {
            format = .binary
            amount = number.scaled(ten: 9, two: power)
        } else if let power = Self.decimalPower(suffix) {
            format = .decimal
            amount = number.scaled(ten: 9 + power, two: 0)
        } else if let mark = suffix.first, mark == "e" || mark == "E", let power = Int(suffix.dropFirst()) {
            format = .exponent
            amount = number.scaled(ten: 9 + min(max(power, -1000), 1000), two: 0)
        } else {
            throw .suffix
        }
        self.init(nanos: isNegative ? -amount : amount, format: format)
    }

    private static func isSuffixByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "e"),
            UInt8(ascii: "E"), UInt8(ascii: "i"), UInt8(ascii: "n"), UInt8(ascii: "u"), UInt8(ascii: "m"),
            UInt8(ascii: "k"), UInt8(ascii: "K"), UInt8(ascii: "M"), UInt8(ascii: "G"), UInt8(ascii: "T"),
            UInt8(ascii: "P"):
            return true
        default: return false
        }
    }

    private static func binaryPower(_ suffix: String) -> Int? {
        switch suffix {
        case "Ki": return 10
        case "Mi": return 20
        case "Gi": return 30
        case "Ti": return 40
        case "Pi": return 50
        case "Ei": return 60
        default: return nil
        }
    }

    private static func decimalPower(_ suffix: String) -> Int? {
        switch suffix {
        case "n": return -9
        case "u": return -6
        case "m": return -3
        case "": return 0
        case "k": return 3
        case "M": return 6
        case "G": return 9
        case "T": return 12
        case "P": return 15
        case "E": return 18
        default: return nil
        }
    }

    // MARK: JSON

    public init(reading reader: inout JSONReader) throws(JSONError) {
        let text: String
        switch try reader.peek() {
        case .null:
            _ = try reader.readNull()
            self.init()
            return
        case .number:
            let range = try reader.rawValue()
            text = String(decoding: reader.bytes[range], as: UTF8.self)
        default: text = try reader.string()
        }
        do {
            try self.init(parsing: text)
        } catch {
            throw reader.invalidValue("\(error)")
        }
    }

    public func write(to writer: inout JSONWriter) { writer.string(description) }
}

/// The digits of a decimal number as they are read, with as many kept as can matter.
private struct DecimalDigits {
    private var mantissa: Int128 = 0
    private var fractionDigits = 0
    private var droppedDigits = 0
    private var droppedNonZero = false
    private var sawPoint = false
    /// How many digits were read.
    var count = 0

    /// Takes a digit or the decimal point.
    mutating func take(_ byte: UInt8) -> Bool {
        if byte == UInt8(ascii: "."), !sawPoint {
            sawPoint = true
            return true
        }
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return false }
        count += 1
        let digit = Int128(byte - UInt8(ascii: "0"))
        if mantissa < 100_000_000_000_000_000_000 {
            mantissa = mantissa * 10 + digit
            if sawPoint { fractionDigits += 1 }
        } else {
            if digit != 0 { droppedNonZero = true }
            if !sawPoint { droppedDigits += 1 }
        }
        return true
    }

    /// The number times powers of ten and two, rounded up to a whole one, limited to what a quantity may be.
    func scaled(ten: Int, two: Int) -> Int128 {
        let limit = Int128(Int64.max) * 1_000_000_000
        if mantissa == 0 { return 0 }
        var value = mantissa
        var power = ten + droppedDigits - fractionDigits
        var isInexact = droppedNonZero
        var doublings = two
        while doublings > 0 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 2)
            if !overflow {
                value = product
                doublings -= 1
            } else if power < 0 {
                // Makes room by giving up a digit that the final division drops anyway.
                if value % 10 != 0 { isInexact = true }
                value /= 10
                power += 1
            } else {
                return limit
            }
        }
        while power > 0 {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow || product > limit { return limit }
            value = product
            power -= 1
        }
        while power < 0, value != 0 {
            if value % 10 != 0 { isInexact = true }
            value /= 10
            power += 1
        }
        return min(isInexact ? value + 1 : value, limit)
    }
}
