import KubernetesClient
import Testing

@Suite struct ReflectorTests {
    private var reflector = Reflector(
        backoff: Backoff(initial: .milliseconds(100), maximum: .seconds(1), jitter: 0.5))

    @Test mutating func listsThenWatchesFromThere() {
        #expect(reflector.next() == .list(resourceVersion: "0"))
        #expect(reflector.listed(resourceVersion: "7") == .watch(resourceVersion: "7"))
        reflector.observed(resourceVersion: "9")
        #expect(
            reflector.watchEnded(nil, lasted: .seconds(300), random: 0) == .watch(resourceVersion: "9"),
            "the server ends every watch sooner or later; that is no failure")
    }

    @Test mutating func triesTheListAgainLaterAndLater() {
        var pauses: [Reflector.Action] = []
        for _ in 0..<6 {
            pauses.append(reflector.listFailed(.other, random: 0))
            #expect(reflector.next() == .list(resourceVersion: "0"))
        }
        #expect(pauses == [100, 200, 400, 800, 1000, 1000].map { .wait(.milliseconds($0)) })
        #expect(reflector.listFailed(.other, random: 1) == .wait(.milliseconds(1500)), "with jitter")
    }

    @Test mutating func whoeverIsBusySaysWhenToComeAgain() {
        #expect(reflector.listFailed(.busy(retryAfter: .seconds(5)), random: 0) == .wait(.seconds(5)))
        #expect(reflector.listFailed(.busy(retryAfter: nil), random: 0) == .wait(.milliseconds(200)))
    }

    @Test mutating func anExpiredWatchListsTheLatest() {
        _ = reflector.listed(resourceVersion: "7")
        #expect(
            reflector.watchEnded(.expired, lasted: .seconds(9), random: 0) == .wait(.milliseconds(100)))
        #expect(reflector.next() == .list(resourceVersion: ""))
        #expect(reflector.listFailed(.other, random: 0) == .wait(.milliseconds(200)))
        #expect(reflector.next() == .list(resourceVersion: "7"), "never older than what is known")
        #expect(reflector.listFailed(.expired, random: 0) == .wait(.milliseconds(400)))
        #expect(reflector.next() == .list(resourceVersion: ""))
    }

    @Test mutating func aBrokenWatchGoesOnWhereItStood() {
        _ = reflector.listed(resourceVersion: "7")
        reflector.observed(resourceVersion: "8")
        reflector.observed(resourceVersion: "")
        #expect(
            reflector.watchEnded(.other, lasted: .seconds(9), random: 0) == .wait(.milliseconds(100)))
        #expect(reflector.next() == .watch(resourceVersion: "8"))
    }

    @Test mutating func watchesThatEndAtOnceAreNotHammered() {
        _ = reflector.listed(resourceVersion: "7")
        #expect(reflector.watchEnded(nil, lasted: .zero, random: 0) == .wait(.milliseconds(100)))
        #expect(reflector.watchEnded(nil, lasted: .zero, random: 0) == .wait(.milliseconds(200)))
        #expect(reflector.listed(resourceVersion: "7") == .watch(resourceVersion: "7"))
        #expect(
            reflector.watchEnded(.other, lasted: .zero, random: 0) == .wait(.milliseconds(400)),
            "a list that works does not show that watches do")
        reflector.observed(resourceVersion: "8")
        #expect(reflector.watchEnded(nil, lasted: .zero, random: 0) == .wait(.milliseconds(100)))
    }
}
