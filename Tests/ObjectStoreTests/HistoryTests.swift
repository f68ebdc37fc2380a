import GRDB
import Glibc
import ObjectStore
import Testing

/// The history survives a restart: watches go on from their revision, pages from their snapshot.
@Suite struct HistoryTests {
    private func open(_ path: String, _ limits: HistoryLimits = HistoryLimits()) async throws -> ObjectStore {
        try await ObjectStore.open(.sqlite(path: path), limits: limits, logger: quiet)
    }

    private func events(_ store: ObjectStore, after: Revision, count: Int) async throws -> [String] {
        var seen: [String] = []
        var events = try store.watch(resource: "pods", after: after).makeAsyncIterator()
        while seen.count < count, let element = try await events.next() {
            guard case .event(let event) = element else { continue }
            let was = event.previous.map { " was \(text($0) ?? "")" } ?? ""
            seen.append("\(event.kind) \(event.key.name) \(text(event.object) ?? "")\(was)")
        }
        return seen
    }

    /// Every kind of change, several to one object, a name used again.
    private func makeHistory(_ store: ObjectStore) async throws {
        try await store.commit([.create(pod("a"), draft("1")), .create(pod("b"), draft("1"))])
        try await store.commit([.update(pod("a"), draft("2"), expected: 2)])
        try await store.commit([.create(ObjectKey(resource: "nodes", name: "n"), draft())])
        try await store.commit([.delete(pod("a"), expected: nil)])
        try await store.commit([.create(pod("a"), draft("3"))])
        try await store.commit([.update(pod("b"), draft("2", labels: ["x": "y"]), expected: 3)])
        try await store.commit([.delete(pod("b"), expected: nil)])
    }

    @Test func watchesGoOnAfterARestart() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        var store = try await open(path)
        try await makeHistory(store)
        let before = try await events(store, after: 1, count: 7)
        let pages = try (1...9).map { try store.list(resource: "pods", at: $0).objects.map(\.bytes) }
        await store.close()

        store = try await open(path)
        for after in 1...8 as ClosedRange<Revision> {
            let count = before.count - Int(after < 5 ? after - 1 : after - 2)
            #expect(try await events(store, after: after, count: count) == before.suffix(count))
        }
        #expect(try (1...9).map { try store.list(resource: "pods", at: $0).objects.map(\.bytes) } == pages)
        // What comes now follows without a gap.
        try await store.commit([.create(pod("c"), draft())])
        #expect(try await events(store, after: 1, count: 8).count == 8)
        await store.close()
    }

    /// Whatever the history forgets, the disk forgets too, a little later; what is forgotten stays forgotten.
    @Test func theDiskForgetsAsTheMemoryDoes() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        var limits = HistoryLimits()
        limits.events = 100
        var store = try await open(path, limits)
        let filler = String(repeating: "x", count: 1000)
        try await store.commit((0..<10).map { .create(pod("p\($0)"), draft()) })
        try await store.commit([.create(ObjectKey(resource: "nodes", name: "quiet"), draft())])
        let writers = 10
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask { [store] in
                    for i in 0..<1500 {
                        let present = try #require(store.get(pod("p\(writer)")))
                        try await store.commit([
                            .update(pod("p\(writer)"), draft("\(i)\(filler)"), expected: present.revision)
                        ])
                    }
                }
            }
            try await group.waitForAll()
        }
        let newest = store.revision
        await store.close()
        var status = stat()
        #expect(stat(path, &status) == 0)
        // 15 MB were written; at most 612 changes of 1 kB are there at any time.
        #expect(status.st_size < 3 << 20, "\(status.st_size)")

        // Larger limits do not bring back what was forgotten.
        store = try await open(path)
        #expect(throws: StoreError.self) { try store.watch(resource: "pods", after: 100) }
        #expect(try await events(store, after: newest - 100, count: 100).count == 100)
        // A quiet resource's history is whole.
        _ = try store.watch(resource: "nodes", after: 1)
        await store.close()
    }

    /// Upstream compacts after five minutes; the time while nobody runs counts.
    @Test func ageCountsAcrossARestart() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        let store = try await open(path)
        try await makeHistory(store)
        await store.close()
        var limits = HistoryLimits()
        limits.age = .seconds(-1)
        let later = try await open(path, limits)
        #expect(throws: StoreError.self) { try later.watch(resource: "pods", after: 8) }
        _ = try later.watch(resource: "pods", after: 9)
        await later.close()
    }

    /// A database of the first format, which kept no history, is taken over: watches begin where it was.
    @Test func theFirstFormatIsTakenOver() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/state.db"
        var store = try await open(path)
        try await makeHistory(store)
        await store.close()
        let database = try DatabaseQueue(path: path)
        try await database.write {
            try $0.execute(sql: "DROP TABLE event; DROP TABLE floor; PRAGMA user_version = 1")
        }
        try database.close()

        store = try await open(path)
        #expect(throws: StoreError.self) { try store.watch(resource: "pods", after: 8) }
        try await store.commit([.create(pod("c"), draft())])
        #expect(try await events(store, after: 9, count: 1).count == 1)
        await store.close()
        store = try await open(path)
        #expect(try await events(store, after: 9, count: 1).count == 1)
        await store.close()
    }

    @Test func aHistoryThatDoesNotFitIsRefused() throws {
        var state = StoreState()
        var group = state.beginGroup()
        let made = try #require(try state.plan([.create(pod("a"), draft())], in: &group).first)
        var recovered = StoreState(revision: 3)
        recovered.restore(made)
        var history = RecoveredHistory()
        history.changes = [
            .init(revision: 3, key: pod("a"), kind: .deleted, previous: made, age: .zero)
        ]
        #expect(throws: StoreError.self) { try recovered.restore(history) }
        history.changes = [.init(revision: 3, key: pod("b"), kind: .added, previous: nil, age: .zero)]
        #expect(throws: StoreError.self) { try recovered.restore(history) }
        history.changes = [.init(revision: 2, key: pod("a"), kind: .added, previous: nil, age: .zero)]
        try recovered.restore(history)
        state.apply(group, at: .zero)
    }

    /// A large object is a page of the history by itself; readers take it in bites.
    @Test func aReadingIsBoundedInBytes() throws {
        var state = StoreState()
        for i in 0..<20 {
            try state.commit([.create(pod("p\(i)"), draft(String(repeating: "x", count: 300_000)))])
        }
        let reading = try state.read(resource: "pods", namespace: nil, after: 1, limit: 256)
        #expect(reading.events.count == 4)
        #expect(reading.cursor == reading.events.last?.revision)
        let rest = try state.read(resource: "pods", namespace: nil, after: reading.cursor, limit: 256)
        #expect(rest.events.first?.revision == reading.cursor + 1)
    }
}
