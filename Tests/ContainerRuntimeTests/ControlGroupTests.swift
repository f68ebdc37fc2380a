import ContainerRuntime
import Testing

@Suite struct ControlGroupTests {
    /// Folders that look like mounted hierarchies; the kernel makes a group's files, here the test does.
    private func hierarchy(_ folder: TemporaryFolder, _ name: String, _ files: [String: String]) throws
        -> String
    {
        let path = "\(folder.path)/\(name)"
        try Files.createFolder("\(path)/pods")
        for (file, text) in files { try Files.write(Array(text.utf8), to: "\(path)/\(file)") }
        return path
    }

    @Test func aGroupIsLimitedInWhicheverVersionHasTheController() throws {
        let folder = try TemporaryFolder()
        let old = ["cpu.cfs_period_us": "0", "cpu.cfs_quota_us": "-1", "pods/cpu.cfs_period_us": "0"]
        let first = try hierarchy(folder, "cpu", old.merging(["pods/cpu.cfs_quota_us": "-1"]) { $1 })
        let memory = try hierarchy(
            folder, "memory", ["memory.limit_in_bytes": "0", "pods/memory.limit_in_bytes": "0"])
        let second = try hierarchy(
            folder, "unified",
            [
                "cgroup.controllers": "cpu memory\n", "cgroup.subtree_control": "", "pods/memory.max": "max",
                "pods/cpu.max": "max 100000",
            ])
        let all = [first, memory, second]
        try ControlGroups.limit("pods", quota: 0, period: 100_000, memory: 0, hierarchies: all)
        #expect(Files.text("\(first)/pods/cpu.cfs_quota_us") == "-1")
        #expect(Files.text("\(second)/pods/memory.max") == "max")
        try ControlGroups.limit("pods", quota: 50_000, period: 100_000, memory: 4096, hierarchies: all)
        #expect(Files.text("\(first)/pods/cpu.cfs_quota_us") == "50000")
        #expect(Files.text("\(first)/pods/cpu.cfs_period_us") == "100000")
        #expect(Files.text("\(memory)/pods/memory.limit_in_bytes") == "4096")
        #expect(Files.text("\(second)/pods/cpu.max") == "50000 100000")
        #expect(Files.text("\(second)/pods/memory.max") == "4096")
        #expect(Files.text("\(second)/cgroup.subtree_control") == "+memory")
    }

    @Test func aGroupIsWeighedInWhicheverVersionHasTheProcessor() throws {
        let folder = try TemporaryFolder()
        let first = try hierarchy(folder, "cpu", ["cpu.shares": "1024", "pods/cpu.shares": "1024"])
        let other = try hierarchy(folder, "memory", [:])
        let second = try hierarchy(
            folder, "unified",
            ["cgroup.controllers": "cpuset cpu io\n", "cgroup.subtree_control": "", "pods/cpu.weight": "100"])
        try ControlGroups.setShares(2048, of: "pods", hierarchies: [first, other, second])
        #expect(Files.text("\(first)/pods/cpu.shares")?.hasPrefix("2048") == true)
        #expect(Files.text("\(second)/cgroup.subtree_control") == "+cpu")
        #expect(Files.text("\(second)/pods/cpu.weight")?.hasPrefix("79") == true)
        // Version 2 without the processor, which version 1 has.
        let hybrid = try hierarchy(folder, "hybrid", ["cgroup.controllers": "hugetlb\n"])
        try ControlGroups.setShares(2048, of: "pods", hierarchies: [hybrid])
        #expect(throws: ContainerRuntimeError.self) {
            try Files.remove("\(first)/pods/cpu.shares")
            try ControlGroups.setShares(2048, of: "pods", hierarchies: [first])
        }
    }
}
