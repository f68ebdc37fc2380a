import KubernetesAPI

/// Times in queries: RFC 3339, and the words of Go's `time.Parse` for what is none.
enum GoTime {
    private static let layout = "2006-01-02T15:04:05Z07:00"
    /// The layout in pieces: numbers of so many digits, and what stands between them.
    private static let pieces: [(text: String, digits: Int)] = [
        ("2006", 4), ("-", 0), ("01", 2), ("-", 0), ("02", 2), ("T", 0), ("15", 2), (":", 0), ("04", 2),
        (":", 0),
        ("05", 2),
    ]

    /// Why a text is no time; nil when it is one.
    static func mistake(in text: String) -> String? {
        if Time(text) != nil { return nil }
        func failure(_ rest: Substring, _ piece: String) -> String {
            "parsing time \(GoText.quoted(text)) as \(GoText.quoted(layout)): cannot parse "
                + "\(GoText.quoted(String(rest))) as \(GoText.quoted(piece))"
        }
        var rest = text[...]
        for piece in pieces {
            if piece.digits == 0 {
                guard rest.hasPrefix(piece.text) else { return failure(rest, piece.text) }
                rest = rest.dropFirst()
                continue
            }
            let number = rest.prefix(piece.digits)
            guard number.utf8.count == piece.digits, number.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else {
                return failure(rest, piece.text)
            }
            rest = rest.dropFirst(piece.digits)
        }
        if rest.isEmpty || !"Z+-.,".contains(rest[rest.startIndex]) { return failure(rest, "Z07:00") }
        return "parsing time \(GoText.quoted(text)): a part of it is out of range or left over"
    }
}
