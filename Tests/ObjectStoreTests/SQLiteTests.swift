import Glibc
import ObjectStore
import Testing

@Suite struct SQLiteTests {
    private func open(_ path: String) async throws -> ObjectStore {
        try await ObjectStore.open(.sqlite(path: path), logger: quiet)
    }

    private func refusal(_ path: String) async -> String {
        do throws(StoreError) {
            let store = try await ObjectStore.open(.sqlite(path: path), logger: quiet)
            await store.close()
            return "opened"
        } catch {
            return code(error)
        }
    }

    @Test func everythingIsThereAfterReopening() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        var store = try await open(path)
        var full = draft("x", labels: ["app": "web", "tier": ""], uid: "u-1")
        full.fields = ["spec.nodeName": "n1"]
        full.owners = ["o1", "o2"]
        try await store.commit([.create(pod("a"), full), .create(pod("b"), draft("y"))])
        try await store.commit([.update(pod("b"), draft("z"), expected: 3)])
        try await store.commit([.create(ObjectKey(resource: "nodes", name: "n1"), draft())])
        try await store.commit([.delete(pod("b"), expected: nil)])
        await store.close()

        store = try await open(path)
        #expect(store.revision == 6, "the deletion's revision counts although nothing shows it")
        #expect(store.resources == ["nodes", "pods"])
        let a = try #require(store.get(pod("a")))
        #expect(text(a) == text("x", at: 2))
        #expect(a.revision == 2)
        #expect(a.uid == "u-1")
        #expect(a.labels == ["app": "web", "tier": ""])
        #expect(a.fields == ["spec.nodeName": "n1"])
        #expect(a.owners == ["o1", "o2"])
        #expect(store.get(pod("b")) == nil)
        _ = try store.watch(resource: "pods", after: 6)
        let updated = try await store.commit([.update(pod("a"), draft("w"), expected: 2)])
        #expect(text(updated.first) == text("w", at: 7))
        await store.close()
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    /// The files are copied in full flight, as a crash would leave them: whatever was acknowledged before
    /// the copy is in the copy.
    @Test func whatWasAcknowledgedSurvivesACrash() async throws {
        let directory = try TemporaryDirectory()
        let store = try await open(directory.path + "/state.db")
        var revision: Revision = 1
        for round in 0..<5 {
            for i in 0..<20 {
                revision += 1
                let key = pod("p\(i)")
                if let present = store.get(key), i % 3 == round % 3 {
                    try await store.commit([.delete(key, expected: present.revision)])
                } else if let present = store.get(key) {
                    try await store.commit([.update(key, draft("\(round)"), expected: present.revision)])
                } else {
                    try await store.commit([.create(key, draft("\(round)"))])
                }
            }
            let crashed = try TemporaryDirectory()
            try directory.copy(to: crashed)
            #expect(crashed.files.contains("state.db-wal"), "nothing was checkpointed yet")
            let survivor = try await open(crashed.path + "/state.db")
            #expect(survivor.revision == revision)
            let (before, after) = (try store.list(resource: "pods"), try survivor.list(resource: "pods"))
            #expect(before.objects.map(\.bytes) == after.objects.map(\.bytes))
            await survivor.close()
        }
        await store.close()
    }

    /// A torn log loses the commits whose end is missing, wholly, and nothing before them.
    @Test func aTornLogLosesWholeCommitsOnly() async throws {
        let directory = try TemporaryDirectory()
        let store = try await open(directory.path + "/state.db")
        for i in 0..<10 {
            try await store.commit([.create(pod("a\(i)"), draft()), .create(pod("b\(i)"), draft())])
        }
        let size = try TemporaryDirectory.read(directory.path + "/state.db-wal").count
        var lengths: Set<Int> = []
        for cut in stride(from: 0, to: size, by: 5_001) {
            let crashed = try TemporaryDirectory()
            try directory.copy(to: crashed)
            try #require(truncate(crashed.path + "/state.db-wal", off_t(size - cut)) == 0)
            if cut > size - 20_000 { continue }  // Before that the tables themselves were not there.
            let survivor = try await open(crashed.path + "/state.db")
            let names = try survivor.list(resource: "pods").objects.map(\.key.name)
            #expect(names.count % 2 == 0)
            #expect(survivor.revision == Revision(names.count) + 1)
            for i in 0..<names.count / 2 { #expect(names.contains("a\(i)") && names.contains("b\(i)")) }
            lengths.insert(names.count)
            await survivor.close()
        }
        #expect(lengths.count > 3, "the cuts should have hit several commits")
        await store.close()
    }

    @Test func aDatabaseInUseIsLocked() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        let store = try await open(path)
        try await store.commit([.create(pod("a"), draft())])
        #expect(await refusal(path) == "locked")
        await store.close()
        #expect(await refusal(path) == "opened")
    }

    @Test func aFileThatIsNoDatabaseIsRefused() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        try TemporaryDirectory.write(Array(repeating: UInt8(ascii: "x"), count: 9_000), to: path)
        #expect(await refusal(path) == "corrupted")
        #expect(try TemporaryDirectory.read(path).count == 9_000, "it is left as it was")
        #expect(await refusal(directory.path + "/none/state.db") == "io")
    }

    /// Bytes are overwritten at random: the store opens with objects that are right, or says that the
    /// database is damaged. It never crashes.
    @Test func aDamagedDatabaseIsRefused() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        let store = try await open(path)
        for i in 0..<60 {
            try await store.commit([.create(pod("p\(i)"), draft(String(repeating: "v", count: 300)))])
        }
        await store.close()
        let sound = try TemporaryDirectory.read(path)
        var random = Seeded(7)
        var refusals = 0
        for _ in 0..<150 {
            let other = try TemporaryDirectory()
            var bytes = sound
            for _ in 0..<20 {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            try TemporaryDirectory.write(bytes, to: other.path + "/state.db")
            let outcome = await refusal(other.path + "/state.db")
            if outcome != "opened" { refusals += 1 }
            #expect(["opened", "corrupted", "incompatible", "io"].contains(outcome))
        }
        #expect(refusals > 0)
    }

    /// The writing process is killed in the middle of its work; what it had reported is there.
    @Test func whatWasAcknowledgedSurvivesKill9() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let store = try await ObjectStore.open(.sqlite(path: path + "/state.db"), logger: quiet)
            let log = Glibc.open(path + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
            await withTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for i in 0..<1000 {
                            let name = "w\(writer)-\(i)"
                            guard (try? await store.commit([.create(pod(name), draft())])) != nil else {
                                return
                            }
                            let line = Array((name + "\n").utf8)
                            _ = line.withUnsafeBytes { Glibc.write(log, $0.baseAddress, $0.count) }
                            if i == 60, writer == 3 { kill(getpid(), SIGKILL) }
                        }
                    }
                }
            }
        }
        let acknowledged = String(
            decoding: try TemporaryDirectory.read(path + "/acknowledged"), as: UTF8.self
        ).split(separator: "\n").map(String.init)
        #expect(acknowledged.count > 60)
        let store = try await open(path + "/state.db")
        for name in acknowledged { #expect(store.get(pod(name)) != nil) }
        #expect(store.revision == Revision(store.count(resource: "pods")) + 1)
        await store.close()
    }
}
