// What `swiftlet dns --query` shows.
extension DNSServer {
    /// How a question would be answered, step by step, for people to read. The sockets stay closed.
    ///
    /// - Parameters:
    ///   - name: as a client would ask for it, complete; a dot at the end is optional.
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
                throw DNSError(.invalidQuestion, "expected the address of a pod, found '\(client)'")
            }
            address = parsed
        }
        takeIn(ResolverFile(path: configuration.resolverFile))
        await learnZone()
        let question = Question(name: asked, type: kind)
        var lines = ["\(question.name) \(kind)" + (client.map { ", asked by \($0)" } ?? "")]
        if let path = searchPath(of: address) {
            lines.append("  search path: \(path)")
        }
        var inquiry = responder.inquiry(question, from: address, isTraced: true)
        var step = inquiry.next()
        while case .forward(let next) = step { step = inquiry.received(await forwarder.answer(next)) }
        for (index, finding) in (inquiry.findings ?? []).enumerated() {
            lines += finding.lines(number: index + 1)
        }
        if case .answer(let answer) = step {
            lines.append("answer: \(answer.code)" + (answer.isAuthoritative ? ", with authority" : ""))
            lines += answer.answers.map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }

    private func searchPath(of address: HostAddress?) -> String? {
        guard let address else { return nil }
        guard configuration.completesSearchPaths else { return "not completed here (switched off)" }
        guard let path = searchPath(at: address) else { return "not known: no pod has this address" }
        return path.domains.map(\.description).joined(separator: " ") + ", ndots:\(path.minimumDots)"
    }
}

extension Inquiry.Finding {
    fileprivate func lines(number: Int) -> [String] {
        let head = "  \(number). \(question.name) \(question.type): "
        switch resolution {
        case .pass:
            return [head + "not a name of the cluster, and not in the cache; other servers are asked"]
        case .alias(let answer, let next):
            return [head + "\(resolver) knows an alias of \(next.name)"]
                + answer.answers.map { "       \($0)" }
        case .answer(let answer):
            let found =
                switch (answer.code, answer.answers.isEmpty) {
                case (.noError, false): "answers"
                case (.noError, true): "says that the name exists without such a record"
                case (.nameError, _): "says that the name does not exist"
                default: "fails with \(answer.code)"
                }
            return [head + "\(resolver) \(found)"] + answer.answers.map { "       \($0)" }
        }
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
