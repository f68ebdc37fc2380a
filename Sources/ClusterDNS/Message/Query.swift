/// A question as a client sent it.
package struct Query: Sendable, Hashable {
    package var id: UInt16
    package var recursionDesired: Bool
    package var checkingDisabled: Bool
    /// The client wants to know whether the answer's signatures were checked (RFC 6840, 5.7).
    package var wantsAuthentication = false
    package var question: Question
    package var extensions: Extensions?

    /// What the client says by EDNS (RFC 6891).
    package struct Extensions: Sendable, Hashable {
        /// The longest answer that it can take by UDP, in bytes.
        package var payloadSize: Int
        package var wantsDNSSEC: Bool

        package init(payloadSize: Int, wantsDNSSEC: Bool) {
            self.payloadSize = payloadSize
            self.wantsDNSSEC = wantsDNSSEC
        }
    }

    package init(
        id: UInt16, question: Question, recursionDesired: Bool = true, checkingDisabled: Bool = false,
        extensions: Extensions? = nil
    ) {
        self.id = id
        self.question = question
        self.recursionDesired = recursionDesired
        self.checkingDisabled = checkingDisabled
        self.extensions = extensions
    }

    /// What to do with bytes that came in.
    package enum Reading: Sendable, Hashable {
        case query(Query)
        /// To be answered with this message, since it asks for what nobody does here or is malformed.
        case rejected([UInt8], ResponseCode)
        /// Not to be answered: too short to be a query, or a response itself (two servers that answer each
        /// other's answers never end).
        case ignored
    }

    private static let responseFlag: UInt16 = 0x8000
    private static let operationMask: UInt16 = 0x7800

    package static func read(_ bytes: [UInt8]) -> Reading {
        var reader = MessageReader(bytes)
        guard let id = try? reader.uint16(), let flags = try? reader.uint16(),
            let questions = try? reader.uint16(), let answers = try? reader.uint16(),
            let authorities = try? reader.uint16(), let additionals = try? reader.uint16(),
            flags & responseFlag == 0
        else { return .ignored }
        var heard = Rejected(id: id, flags: flags)
        func rejected(_ code: ResponseCode) -> Reading { .rejected(heard.message(code), code) }
        guard questions == 1 else {
            return rejected(flags & operationMask == 0 ? .formatError : .notImplemented)
        }
        do {
            let name = try reader.name()
            let type = RecordType(rawValue: try reader.uint16())
            let classNumber = try reader.uint16()
            let question = Question(name: name, type: type)
            heard.question = (question, classNumber)
            var query = Query(
                id: id, question: question, recursionDesired: flags & 0x0100 != 0,
                checkingDisabled: flags & 0x0010 != 0)
            query.wantsAuthentication = flags & 0x0020 != 0
            for _ in 0..<(Int(answers) + Int(authorities) + Int(additionals)) {
                let (record, payloadSize) = try reader.record()
                guard record.type == .opt else { continue }
                // One, named by the root (RFC 6891, 6.1.1).
                guard query.extensions == nil, record.name == .root else { return rejected(.formatError) }
                query.extensions = Extensions(
                    payloadSize: Int(payloadSize), wantsDNSSEC: record.timeToLive & 0x8000 != 0)
                heard.extensions = query.extensions
                guard record.timeToLive >> 16 & 0xff == 0 else {
                    return .rejected(badVersion(query), .badVersion)
                }
            }
            guard flags & operationMask == 0 else { return rejected(.notImplemented) }
            guard classNumber == 1 else { return rejected(.refused) }
            // Whole zones are not handed out.
            guard type != .axfr, type != .ixfr, type != .opt else { return rejected(.refused) }
            return .query(query)
        } catch {
            // Other operations put other things there.
            return rejected(flags & operationMask == 0 ? .formatError : .notImplemented)
        }
    }

    /// What was understood of a message that is not answered: all that its rejection repeats.
    private struct Rejected {
        var id: UInt16
        var flags: UInt16
        var question: (Question, classNumber: UInt16)?
        var extensions: Extensions?

        func message(_ code: ResponseCode) -> [UInt8] {
            var writer = MessageWriter(limit: smallestDatagram)
            writer.uint16(id)
            writer.uint16(responseFlag | flags & (operationMask | 0x0100) | code.rawValue & 0xf)
            writer.uint16(question == nil ? 0 : 1)
            writer.uint16(0)
            writer.uint16(0)
            // Whoever speaks EDNS is answered in it (RFC 6891, 6.1.1).
            writer.uint16(extensions == nil ? 0 : 1)
            if let (question, classNumber) = question {
                writer.name(question.name)
                writer.uint16(question.type.rawValue)
                writer.uint16(classNumber)
            }
            if let extensions { writer.extensions(extensions, code: code) }
            return writer.bytes
        }
    }

    private static func badVersion(_ query: Query) -> [UInt8] {
        query.response(Answer(code: .badVersion), limit: 512)
    }
}

