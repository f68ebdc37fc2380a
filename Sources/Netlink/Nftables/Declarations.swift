import CLinux

/// The name of a table.
public struct TableName: Sendable, Hashable, CustomStringConvertible {
    /// Which packets a table sees.
    public enum Family: UInt8, Sendable {
        case inet = 1
        case ipv4 = 2
        case ipv6 = 10
    }

    /// The family.
    public let family: Family
    /// The name, unique in the family.
    public let name: String

    public init(_ family: Family, _ name: String) {
        self.family = family
        self.name = name
    }

    public var description: String {
        switch family {
        case .inet: "inet \(name)"
        case .ipv4: "ip \(name)"
        case .ipv6: "ip6 \(name)"
        }
    }
}

/// Where a base chain sits on the way of the packets.
public struct ChainHook: Sendable, Hashable {
    /// The point on the way.
    public enum Point: UInt32, Sendable {
        case prerouting = 0
        case input = 1
        case forward = 2
        case output = 3
        case postrouting = 4
    }

    /// What kind of chain it is: `nat` chains see only the first packet of a connection.
    public enum Kind: String, Sendable {
        case filter
        case nat
    }

    public let kind: Kind
    public let point: Point
    /// Chains at one point are called in the order of their priorities.
    public let priority: Int32

    public init(_ kind: Kind, _ point: Point, priority: Int32) {
        self.kind = kind
        self.point = point
        self.priority = priority
    }

    /// Destination translation before routing (`priority dstnat`, -100).
    public static let translateDestination = ChainHook(.nat, .prerouting, priority: -100)
    /// Destination translation of what this machine sends (`priority -100`).
    public static let translateOwnDestination = ChainHook(.nat, .output, priority: -100)
    /// Before connection tracking, of what comes in (`priority raw`, -300).
    public static let beforeTracking = ChainHook(.filter, .prerouting, priority: -300)
    /// Before connection tracking, of what this machine sends (`priority raw`, -300).
    public static let beforeTrackingOwn = ChainHook(.filter, .output, priority: -300)
    /// Source translation (`priority srcnat`, 100).
    public static let translateSource = ChainHook(.nat, .postrouting, priority: 100)
}

/// A type of data as the `nft` program knows it; a concatenation has several.
public enum DataType: UInt32, Sendable {
    case ipv4Address = 7
    case ipv6Address = 8
    case transportProtocol = 12
    case port = 13
    case mark = 19
    case interfaceIndex = 20

    /// The bytes that a value takes in a key, padded to whole registers.
    public var paddedSize: UInt32 {
        self == .ipv6Address ? 16 : 4
    }
}

/// The declaration of a set or a map.
public struct SetDeclaration: Sendable, Hashable {
    /// What a map's elements lead to.
    public enum Value: Sendable, Hashable {
        case data([DataType])
        case verdict
    }

    /// The name, unique in its table.
    public var name: String
    /// The parts of the key.
    public var key: [DataType]
    /// What an element leads to; nil for a plain set.
    public var value: Value?
    /// After how long elements vanish, for a set whose elements rules add.
    public var timeout: Duration?
    /// Whether rules add elements.
    public var isDynamic = false
    /// The most elements that it may hold. Such a set loads faster and cannot grow.
    public var size: UInt32?

    public init(_ name: String, key: [DataType], value: Value? = nil) {
        self.name = name
        self.key = key
        self.value = value
    }

    func write(to writer: inout MessageWriter, id: UInt32) {
        var flags = value == nil ? 0 : NFT_SET_MAP.rawValue
        if timeout != nil { flags |= NFT_SET_TIMEOUT.rawValue }
        if isDynamic { flags |= NFT_SET_EVAL.rawValue }
        writer.attribute(NFTA_SET_NAME, name)
        writer.attribute(NFTA_SET_ID, bigEndian: id)
        writer.attribute(NFTA_SET_FLAGS, bigEndian: flags)
        writer.attribute(NFTA_SET_KEY_TYPE, bigEndian: Self.concatenated(key))
        writer.attribute(NFTA_SET_KEY_LEN, bigEndian: Self.length(key))
        switch value {
        case .data(let types):
            writer.attribute(NFTA_SET_DATA_TYPE, bigEndian: Self.concatenated(types))
            writer.attribute(NFTA_SET_DATA_LEN, bigEndian: Self.length(types))
        case .verdict:
            writer.attribute(NFTA_SET_DATA_TYPE, bigEndian: UInt32(NFT_DATA_VERDICT.rawValue))
            writer.attribute(NFTA_SET_DATA_LEN, bigEndian: UInt32(16))
        case nil: break
        }
        if let timeout { writer.attribute(NFTA_SET_TIMEOUT, bigEndian: timeout.wholeMilliseconds) }
        if let size {
            writer.nest(NFTA_SET_DESC) { $0.attribute(NFTA_SET_DESC_SIZE, bigEndian: size) }
        }
    }

    /// The number of a concatenated type: 6 bits a part.
    private static func concatenated(_ types: [DataType]) -> UInt32 {
        types.reduce(0) { $0 << 6 | $1.rawValue }
    }

    /// Parts of a concatenation begin at whole registers; a single value has its own length.
    private static func length(_ types: [DataType]) -> UInt32 {
        if types == [.port] { return 2 }
        if types == [.transportProtocol] { return 1 }
        return types.reduce(0) { $0 + $1.paddedSize }
    }
}

/// An element of a set or a map.
public struct SetElement: Sendable, Hashable {
    /// What a map's element leads to.
    public enum Value: Sendable, Hashable {
        case data([UInt8])
        case verdict(Verdict)
    }

    /// The key: its parts, each padded to a whole register.
    public var key: [UInt8]
    /// What it leads to; nil in a plain set.
    public var value: Value?

    public init(_ key: [UInt8], _ value: Value? = nil) {
        self.key = key
        self.value = value
    }
}
