// What `swiftlet dns --query` shows.
extension DNSServer {
    /// How a question would be answered, step by step, for people to read. The sockets stay closed.
    ///
    /// - Parameters:
    ///   - name: as a client has it. With a client it is completed as that one's resolver does, unless it ends in a
    ///     dot; without, it is taken as it is.
    ///   - type: `A`, `SRV`, …
    ///   - client: the address of the pod that asks; its search path then counts.
    /// - Throws: `invalidQuestion` if name, type or address cannot be read.
    public func explain(_ name: String, type: String, from client: String? = nil) async throws(DNSError)
        -> String
    {
        guard let asked = DNSName(name), asked != .root else {
            throw DNSError(.invalidQuestion, "expected a domain name to ask for, found '\(name)'")
        }
        guard let kind = RecordType(type) else {
            throw DNSError(.invalidQuestion, "expected a record type such as A or SRV, found '\(type)'")
        }
        var address: HostAddress?
        if let client {
            guard let parsed = HostAddress(client) else {
                throw DNSError(
                    .invalidQuestion,
                    "expected who asks to be NAMESPACE/POD or the address of a pod, found '\(client)'")
            }
            address = parsed
        }
        takeIn(ResolverFile(path: configuration.resolverFile))
        await learnZone()
        var lines = ["\(asked) \(kind)" + (client.map { ", asked by \($0)" } ?? "")]
        if let path = searchPath(of: address) { lines.append("  search path: \(path)") }
        var names = [asked]
        if !name.hasSuffix("."), let path = address.flatMap({ self.searchPath(at: $0) }) {
            names = path.candidates(for: asked)
        }
        for name in names {
            if names.count > 1 { lines.append("  the client asks for \(name) now") }
            let (steps, answer) = await steps(Question(name: name, type: kind), from: address)
            lines += steps
            lines.append("answer: \(answer.code)" + (answer.isAuthoritative ? ", with authority" : ""))
            lines += answer.answers.map { "  \($0)" }
            guard answer.code == .nameError else { break }
        }
        return lines.joined(separator: "\n")
    }

    /// How one question is answered.
    private func steps(_ question: Question, from address: HostAddress?) async -> ([String], Answer) {
        var inquiry = responder.inquiry(question, from: address, isTraced: true)
        var step = inquiry.next()
        while case .forward(let next) = step { step = inquiry.received(await forwarder.answer(next)) }
        let findings = inquiry.findings ?? []
        var lines = findings.enumerated().flatMap { shown($1, number: $0 + 1) }
        if findings.count(where: { if case .alias = $0.resolution { true } else { false } })
            > Inquiry.mostAliases
        {
            lines.append("  the aliases lead in a circle")
        }
        guard case .answer(let answer) = step else { return (lines, Answer(code: .serverFailure)) }
        return (lines, answer)
    }

    private func shown(_ finding: Inquiry.Finding, number: Int) -> [String] {
        let name = finding.question.name
        let head = "  \(number). \(name) \(finding.question.type): "
        switch finding.resolution {
        case .pass:
            return [
                head + "not a name of the cluster, and not in the cache; other servers are asked: "
                    + forwarder.explanation(of: name, failed: false)
            ]
        case .alias(let answer, let next):
            return [head + "\(finding.resolver) knows an alias of \(next.name)"]
                + answer.answers.map { "       \($0)" }
        case .answer(let answer):
            // "cluster answers", "other servers answer"
            let (s, isOthers) = finding.resolver == "other servers" ? ("", true) : ("s", false)
            let found =
                switch (answer.code, answer.answers.isEmpty) {
                case (.noError, false): "answer\(s)"
                case (.noError, true): "say\(s) that the name exists without such a record"
                case (.nameError, _):
                    "say\(s) that the name does not exist"
                        + (reason(forAbsenceOf: name, finding.resolver).map { ": \($0)" } ?? "")
                default:
                    "fail\(s) with \(answer.code)"
                        + (isOthers
                            ? ": \(forwarder.explanation(of: name, failed: true))" : "")
                }
            return [head + "\(finding.resolver) \(found)"] + answer.answers.map { "       \($0)" }
        }
    }

    private func searchPath(of address: HostAddress?) -> String? {
        guard let address else { return nil }
        guard configuration.completesSearchPaths else { return "not completed here (switched off)" }
        guard let path = searchPath(at: address) else {
            return "not known: no pod has this address for its own"
        }
        return path.domains.map(\.description).joined(separator: " ") + ", ndots:\(path.minimumDots)"
    }
}

extension ResourceRecord: CustomStringConvertible {
    /// As in a zone file.
    public var description: String { "\(name) \(timeToLive) IN \(type) \(data)" }
}

extension RecordData: CustomStringConvertible {
    /// As in a zone file (RFC 1035, 5.1); of types unknown here as RFC 3597 has it.
    public var description: String {
        switch self {
        case .address(let address): "\(address)"
        case .cname(let name), .ns(let name), .ptr(let name): "\(name)"
        case .srv(let priority, let weight, let port, let target): "\(priority) \(weight) \(port) \(target)"
        case .txt(let strings):
            strings.map { "\"\(String(decoding: $0, as: UTF8.self))\"" }.joined(separator: " ")
        case .soa(let primary, let mailbox, let serial, let refresh, let retry, let expire, let minimum):
            "\(primary) \(mailbox) \(serial) \(refresh) \(retry) \(expire) \(minimum)"
        case .mx(let preference, let exchange): "\(preference) \(exchange)"
        case .other(_, let bytes):
            "\\# \(bytes.count) " + bytes.map { String(UInt16($0) + 0x100, radix: 16).suffix(2) }.joined()
        }
    }
}
