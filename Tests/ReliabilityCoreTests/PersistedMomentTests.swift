import ReliabilityCore
import Testing

@Suite struct PersistedMomentTests {
  private func moment(wall: Int64, boot: String, since: Int64) -> PersistedMoment {
    PersistedMoment(wall: wall, bootID: boot, sinceBoot: since)
  }

  @Test("In the same boot the machine's own clock counts, whatever the wall clock says")
  func sameBoot() {
    let start = moment(wall: 1_000_000, boot: "a", since: 500)
    let later = moment(wall: -3_600_000_000_000, boot: "a", since: 800)
    #expect(start.elapsed(until: later, atMost: .seconds(1)) == .nanoseconds(300))
    #expect(start.elapsed(until: later, atMost: .nanoseconds(100)) == .nanoseconds(100))
    #expect(later.elapsed(until: start, atMost: .seconds(1)) == .zero)
  }

  @Test("In another boot, or without a name for it, the wall clock counts within bounds")
  func otherBoot() {
    for boot in ["b", ""] {
      let start = moment(wall: 1000, boot: boot == "" ? "" : "a", since: 500)
      let later = moment(wall: 1700, boot: boot, since: 3)
      #expect(start.elapsed(until: later, atMost: .seconds(1)) == .nanoseconds(700))
      let earlier = moment(wall: 10, boot: boot, since: 3)
      #expect(start.elapsed(until: earlier, atMost: .seconds(1)) == .zero)
      let farAway = moment(wall: .max, boot: boot, since: 3)
      let longAgo = moment(wall: .min, boot: boot == "" ? "" : "a", since: 3)
      #expect(longAgo.elapsed(until: farAway, atMost: .seconds(60)) == .seconds(60))
      #expect(farAway.elapsed(until: longAgo, atMost: .seconds(60)) == .zero)
    }
  }

  @Test("Two moments of this process are of one boot, in order")
  func now() {
    let first = PersistedMoment.now
    let second = PersistedMoment.now
    #expect(first.bootID == second.bootID)
    #expect(first.sinceBoot <= second.sinceBoot)
    #if os(Linux)
      #expect(first.bootID.count == 36)
    #endif
  }

  @Test("Nanoseconds read directly are those of the clock")
  func nanosecondClock() {
    let clock = NanosecondClock(ContinuousClock())
    for _ in 0..<1000 {
      let before = NanosecondClock.nanoseconds(of: ContinuousClock.now)
      let direct = clock.now
      let after = NanosecondClock.nanoseconds(of: ContinuousClock.now)
      // The two scales were compared once, by reads that are a moment apart.
      #expect(direct >= before - 100_000 && direct <= after + 100_000)
    }
  }
}
