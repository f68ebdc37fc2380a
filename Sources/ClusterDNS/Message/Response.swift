/// A message that another server sent as an answer.
package struct Response: Sendable, Hashable {
    package var id: UInt16
    package var isTruncated: Bool
    package var question: Question?
    package var answer: Answer

    package init(reading bytes: [UInt8]) throws(MessageReader.Failure) {
        var reader = MessageReader(bytes)
        id = try reader.uint16()
        let flags = try reader.uint16()
        guard flags & 0x8000 != 0 else { throw .badLength }
        isTruncated = flags & 0x0200 != 0
        var code = flags & 0xf
        let questions = try reader.uint16()
        let counts = [try reader.uint16(), try reader.uint16(), try reader.uint16()]
        for _ in 0..<questions {
            let name = try reader.name()
            let type = RecordType(rawValue: try reader.uint16())
            _ = try reader.uint16()
            question = Question(name: name, type: type)
        }
        var sections: [[ResourceRecord]] = [[], [], []]
        do throws(MessageReader.Failure) {
            for (section, count) in counts.enumerated() {
                for _ in 0..<count {
                    var (record, classNumber) = try reader.record()
                    if record.type == .opt {
                        code |= UInt16(record.timeToLive >> 24) << 4
                    } else if classNumber == 1 {
                        // RFC 2181, 8: a time with the highest bit set is none.
                        if record.timeToLive > Int32.max { record.timeToLive = 0 }
                        sections[section].append(record)
                    }
                }
            }
        } catch {
            // What was cut may end anywhere; what came before the end is not worth keeping (RFC 2181, 9).
            guard isTruncated else { throw error }
        }
        answer = Answer(
            code: ResponseCode(rawValue: code), isAuthoritative: flags & 0x0400 != 0, answers: sections[0],
            authority: sections[1], additional: sections[2])
        answer.isAuthenticated = flags & 0x0020 != 0
    }

    /// Whether this can be the answer to the query: anybody may send datagrams (RFC 5452, 9.1).
    package func answers(_ query: Query) -> Bool {
        guard id == query.id else { return false }
        // Who cannot read a query, such as one with EDNS, may fail with a header alone (RFC 6891, 7).
        guard let question else { return answer.code != .noError && answer.code != .nameError }
        return question.type == query.question.type
            && question.name.lowercased == query.question.name.lowercased
    }
}
