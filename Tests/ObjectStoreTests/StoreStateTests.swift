import ObjectStore
import Testing

@Suite struct ObjectKeyTests {
    @Test func ordersAsEtcdKeysDo() {
        let namespaces = ["", "a", "a-b", "a0", "ab", "b", "kube", "kube-system", "team", "team-a"]
        let names = ["a", "a-b", "a.b", "ab", "b"]
        let keys = namespaces.flatMap { namespace in names.map { pod($0, namespace) } }
        let expected = keys.map { "\($0.namespace)/\($0.name)" }
            .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(keys.shuffled().sorted().map { "\($0.namespace)/\($0.name)" } == expected)
    }
}

@Suite struct StoreStateTests {
    @Test func givesConsecutiveRevisionsAndStampsThem() throws {
        var state = StoreState()
        let made = try state.commit([.create(pod("a"), draft("1")), .create(pod("b"), draft("2"))])
        #expect(made.map(\.revision) == [2, 3])
        #expect(text(state.get(pod("a"))) == text("1", at: 2))
        #expect(text(state.get(pod("b"))) == text("2", at: 3))
        #expect(state.revision == 3)
    }

    @Test func stampsAgainWhenTheDigitsBecomeMore() throws {
        var state = StoreState(revision: 8)
        try state.commit([.create(pod("a"), draft("x"))])
        let gone = try state.commit([.delete(pod("a"), expected: 9)])
        #expect(text(gone.first) == text("x", at: 10))
        #expect(gone.first?.revisionLength == 2)
        #expect(state.get(pod("a")) == nil)
        #expect(state.count(resource: "pods") == 0)
    }