extension Query {
    /// The question with all that an answer from another server depends on.
    package var forwardedQuestion: Question {
        var question = question
        if extensions?.wantsDNSSEC == true { question.validation.insert(.signatures) }
        if checkingDisabled { question.validation.insert(.unchecked) }
        return question
    }

    /// The longest message that fits an Ethernet packet of IPv6 with room to spare (DNS flag day 2020): longer
    /// ones might arrive in fragments, or not at all, so clients are sent to TCP instead.
    package static let largestDatagram = 1232
    package static let smallestDatagram = 512
    package static let largestMessage = 65535

    /// The longest answer that may be sent by UDP.
    package var datagramLimit: Int {
        min(max(extensions?.payloadSize ?? 0, Self.smallestDatagram), Self.largestDatagram)
    }

    /// The message that answers this query. What does not fit within `limit` bytes is left out, and if it was
    /// part of the answer itself, the message says so (TC), and the client asks again by TCP.
    package func response(_ answer: Answer, limit: Int) -> [UInt8] {
        let reserve = extensions == nil ? 0 : 11
        var writer = MessageWriter(limit: limit)
        writer.uint16(id)
        writer.uint16(0)
        writer.uint16(1)
        for _ in 0..<3 { writer.uint16(0) }
        writer.question(question)
        var isTruncated = answer.isTruncated
        var counts: [UInt16] = [0, 0, 0]
        sections: for (section, records) in [answer.answers, answer.authority, answer.additional].enumerated()
        {
            for record in records {
                guard writer.record(record, reserve: reserve) else {
                    isTruncated = isTruncated || section == 0
                    break sections
                }
                counts[section] += 1
            }
        }
        if let extensions {
            writer.extensions(extensions, code: answer.code)
            counts[2] += 1
        }
        var flags: UInt16 = 0x8080  // a response; recursion is available
        if answer.isAuthoritative { flags |= 0x0400 }
        if isTruncated { flags |= 0x0200 }
        if recursionDesired { flags |= 0x0100 }
        if checkingDisabled { flags |= 0x0010 }
        // Only for those who know what it means (RFC 6840, 5.8).
        if answer.isAuthenticated, wantsAuthentication || extensions?.wantsDNSSEC == true { flags |= 0x0020 }
        writer.patch(flags | answer.code.rawValue & 0xf, at: 2)
        for (section, count) in counts.enumerated() {
            writer.patch(count, at: 6 + 2 * section)
        }
        return writer.bytes
    }

    /// The query as a message, to be sent to another server.
    package func message() -> [UInt8] {
        var writer = MessageWriter(limit: Self.smallestDatagram)
        writer.uint16(id)
        writer.uint16(
            (recursionDesired ? 0x0100 : 0) | (wantsAuthentication ? 0x0020 : 0)
                | (checkingDisabled ? 0x0010 : 0))
        writer.uint16(1)
        writer.uint16(0)
        writer.uint16(0)
        writer.uint16(extensions == nil ? 0 : 1)
        writer.question(question)
        if let extensions {
            writer.append([0])
            writer.uint16(RecordType.opt.rawValue)
            writer.uint16(UInt16(clamping: extensions.payloadSize))
            writer.uint32(extensions.wantsDNSSEC ? 0x8000 : 0)
            writer.uint16(0)
        }
        return writer.bytes
    }
}

extension MessageWriter {
    /// The record with which a server answers a client that speaks EDNS (RFC 6891, 6.1.2).
    fileprivate mutating func extensions(_ extensions: Query.Extensions, code: ResponseCode) {
        append([0])
        uint16(RecordType.opt.rawValue)
        uint16(UInt16(Query.largestDatagram))
        uint32(UInt32(code.rawValue >> 4 & 0xff) << 24 | (extensions.wantsDNSSEC ? 0x8000 : 0))
        uint16(0)
    }
}
