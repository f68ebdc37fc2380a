import Cluster
import Glibc
import Synchronization
import Testing

@Suite("What is said before anything is started")
struct PreflightTests {
    private var good: MachineFacts {
        var facts = MachineFacts()
        for program in ["containerd", "containerd-shim-runc-v2", "runc", "ptp", "host-local", "loopback"] {
            facts.programs[program] = "/usr/bin/\(program)"
        }
        return facts
    }

    private func obstacle(_ change: (inout MachineFacts) -> Void) -> ClusterError? {
        var facts = good
        change(&facts)
        return Preflight.obstacle(facts, configuration: ClusterConfiguration())
    }

    @Test("A machine that has everything")
    func nothing() {
        #expect(obstacle { _ in } == nil)
        #expect(
            obstacle {
                $0.programs["runc"] = nil
                $0.programs["crun"] = "/usr/bin/crun"
            } == nil)
    }

    @Test("Not root")
    func notRoot() {
        let error = obstacle { $0.isRoot = false }
        #expect(error?.code == .notRoot)
        #expect(error?.message.contains("sudo") == true)
    }

    @Test(
        "A missing program is named with its package",
        arguments: [("containerd", "containerd"), ("ptp", "containernetworking-plugins"), ("runc", "runc")])
    func program(name: String, package: String) {
        let error = obstacle { $0.programs[name] = nil }
        #expect(error?.code == .programMissing)
        #expect(error?.message.contains("the program \(name),") == true)
        #expect(error?.message.contains("apt-get install \(package)") == true)
    }

    @Test("A missing kernel feature says what it is for", arguments: KernelFeature.allCases)
    func feature(feature: KernelFeature) {
        let error = obstacle { $0.features.remove(feature) }
        #expect(error?.code == .kernelFeatureMissing)
        #expect(error?.message.contains(feature.rawValue) == true)
    }

    @Test("A busy port")
    func port() {
        let error = obstacle { $0.apiPortIsFree = false }
        #expect(error?.code == .portInUse)
        #expect(error?.message.contains("6443") == true)
        #expect(error?.message.contains("--port") == true)
    }

    @Test("A runtime of the user's own needs no containerd of ours")
    func ownRuntime() {
        var facts = good
        facts.programs["containerd"] = nil
        facts.programs["runc"] = nil
        #expect(
            Preflight.obstacle(facts, configuration: ClusterConfiguration(), usesOwnRuntime: false) == nil)
    }
}

@Suite("One cluster at a time")
struct InstanceLockTests {
    @Test("The second to ask is told who holds the lock; it goes with its holder")
    func lock() throws {
        let path = "/tmp/swiftlet-lock-test-\(UInt64.random(in: 0...UInt64.max))"
        do {
            let lock = try InstanceLock(path)
            let error = #expect(throws: ClusterError.self) { _ = try InstanceLock(path) }
            #expect(error?.code == .alreadyRunning)
            #expect(InstanceLock.holder(of: path) != nil)
            _ = consume lock
        }
        #expect(InstanceLock.holder(of: path) == nil)
        _ = try InstanceLock(path)
        remove(path)
    }

    /// A descriptor that is closed twice may be somebody else's the second time.
    @Test("Whoever asks in vain closes no file of others")
    func othersFiles() async throws {
        let path = "/tmp/swiftlet-lock-test-\(UInt64.random(in: 0...UInt64.max))"
        let lock = try InstanceLock(path)
        let hasAsked = Atomic(false)
        async let lost = {
            var lost = 0
            while !hasAsked.load(ordering: .relaxed) {
                let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
                if close(file) != 0 { lost += 1 }
            }
            return lost
        }()
        for _ in 0..<20_000 { #expect(throws: ClusterError.self) { _ = try InstanceLock(path) } }
        hasAsked.store(true, ordering: .relaxed)
        #expect(await lost == 0)
        _ = consume lock
        remove(path)
    }
}
