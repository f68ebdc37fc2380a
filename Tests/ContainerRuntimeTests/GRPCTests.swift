import ContainerRuntime
import Testing

@Suite struct GRPCFramingTests {
    @Test func messagesComeOutWhateverTheChunks() throws {
        let messages: [[UInt8]] = [[], [1, 2, 3], [UInt8](repeating: 7, count: 70_000), [9]]
        let bytes = messages.flatMap { GRPCDeframer.frame($0) }
        for chunk in [1, 2, 3, 5, 4096, 1 << 20] {
            var deframer = GRPCDeframer()
            var found: [[UInt8]] = []
            var offset = 0
            while offset < bytes.count {
                deframer.append(bytes[offset..<min(offset + chunk, bytes.count)])
                offset += chunk
                while let message = try deframer.next() { found.append(message) }
            }
            #expect(found == messages)
            #expect(!deframer.isInsideMessage)
        }
    }

    @Test func aCutMessageIsNoticed() throws {
        var deframer = GRPCDeframer()
        deframer.append(GRPCDeframer.frame([1, 2, 3]).dropLast())
        #expect(try deframer.next() == nil)
        #expect(deframer.isInsideMessage)
    }

    @Test func compressedAndHugeMessagesAreRefused() {
        var compressed = GRPCDeframer()
        compressed.append([1, 0, 0, 0, 0])
        #expect(throws: GRPCError.self) { try compressed.next() }
        var huge = GRPCDeframer()
        huge.append([0, 0xff, 0xff, 0xff, 0xff])
        #expect(throws: GRPCError.self) { try huge.next() }
    }

    @Test func randomBytesNeverCrash() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<3000 {
            var deframer = GRPCDeframer()
            deframer.append(
                (0..<Int.random(in: 0..<40, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator) & (Bool.random(using: &generator) ? 1 : 255)
                })
            while let message = try? deframer.next() { #expect(message.count <= 40) }
        }
    }

    @Test func statusMessagesAreDecoded() {
        #expect(GRPCError.decodeMessage("a%20b%e2%82%AC") == "a b€")
        #expect(GRPCError.decodeMessage("100%") == "100%")
        #expect(GRPCError.decodeMessage("%zz%4") == "%zz%4")
    }

    @Test func timeoutsHaveAtMostEightDigits() {
        #expect(GRPCClient.header(.milliseconds(1500)) == "1500m")
        #expect(GRPCClient.header(.seconds(200_000)) == "200000S")
        #expect(GRPCClient.header(.seconds(-1)) == "0m")
    }
}

/// A generator whose numbers are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &+ 0x9e37_79b9_7f4a_7c15 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