    @Test func refusesByTheRules() throws {
        var state = StoreState()
        try state.commit([.create(pod("a"), draft("1"))])
        func refused(_ mutation: Mutation) -> String {
            do throws(StoreError) {
                try state.commit([mutation])
                return "accepted"
            } catch {
                return code(error)
            }
        }
        #expect(refused(.create(pod("a"), draft())) == "alreadyExists")
        #expect(refused(.update(pod("a"), draft("2"), expected: 1)) == "conflict")
        #expect(refused(.update(pod("b"), draft("2"), expected: 1)) == "notFound")
        #expect(refused(.delete(pod("a"), expected: 1)) == "conflict")
        #expect(refused(.delete(pod("b"), expected: nil)) == "notFound")
        #expect(
            refused(.create(pod("b"), ObjectDraft(bytes: [1], revisionOffset: 2))) == "invalidDraft")
        #expect(
            refused(.create(pod("b"), ObjectDraft(bytes: [1], revisionOffset: -1))) == "invalidDraft")
        #expect(state.revision == 2)
        #expect(refused(.update(pod("a"), draft("2"), expected: 2)) == "accepted")
        #expect(refused(.delete(pod("a"), expected: nil)) == "accepted")
    }

    @Test func aConflictShowsThePresentState() throws {
        var state = StoreState()
        try state.commit([.create(pod("a"), draft("1"))])
        do throws(StoreError) {
            try state.commit([.update(pod("a"), draft("2"), expected: 77)])
            Issue.record("the update should have been refused")
        } catch {
            guard case .conflict(let current) = error.code else { throw error }
            #expect(text(current) == text("1", at: 2))
            #expect(error.message == #"pods "default/a" is at revision 2, not at the expected 77"#)
        }
    }

    @Test func commitsAllOrNothing() throws {
        var state = StoreState()
        var group = state.beginGroup()
        _ = try state.plan([.create(pod("kept"), draft())], in: &group)
        #expect(throws: StoreError.self) {
            try state.plan(
                [
                    .create(pod("a"), draft()), .delete(pod("kept"), expected: nil),
                    .create(pod("a"), draft()),
                ],
                in: &group)
        }
        state.apply(group, at: .zero)
        #expect(try state.names() == ["default/kept"])
        #expect(state.revision == 2)
    }

    @Test func commitsOfAGroupSeeEachOther() throws {
        var state = StoreState()
        var group = state.beginGroup()
        _ = try state.plan([.create(pod("a"), draft("1"))], in: &group)
        #expect(throws: StoreError.self) { try state.plan([.create(pod("a"), draft("2"))], in: &group) }
        _ = try state.plan([.update(pod("a"), draft("3"), expected: 2)], in: &group)
        _ = try state.plan([.delete(pod("a"), expected: 3)], in: &group)
        _ = try state.plan([.create(pod("a"), draft("4"))], in: &group)
        #expect(state.get(pod("a")) == nil, "nothing shows before the group is applied")
        state.apply(group, at: .zero)
        #expect(text(state.get(pod("a"))) == text("4", at: 5))
        let events = try state.read(resource: "pods", namespace: nil, after: 1, limit: 100).events
        #expect(events.map(\.kind) == [.added, .modified, .deleted, .added])
        #expect(events.map { text($0.previous) ?? "-" } == ["-", text("1", at: 2), text("3", at: 3), "-"])
    }

    @Test func anUpdateThatChangesNothingTakesNoRevision() throws {
        var state = StoreState()
        try state.commit([.create(pod("a"), draft("1"))])
        let same = try state.commit([.update(pod("a"), draft("1"), expected: 2)])
        #expect(same.first?.revision == 2)
        #expect(state.revision == 2)
        let other = try state.commit([.update(pod("a"), draft("2"), expected: 2)])
        #expect(other.first?.revision == 3)
    }

    @Test func pagesWithinANamespaceAndOverAll() throws {
        var state = StoreState()
        for namespace in ["b", "a", "a-b"] {
            for name in ["z", "y", "x"] { try state.commit([.create(pod(name, namespace), draft())]) }
        }
        #expect(try state.names("a") == ["a/x", "a/y", "a/z"])
        var seen: [String] = []
        var remaining: [Int] = []
        var after: ObjectKey?
        repeat {
            let page = try state.list(
                resource: "pods", namespace: nil, startAfter: after, limit: 4, at: nil)
            seen += page.objects.map { "\($0.key.namespace)/\($0.key.name)" }
            remaining.append(page.remaining)
            after = page.objects.last?.key
        } while remaining.last != 0
        #expect(seen == ["a-b/x", "a-b/y", "a-b/z", "a/x", "a/y", "a/z", "b/x", "b/y", "b/z"])
        #expect(remaining == [5, 1, 0])
        let gone = try state.list(
            resource: "pods", namespace: nil, startAfter: pod("xx", "a"), limit: 1, at: nil)
        #expect(gone.objects.map(\.key) == [pod("y", "a")], "a page can start after a key that is gone")
    }

    /// Random mutations, every revision remembered by a naive model; then every revision is listed in
    /// pages of random size and compared.
    @Test(arguments: [1, 2, 3]) func listsEveryRevisionOfTheHistory(seed: UInt64) throws {
        var random = Seeded(seed)
        var state = StoreState()
        var model: [ObjectKey: String] = [:]
        var past: [Revision: [ObjectKey: String]] = [1: [:]]
        for step in 0..<400 {
            let key = pod(
                "p\(Int.random(in: 0..<20, using: &random))",
                ["a", "a-b", "b"].randomElement(using: &random) ?? "a")
            let present = state.get(key)
            if let present, Bool.random(using: &random) {
                try state.commit([.delete(key, expected: present.revision)])
                model[key] = nil
            } else if let present {
                try state.commit([.update(key, draft("\(step)"), expected: present.revision)])
                model[key] = text("\(step)", at: state.revision)
            } else {
                try state.commit([.create(key, draft("\(step)"))])
                model[key] = text("\(step)", at: state.revision)
            }
            past[state.revision] = model
        }
        #expect(state.revision == 401)
        for (revision, model) in past {
            let namespace = [nil, "a", "b"].randomElement(using: &random) ?? nil
            var shown: [StoredObject] = []
            var remaining = -1
            repeat {
                let page = try state.list(
                    resource: "pods", namespace: namespace, startAfter: shown.last?.key,
                    limit: Int.random(in: 1...9, using: &random), at: revision)
                #expect(page.revision == revision)
                if remaining >= 0 { #expect(page.objects.count + page.remaining == remaining) }
                remaining = page.remaining
                shown += page.objects
            } while remaining > 0
            let expected = model.filter { namespace == nil || $0.key.namespace == namespace }
            #expect(shown.map(\.key) == expected.keys.sorted())
            #expect(shown.allSatisfy { text($0) == expected[$0.key] })
        }
    }

    @Test func historyIsBoundedByCountBytesAndAge() throws {
        var limits = HistoryLimits()
        limits.events = 5
        var state = StoreState(limits: limits)
        for i in 0..<20 { try state.commit([.create(pod("p\(i)"), draft())]) }
        #expect(state.oldest(resource: "pods") == 16)
        #expect(throws: StoreError.self) { try state.names(at: 15) }
        #expect(try state.names(at: 16).count == 15)
        #expect(state.oldest(resource: "nodes") == 1, "every resource has a history of its own")

        limits = HistoryLimits()
        limits.bytes = 10_000
        limits.minimumEvents = 2
        state = StoreState(limits: limits)
        try state.commit([.create(pod("a"), draft())])
        for i in 0..<20 {
            let large = String(repeating: "\(i % 10)", count: 1000)
            try state.commit([.update(pod("a"), draft(large), expected: state.revision)])
        }
        #expect((11...14).contains(state.oldest(resource: "pods")))

        limits = HistoryLimits()
        limits.age = .seconds(60)
        state = StoreState(limits: limits)
        try state.commit([.create(pod("a"), draft())], at: .seconds(0))
        try state.commit([.create(pod("b"), draft())], at: .seconds(50))
        #expect(state.oldest(resource: "pods") == 1)
        let node = ObjectKey(resource: "nodes", name: "n")
        try state.commit([.create(node, draft())], at: .seconds(70))
        #expect(state.oldest(resource: "pods") == 2, "what is at rest forgets too")
    }

    @Test func compactionForgetsUpToARevision() throws {
        var state = StoreState()
        for i in 0..<10 { try state.commit([.create(pod("p\(i)"), draft())]) }
        state.compact(before: 6)
        #expect(try state.names(at: 6).count == 5)
        #expect(try state.read(resource: "pods", namespace: nil, after: 6, limit: 9).events.count == 5)
        do throws(StoreError) {
            _ = try state.read(resource: "pods", namespace: nil, after: 5, limit: 9)
            Issue.record("revision 5 is compacted")
        } catch {
            #expect(code(error) == "compacted")
            #expect(
                error.message
                    == "revision 5 has been compacted: the oldest revision that can be served is 6")
        }
        #expect(throws: StoreError.self) {
            try state.read(resource: "nodes", namespace: nil, after: 5, limit: 9)
        }
        do throws(StoreError) {
            _ = try state.names(at: 12)
            Issue.record("revision 12 has not happened")
        } catch {
            #expect(code(error) == "future")
        }
    }

    @Test func readingStopsAtItsLimitAndGoesOn() throws {
        var state = StoreState()
        for i in 0..<10 { try state.commit([.create(pod("p\(i)", i % 2 == 0 ? "even" : "odd"), draft())]) }
        let first = try state.read(resource: "pods", namespace: "odd", after: 1, limit: 3)
        #expect(first.events.map(\.revision) == [3, 5, 7])
        #expect(first.cursor == 7)
        let second = try state.read(resource: "pods", namespace: "odd", after: first.cursor, limit: 3)
        #expect(second.events.map(\.revision) == [9, 11])
        #expect(second.cursor == 11)
    }
}
