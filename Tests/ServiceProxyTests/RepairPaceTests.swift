import ServiceProxy
import Testing

@Suite struct RepairPaceTests {
    @Test func whatHappensAgainAndAgainIsPutRightEverMoreSlowly() {
        var pace = RepairPace()
        var now = Duration.zero
        for _ in 0..<RepairPace.patience {
            let pause = pace.wait(at: &now)
            #expect(pause == .zero)
        }
        var pauses: [Duration] = []
        for _ in 0..<12 { pauses.append(pace.wait(at: &now)) }
        #expect(pauses.first == .milliseconds(50))
        #expect(zip(pauses, pauses.dropFirst()).allSatisfy { $0 <= $1 })
        #expect(pauses.last == RepairPace.longest)
        // It is over.
        now += RepairPace.memory + .seconds(1)
        let pause = pace.wait(at: &now)
        #expect(pause == .zero)
    }

    @Test func whatHappensNowAndThenIsPutRightAtOnce() {
        var pace = RepairPace()
        for seconds in stride(from: 0, to: 600, by: 11) {
            let pause = pace.pause(at: .seconds(seconds))
            #expect(pause == .zero)
        }
    }
}

extension RepairPace {
    /// A repair after its pause, and a millisecond.
    fileprivate mutating func wait(at now: inout Duration) -> Duration {
        let pause = pause(at: now)
        now += pause + .milliseconds(1)
        return pause
    }
}
