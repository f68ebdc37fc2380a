import CLinux
import Netlink
import Testing

@Suite struct MessageTests {
    @Test func attributesAreLaidOutAsTheKernelWants() {
        var writer = MessageWriter()
        writer.message(type: 7, flags: 5, sequence: 9) { writer in
            writer.attribute(1, "ab")
            writer.nest(2) { $0.attribute(3, bigEndian: UInt16(0x0102)) }
        }
        #expect(
            writer.bytes == [
                36, 0, 0, 0, 7, 0, 5, 0, 9, 0, 0, 0, 0, 0, 0, 0,
                7, 0, 1, 0, 0x61, 0x62, 0, 0,
                12, 0, 2, 0x80, 6, 0, 3, 0, 1, 2, 0, 0,
            ])
    }

    @Test func whatIsWrittenCanBeRead() throws {
        var writer = MessageWriter()
        for sequence in 1...3 as ClosedRange<UInt32> {
            writer.message(type: 16, flags: 1, sequence: sequence) { writer in
                writer.raw(UInt64(0))
                writer.attribute(5, "name")
                writer.nest(6) { $0.attribute(1, UInt32(42)) }
            }
        }
        let messages = Array(Messages(writer.bytes[...]))
        #expect(messages.map(\.sequence) == [1, 2, 3])
        let attributes = try #require(messages.last).attributes(afterHeaderOf: 8)
        #expect(attributes[5]?.string == "name")
        #expect(attributes[6]?.attributes[1]?.integer() == UInt32(42))
        #expect(attributes[7] == nil)
    }

    @Test func tooLongAttributesAreNoticed() {
        var writer = MessageWriter()
        writer.nest(1) { writer in
            for _ in 0..<3 { writer.attribute(1, [UInt8](repeating: 0, count: 30_000)) }
        }
        #expect(writer.isOversized)
    }

    /// Every parser takes thousands of damaged answers and must neither trap nor loop.
    @Test func damagedAnswersDoNoHarm() {
        var random = SplitMix(state: 20_26)
        let samples = Self.samples
        for _ in 0..<20_000 {
            let index = Int(random.next() % UInt64(samples.count))
            var bytes = samples[index]
            for _ in 0...(random.next() % 6) where !bytes.isEmpty {
                let position = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[position] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes[position] ^= 1 << (random.next() % 8)
                case 2: bytes.removeSubrange(position...)
                default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: position)
                }
            }
            for message in Messages(bytes[...]) {
                _ = RouteSocket.link(message)
                _ = RouteSocket.address(message)
                _ = RouteSocket.route(message)
                _ = RouteSocket.rule(message)
                _ = NftablesSocket.elements(message)
                _ = ConnectionTracking.connection(message)
            }
        }
    }

    /// One well-formed answer for each parser.
    private static var samples: [[UInt8]] {
        func message(_ type: Int, header: [UInt8], _ body: (inout MessageWriter) -> Void) -> [UInt8] {
            var writer = MessageWriter()
            writer.message(type: UInt16(type), flags: 2, sequence: 1) { writer in
                writer.raw(header)
                body(&writer)
            }
            return writer.bytes
        }
        return [
            message(RTM_NEWLINK, header: [UInt8](repeating: 1, count: 16)) { writer in
                writer.attribute(IFLA_IFNAME, "swiftlet0")
                writer.nest(IFLA_LINKINFO) { $0.attribute(IFLA_INFO_KIND, "bridge") }
            },
            message(RTM_NEWADDR, header: [2, 24, 0, 0, 1, 0, 0, 0]) { writer in
                writer.attribute(IFA_LOCAL, [10, 0, 0, 1] as [UInt8])
                writer.attribute(IFA_LABEL, "eth0")
            },
            message(RTM_NEWROUTE, header: [2, 16, 0, 0, 254, 83, 253, 1, 0, 0, 0, 0]) { writer in
                writer.attribute(RTA_DST, [10, 96, 0, 0] as [UInt8])
                writer.attribute(RTA_OIF, Int32(2))
            },
            message(RTM_NEWRULE, header: [2, 16, 16, 0, 254, 0, 0, 1, 0, 0, 0, 0]) { writer in
                writer.attribute(FRA_SRC, [10, 96, 0, 0] as [UInt8])
                writer.attribute(FRA_PRIORITY, UInt32(5))
            },
            message(0x0a0c, header: [2, 0, 0, 0]) { writer in
                writer.nest(NFTA_SET_ELEM_LIST_ELEMENTS) { writer in
                    writer.nest(NFTA_LIST_ELEM) { writer in
                        writer.nest(NFTA_SET_ELEM_KEY) {
                            $0.attribute(NFTA_DATA_VALUE, [1, 2, 3, 4] as [UInt8])
                        }
                        writer.nest(NFTA_SET_ELEM_DATA) { writer in
                            writer.nest(NFTA_DATA_VERDICT) { writer in
                                writer.attribute(NFTA_VERDICT_CODE, bigEndian: Int32(-4))
                                writer.attribute(NFTA_VERDICT_CHAIN, "pick3")
                            }
                        }
                    }
                }
            },
            message(0x0100, header: [2, 0, 0, 0]) { writer in
                for (tuple, type) in [(1, CTA_TUPLE_ORIG), (2, CTA_TUPLE_REPLY)] {
                    writer.nest(type) { writer in
                        writer.nest(CTA_TUPLE_IP) { writer in
                            writer.attribute(CTA_IP_V4_SRC, [10, 0, 0, UInt8(tuple)] as [UInt8])
                            writer.attribute(CTA_IP_V4_DST, [10, 0, 0, 9] as [UInt8])
                        }
                        writer.nest(CTA_TUPLE_PROTO) { $0.attribute(CTA_PROTO_NUM, UInt8(17)) }
                    }
                }
                writer.attribute(CTA_STATUS, bigEndian: UInt32(2))
            },
        ]
    }

    @Test func samplesAreReallyUnderstood() {
        let messages = Self.samples.flatMap { Array(Messages($0[...])) }
        #expect(messages.compactMap(RouteSocket.link).map(\.kind) == ["bridge"])
        #expect(messages.compactMap(RouteSocket.address).map(\.label) == ["eth0"])
        #expect(messages.compactMap(RouteSocket.route).map(\.destination.description) == ["10.96.0.0/16"])
        #expect(messages.compactMap(RouteSocket.rule).map(\.priority) == [5])
        #expect(
            messages.flatMap(NftablesSocket.elements) == [SetElement([1, 2, 3, 4], .verdict(.goto("pick3")))])
        #expect(messages.compactMap(ConnectionTracking.connection).map(\.original.transportProtocol) == [17])
    }
}

/// A small seeded generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
