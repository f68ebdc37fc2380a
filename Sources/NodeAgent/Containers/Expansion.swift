/// `$(NAME)` in commands, arguments and values: replaced by the variable's value, `$$(NAME)` is the escape, and
/// what names no variable stays as it is
/// (https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/).
package enum Expansion {
    package static func expand(_ text: String, _ value: (String) -> String?) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        let dollar = UInt8(ascii: "$")
        while let byte = rest.popFirst() {
            guard byte == dollar, let following = rest.first else {
                result.append(byte)
                continue
            }
            if following == dollar {
                rest = rest.dropFirst()
                result.append(dollar)
            } else if following == UInt8(ascii: "("), let end = rest.firstIndex(of: UInt8(ascii: ")")) {
                let name = String(decoding: rest[(rest.startIndex + 1)..<end], as: UTF8.self)
                let whole = rest[...end]
                rest = rest[(end + 1)...]
                if let value = value(name) {
                    result.append(contentsOf: value.utf8)
                } else {
                    result.append(dollar)
                    result.append(contentsOf: whole)
                }
            } else {
                result.append(dollar)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
