import BenchmarkSupport
import Glibc

/// The yardstick: the same tables in the other shape, a chain for each Service and each endpoint, handed to the kernel
/// as text, one transaction a change.
struct ChainPerService {
    private let folder: String
    private let services: Int

    init(services: Int) throws {
        var template = Array("/tmp/chains-XXXXXX".utf8CString)
        folder = try template.withUnsafeMutableBufferPointer { buffer in
            guard let made = buffer.baseAddress.flatMap({ mkdtemp($0) }) else {
                throw Command.Failure(description: "no temporary folder")
            }
            return String(cString: made)
        }
        self.services = services
    }

    /// Milliseconds for one change of one Service, median.
    func measure(changes: Int) throws -> Samples {
        var text = """
            table ip chains {
              map services { type ipv4_addr . inet_proto . inet_service : verdict; }
              chain prerouting { type nat hook prerouting priority dstnat; ip daddr . meta l4proto . th dport vmap @services; }

            """
        for number in 0..<services {
            for endpoint in 0..<3 {
                text += "  chain endpoint-\(number)-\(endpoint) { \(dnat(number, endpoint, 0)); }\n"
            }
            text += "  chain service-\(number) { \(pick(number)); }\n"
        }
        text += "}\n"
        for number in 0..<services {
            text +=
                "add element ip chains services { \(Made.address(number)) . tcp . 80 : goto service-\(number) }\n"
        }
        let begin = ContinuousClock.now
        try apply(text)
        print("a chain per Service, load: \(decimal((ContinuousClock.now - begin) / .seconds(1))) s")
        var samples = Samples()
        for round in 0..<changes {
            let number = (round * 7919) % services
            let begin = ContinuousClock.now
            try apply(
                """
                flush chain ip chains endpoint-\(number)-0
                add rule ip chains endpoint-\(number)-0 \(dnat(number, 0, round + 1))
                flush chain ip chains service-\(number)
                add rule ip chains service-\(number) \(pick(number))

                """)
            samples.add((ContinuousClock.now - begin) / .milliseconds(1))
        }
        try Command(["nft", "delete", "table", "ip", "chains"]).run()
        print("a chain per Service, one change at \(services) Services: \(samples.summary) ms")
        return samples
    }

    private func dnat(_ number: Int, _ endpoint: Int, _ shift: Int) -> String {
        "meta l4proto tcp dnat to \(Made.endpoints(number, 3, shift: shift)[endpoint]):3000"
    }

    private func pick(_ number: Int) -> String {
        let targets = (0..<3).map { "\($0) : goto endpoint-\(number)-\($0)" }.joined(separator: ", ")
        return "numgen random mod 3 vmap { \(targets) }"
    }

    private func apply(_ text: String) throws {
        let path = "\(folder)/rules"
        guard let file = fopen(path, "w") else { throw Command.Failure(description: "no \(path)") }
        fputs(text, file)
        fclose(file)
        try Command(["nft", "-f", path]).run()
    }
}
