/// Indentation of compact JSON for people: two blanks a level, as upstream's `?pretty=true`.
package enum PrettyJSON {
    package static func indent(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 2)
        var depth = 0
        var isInString = false
        var isEscaped = false
        var index = 0
        func newline(_ out: inout [UInt8]) {
            out.append(UInt8(ascii: "\n"))
            out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: depth * 2))
        }
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if isInString {
                out.append(byte)
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                isInString = true
                out.append(byte)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                out.append(byte)
                // Empty ones stay on their line.
                if index < bytes.count, bytes[index] == byte + 2 {
                    out.append(bytes[index])
                    index += 1
                } else {
                    depth += 1
                    newline(&out)
                }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth = max(0, depth - 1)
                newline(&out)
                out.append(byte)
            case UInt8(ascii: ","):
                out.append(byte)
                newline(&out)
            case UInt8(ascii: ":"):
                out.append(byte)
                out.append(UInt8(ascii: " "))
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
                break
            default:
                out.append(byte)
            }
        }
        return out
    }
}
