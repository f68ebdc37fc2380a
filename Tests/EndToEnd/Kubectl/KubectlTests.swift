import Testing

extension EndToEndTests {
    /// Every command of kubectl that needs an API server, with every kubectl there is, side by side.
    @Suite("kubectl, command by command", .serialized)
    struct KubectlTests {
        @Test("Scenario", arguments: KubectlScenario.names)
        func scenario(_ name: String) async throws {
            try await Cluster.shared.up()
            let kubectls = try await Kubectl.all()
            try await withThrowingTaskGroup(of: [String].self) { group in
                for kubectl in kubectls { group.addTask { try await kubectl.run(name) } }
                for try await differences in group {
                    for difference in differences { Issue.record("\(difference)") }
                }
            }
        }
    }
}

@Suite("What a scenario expects a command to print")
struct OutputPatternTests {
    @Test(
        "Fits",
        arguments: [
            ("", "\n"), ("a b", "a    b  \n"), ("a *", "a 1 2"), ("*", "anything"), ("a*c*e", "abcde"),
            ("...", ""), ("...", "a\nb"), ("a\n...\nd", "a\nb\nc\nd"), ("a\n...", "a"), ("*b\n...", "ab\nc"),
            ("web-*-*", "web-1-2-3"), ("[*]", "[*]"),
        ])
    func fits(_ pattern: String, _ text: String) {
        #expect(OutputPattern(pattern).matches(text))
    }

    @Test(
        "Does not fit",
        arguments: [
            ("", "a"), ("a", ""), ("a *", "a"), ("a*c", "abcd"), ("a\nb", "a"), ("a", "a\nb"),
            ("...\nb", "a\nc"), ("*a", "ab"),
        ])
    func differs(_ pattern: String, _ text: String) {
        #expect(!OutputPattern(pattern).matches(text))
    }

    @Test("Every scenario can be read, and has steps")
    func scenarios() throws {
        #expect(!KubectlScenario.names.isEmpty)
        for name in KubectlScenario.names {
            #expect(!(try KubectlScenario(reading: name, namespace: "ns")).steps.isEmpty)
        }
    }
}
