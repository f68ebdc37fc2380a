import Telemetry
import Testing

@Suite struct MetricTests {
    @Test func textFormat() {
        let registry = MetricRegistry()
        let requests = registry.counter("requests_total", "Requests.", labels: ["verb", "code"])
        requests("GET", "200").increment()
        requests("GET", "200").increment(by: 2)
        requests("POST", "a\"b\\c\nd").increment()
        registry.gauge("depth", "How deep.")().set(-7)
        registry.read("read", "Read when\nasked.", labels: ["name"]) { [.init(0.5, labels: ["x"])] }
        #expect(
            registry.text() == """
                # HELP depth How deep.
                # TYPE depth gauge
                depth -7
                # HELP read Read when\\nasked.
                # TYPE read gauge
                read{name="x"} 0.5
                # HELP requests_total Requests.
                # TYPE requests_total counter
                requests_total{verb="GET",code="200"} 3
                requests_total{verb="POST",code="a\\"b\\\\c\\nd"} 1

                """)
    }

    @Test func histogramsAreCumulative() {
        let registry = MetricRegistry()
        let sizes = registry.histogram(
            "sizes", "Sizes.", labels: ["verb"],
            buckets: Histogram.exponential(from: 1000, factor: 1000, count: 2))
        for size in [5.0, 1000, 1001, 5e9] { sizes("GET").observe(size) }
        #expect(
            registry.text() == """
                # HELP sizes Sizes.
                # TYPE sizes histogram
                sizes_bucket{verb="GET",le="1000"} 2
                sizes_bucket{verb="GET",le="1e+06"} 3
                sizes_bucket{verb="GET",le="+Inf"} 4
                sizes_sum{verb="GET"} 5.000002006e+09
                sizes_count{verb="GET"} 4

                """)
        #expect(sizes("GET").snapshot.total == 4)
    }

    @Test func aNameIsOneMetric() {
        let registry = MetricRegistry()
        registry.counter("a", "A.")().increment()
        registry.counter("a", "A.")().increment()
        #expect(registry.counter("a", "A.")().value == 2)
    }

    @Test(arguments: [
        (0.005, "0.005"), (1, "1"), (1.25, "1.25"), (60, "60"), (1e6, "1e+06"), (123_456, "123456"),
        (1_234_567, "1.234567e+06"), (1e-8, "1e-08"), (0.0001, "0.0001"), (0.00001, "1e-05"),
        (1_500_000_000.25, "1.50000000025e+09"), (-2.5, "-2.5"), (0, "0"), (1e21, "1e+21"),
        (1e100, "1e+100"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (1e-8 * 10, "1e-07"),
    ])
    func numbersAsGoWritesThem(value: Double, text: String) {
        #expect(MetricText.number(value) == text)
    }

    @Test func manyCountAtOnce() async {
        let registry = MetricRegistry()
        let counter = registry.counter("n", "N.", labels: ["x"])
        let histogram = registry.histogram("h", "H.", buckets: [1])
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        counter("y").increment()
                        histogram().observe(.milliseconds(500))
                    }
                }
            }
        }
        #expect(counter("y").value == 8000)
        #expect(histogram().snapshot.counts == [8000, 0] && histogram().snapshot.sum == 4000)
    }

    @Test func processStatus() {
        let stat =
            "42 (a ) b) S 1 42 42 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 9 0 1000 8192000 25 18446744073709551615"
        let status = ProcessStatus(stat: stat, system: "cpu 1\nbtime 1700000000\n", ticks: 100, page: 4096)
        #expect(status?.cpuSeconds == 4)
        #expect(status?.startSeconds == 1_700_000_010)
        #expect(status?.virtualBytes == 8_192_000)
        #expect(status?.residentBytes == 102_400)
        #expect(ProcessStatus(stat: "1 (x", system: "", ticks: 100, page: 1) == nil)
    }

    @Test func thisProcess() throws {
        let registry = MetricRegistry()
        ProcessMetrics.add(to: registry)
        let text = registry.text()
        for name in [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
            "process_start_time_seconds", "process_open_fds", "process_max_fds",
        ] {
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(name + " ") })
            let value = try #require(Double(line.dropFirst(name.count + 1)))
            #expect(value > 0, "\(line)")
        }
    }
}
