import KubernetesJSON

/// A number or a text, such as the target port of a Service.
public enum IntOrString: JSONCodable, CustomStringConvertible, ExpressibleByIntegerLiteral,
    ExpressibleByStringLiteral
{
    case int(Int)
    case string(String)

    /// Makes the number 0.
    public init() { self = .int(0) }
    public init(integerLiteral value: Int) { self = .int(value) }
    public init(stringLiteral value: String) { self = .string(value) }

    /// The number, or the text.
    public var description: String {
        switch self {
        case .int(let value): return "\(value)"
        case .string(let value): return value
        }
    }

    public init(reading reader: inout JSONReader) throws(JSONError) {
        if try reader.peek() == .string {
            self = .string(try reader.string())
        } else {
            self = .int(try reader.int32())
        }
    }

    public func write(to writer: inout JSONWriter) {
        switch self {
        case .int(let value): writer.int(value)
        case .string(let value): writer.string(value)
        }
    }
}
