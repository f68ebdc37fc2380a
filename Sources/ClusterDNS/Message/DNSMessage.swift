/// What a record holds, by number (IANA DNS parameters).
public struct RecordType: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let a = RecordType(rawValue: 1)
    public static let ns = RecordType(rawValue: 2)
    public static let cname = RecordType(rawValue: 5)
    public static let soa = RecordType(rawValue: 6)
    public static let ptr = RecordType(rawValue: 12)
    public static let mx = RecordType(rawValue: 15)
    public static let txt = RecordType(rawValue: 16)
    public static let aaaa = RecordType(rawValue: 28)
    public static let srv = RecordType(rawValue: 33)
    public static let dname = RecordType(rawValue: 39)
    package static let opt = RecordType(rawValue: 41)
    package static let ds = RecordType(rawValue: 43)
    package static let rrsig = RecordType(rawValue: 46)
    package static let nsec = RecordType(rawValue: 47)
    package static let dnskey = RecordType(rawValue: 48)
    package static let nsec3 = RecordType(rawValue: 50)
    public static let svcb = RecordType(rawValue: 64)
    public static let https = RecordType(rawValue: 65)
    package static let ixfr = RecordType(rawValue: 251)
    package static let axfr = RecordType(rawValue: 252)
    public static let any = RecordType(rawValue: 255)

    private static let names: [(RecordType, String)] = [
        (.a, "A"), (.ns, "NS"), (.cname, "CNAME"), (.soa, "SOA"), (.ptr, "PTR"), (.mx, "MX"), (.txt, "TXT"),
        (.aaaa, "AAAA"), (.srv, "SRV"), (.dname, "DNAME"), (.opt, "OPT"), (.ds, "DS"), (.rrsig, "RRSIG"),
        (.nsec, "NSEC"), (.dnskey, "DNSKEY"), (.nsec3, "NSEC3"), (.svcb, "SVCB"), (.https, "HTTPS"),
        (.ixfr, "IXFR"), (.axfr, "AXFR"), (.any, "ANY"),
    ]

    /// Reads the type's mnemonic (`AAAA`), or its number (`TYPE257`, as RFC 3597 has it, or `257`).
    public init?(_ name: String) {
        let upper = name.uppercased()
        if let type = Self.names.first(where: { $0.1 == upper })?.0 {
            self = type
        } else {
            guard let number = UInt16(upper.hasPrefix("TYPE") ? upper.dropFirst(4) : upper[...]) else {
                return nil
            }
            self.init(rawValue: number)
        }
    }
}

extension RecordType: CustomStringConvertible {
    public var description: String {
        Self.names.first { $0.0 == self }?.1 ?? "TYPE\(rawValue)"
    }
}

/// The outcome of a query (RFC 1035, 4.1.1; above 15 with EDNS, RFC 6891).
public struct ResponseCode: RawRepresentable, Sendable, Hashable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let noError = ResponseCode(rawValue: 0)
    public static let formatError = ResponseCode(rawValue: 1)
    public static let serverFailure = ResponseCode(rawValue: 2)
    public static let nameError = ResponseCode(rawValue: 3)
    public static let notImplemented = ResponseCode(rawValue: 4)
    public static let refused = ResponseCode(rawValue: 5)
    public static let badVersion = ResponseCode(rawValue: 16)
}

extension ResponseCode: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noError: "NOERROR"
        case .formatError: "FORMERR"
        case .serverFailure: "SERVFAIL"
        case .nameError: "NXDOMAIN"
        case .notImplemented: "NOTIMP"
        case .refused: "REFUSED"
        case .badVersion: "BADVERS"
        case ResponseCode(rawValue: 6): "YXDOMAIN"
        case ResponseCode(rawValue: 7): "YXRRSET"
        case ResponseCode(rawValue: 8): "NXRRSET"
        case ResponseCode(rawValue: 9): "NOTAUTH"
        case ResponseCode(rawValue: 10): "NOTZONE"
        default: "RCODE\(rawValue)"
        }
    }
}

/// What is asked: a name and a type (the class is always IN).
public struct Question: Sendable, Hashable {
    public var name: DNSName
    public var type: RecordType
    /// What the client says about signatures. Other servers answer by it, so it is part of the question.
    package var validation: Validation = []

    public init(name: DNSName, type: RecordType) {
        self.name = name
        self.type = type
    }

    /// The same question about another name.
    package func asked(of name: DNSName) -> Question {
        var other = self
        other.name = name
        return other
    }

    /// Wishes of a client that checks signatures by itself (DNSSEC). There are none in the cluster's domain.
    package struct Validation: OptionSet, Sendable, Hashable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// The signatures are to come along (DO; RFC 3225).
        package static let signatures = Validation(rawValue: 1)
        /// The other server is not to check them (CD; RFC 4035, 3.2.2).
        package static let unchecked = Validation(rawValue: 2)
    }
}

/// A record's content.
public enum RecordData: Sendable, Hashable {
    /// A or AAAA.
    case address(HostAddress)
    case cname(DNSName)
    case ns(DNSName)
    case ptr(DNSName)
    case srv(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
    case txt([[UInt8]])
    case soa(
        primary: DNSName, mailbox: DNSName, serial: UInt32, refresh: UInt32, retry: UInt32, expire: UInt32,
        minimum: UInt32)
    case mx(preference: UInt16, exchange: DNSName)
    /// Any other type, as it is in the message.
    case other(RecordType, [UInt8])

    public var type: RecordType {
        switch self {
        case .address(.v4): .a
        case .address(.v6): .aaaa
        case .cname: .cname
        case .ns: .ns
        case .ptr: .ptr
        case .srv: .srv
        case .txt: .txt
        case .soa: .soa
        case .mx: .mx
        case .other(let type, _): type
        }
    }
}

/// A record of class IN.
public struct ResourceRecord: Sendable, Hashable {
    public var name: DNSName
    /// How long the record may be kept, in seconds.
    public var timeToLive: UInt32
    public var data: RecordData

    public var type: RecordType { data.type }

    public init(name: DNSName, timeToLive: UInt32, data: RecordData) {
        self.name = name
        self.timeToLive = timeToLive
        self.data = data
    }
}

/// The result of resolving a question, before it becomes a message.
public struct Answer: Sendable, Hashable {
    public var code: ResponseCode
    /// The answer comes from data of our own, not from another server.
    public var isAuthoritative: Bool
    /// The server that gave it says that it checked the signatures (AD; RFC 4035, 3.2.3).
    package var isAuthenticated = false
    /// Whoever asked meant this name and no later one of a search path, though it does not exist: it is below a
    /// Service that does.
    package var endsSearch = false
    /// Records are missing, and could not be fetched.
    package var isTruncated = false
    public var answers: [ResourceRecord]
    public var authority: [ResourceRecord]
    public var additional: [ResourceRecord]

    public init(
        code: ResponseCode = .noError, isAuthoritative: Bool = false, answers: [ResourceRecord] = [],
        authority: [ResourceRecord] = [], additional: [ResourceRecord] = []
    ) {
        self.code = code
        self.isAuthoritative = isAuthoritative
        self.answers = answers
        self.authority = authority
        self.additional = additional
    }
}
