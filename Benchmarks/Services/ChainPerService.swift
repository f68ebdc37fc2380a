import BenchmarkSupport
import Glibc

/// The yardstick: the same tables and the same changes in the other shape, a chain for each Service and each endpoint,
/// handed to the kernel by the program `nft`, one transaction a change. This is how the proxy works that has this shape.
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

    /// Milliseconds for one change of one Service: the changes of ``Loads/changes(among:)``.
    func measure(rounds: Int) throws -> Samples {
        let begin = ContinuousClock.now
        try apply(table)
        print("a chain per Service, load: \(decimal((ContinuousClock.now - begin) / .seconds(1))) s")
        var all = Samples()
        for change in ServiceChange.allCases {
            var samples = Samples()
            for round in 0..<rounds {
                let number = (round * 7919) % services
                for (step, count) in change.counts.enumerated() {
                    let before = change.counts[(step + 1) % 2]
                    let text = self.change(number, from: before, to: count, shift: change.shift(round, step))
                    let begin = ContinuousClock.now
                    try apply(text)
                    samples.add((ContinuousClock.now - begin) / .milliseconds(1))
                }
            }
            for value in samples.values { all.add(value) }
            print(
                "a chain per Service, one change at \(services) Services, \(change.rawValue): \(samples.summary) ms"
            )
        }
        try Command(["nft", "delete", "table", "ip", "chains"]).run()
        return all
    }

    private var table: String {
        var text = """
            table ip chains {
              map services { type ipv4_addr . inet_proto . inet_service : verdict; }
              chain prerouting { type nat hook prerouting priority dstnat; ip daddr . meta l4proto . th dport vmap @services; }

            """
        for number in 0..<services {
            for endpoint in 0..<3 {
                text += "  chain endpoint-\(number)-\(endpoint) { \(dnat(number, endpoint, 3, 0)); }\n"
            }
            text += "  chain service-\(number) { \(pick(number, 3)); }\n"
        }
        text += "}\n"
        for number in 0..<services { text += element("add", number) }
        return text
    }

    /// One transaction: the Service had `before` endpoints and has `count` now, with 0 it is not there. Where it has as
    /// many, one is another.
    private func change(_ number: Int, from before: Int, to count: Int, shift: Int) -> String {
        var text = ""
        if count == 0 { text += element("delete", number) }
        for endpoint in before..<max(before, count) {
            text += "add chain ip chains endpoint-\(number)-\(endpoint)\n"
        }
        if before == 0 { text += "add chain ip chains service-\(number)\n" }
        text += "flush chain ip chains service-\(number)\n"
        for endpoint in 0..<count where endpoint >= before || before == count && endpoint == 0 {
            text += "flush chain ip chains endpoint-\(number)-\(endpoint)\n"
            text +=
                "add rule ip chains endpoint-\(number)-\(endpoint) \(dnat(number, endpoint, count, shift))\n"
        }
        if count == 0 {
            text += "delete chain ip chains service-\(number)\n"
        } else {
            text += "add rule ip chains service-\(number) \(pick(number, count))\n"
        }
        for endpoint in count..<max(before, count) {
            text += "flush chain ip chains endpoint-\(number)-\(endpoint)\n"
            text += "delete chain ip chains endpoint-\(number)-\(endpoint)\n"
        }
        if before == 0 { text += element("add", number) }
        return text
    }

    private func element(_ verb: String, _ number: Int) -> String {
        "\(verb) element ip chains services { \(Made.address(number)) . tcp . 80 : goto service-\(number) }\n"
    }

    private func dnat(_ number: Int, _ endpoint: Int, _ count: Int, _ shift: Int) -> String {
        "meta l4proto tcp dnat to \(Made.endpoints(number, count, shift: shift)[endpoint]):3000"
    }

    private func pick(_ number: Int, _ count: Int) -> String {
        let targets = (0..<count).map { "\($0) : goto endpoint-\(number)-\($0)" }.joined(separator: ", ")
        return "numgen random mod \(count) vmap { \(targets) }"
    }

    private func apply(_ text: String) throws {
        let path = "\(folder)/rules"
        guard let file = fopen(path, "w") else { throw Command.Failure(description: "no \(path)") }
        fputs(text, file)
        fclose(file)
        try Command(["nft", "-f", path]).run()
    }
}
