import ReliabilityCore
import ReliabilityMetrics
import ReliabilityTesting
import Testing

@Suite struct WindowedHistogramTests {
  @Test(arguments: [-100_000, 0, 100_000])
  func answersForTheStretchThatIsAskedFor(start: Int) {
    let clock = ManualClock(now: .init(sinceOrigin: .seconds(start)))
    let window = WindowedHistogram(clock: clock)
    for minute in 0..<120 {
      window.record(Double(minute + 1))
      clock.advance(by: .seconds(60))
    }
    // Now the 121st minute: one empty slot, and those before it.
    #expect(window.snapshot(over: .zero).count == 0)
    #expect(window.snapshot(over: .seconds(60)).count == 1)
    #expect(window.snapshot(over: .seconds(600)).count == 10)
    #expect(window.snapshot(over: .seconds(600)).minimum == 111)
    #expect(window.snapshot(over: .seconds(3600)).count == 60)
    #expect(window.snapshot(over: .seconds(7200)).count == 120)
    #expect(window.snapshot(over: .seconds(1 << 60)).count == 120)
    #expect(window.snapshot(over: .seconds(-5)).count == 0)
  }

  @Test func whatIsOlderThanTheRingIsForgotten() {
    let clock = ManualClock()
    let window = WindowedHistogram(
      fine: .init(slot: .seconds(1), count: 2), coarse: .init(slot: .seconds(10), count: 2),
      clock: clock)
    window.record(1)
    clock.advance(by: .seconds(1000))
    #expect(window.snapshot(over: .seconds(2)).count == 0)
    #expect(window.snapshot(over: .seconds(20)).count == 0)
    #expect(window.snapshot(over: .seconds(1_000_000)).count == 0)
    window.record(2)
    #expect(window.snapshot(over: .zero).maximum == 2)
  }

  /// A list of all values with their times, against the ring, over random steps.
  @Test func agreesWithAListOfAllValues() {
    var generator = SeededGenerator(seed: 20_240_917)
    let clock = ManualClock()
    let window = WindowedHistogram(
      fine: .init(slot: .seconds(5), count: 12), coarse: .init(slot: .seconds(60), count: 10),
      clock: clock)
    var all: [(second: Int, value: Double)] = []
    for _ in 0..<2_000 {
      let step = Int.random(in: 0...9, using: &generator)
      clock.advance(by: .seconds(step))
      let second = Int(clock.now.sinceOrigin.components.seconds)
      let value = Double(Int.random(in: 1...1000, using: &generator))
      window.record(value)
      all.append((second, value))
      let back = Int.random(in: 0...600, using: &generator)
      let slot = back <= 60 ? 5 : 60
      let expected = all.filter { floor($0.second, slot) >= floor(second - back, slot) }
      let answer = window.snapshot(over: .seconds(back))
      #expect(answer.count == expected.count, "seed 20240917, \(back) s back at \(second)")
      #expect(answer.maximum == expected.map(\.value).max())
    }
    func floor(_ second: Int, _ slot: Int) -> Int {
      second >= 0 ? second / slot : (second - slot + 1) / slot
    }
  }

  @Test func badResolutionsTrap() async {
    await #expect(processExitsWith: .failure) {
      _ = WindowedHistogram(fine: .init(slot: .zero, count: 1))
    }
    await #expect(processExitsWith: .failure) {
      _ = WindowedHistogram(fine: .init(slot: .seconds(1), count: 0))
    }
    await #expect(processExitsWith: .failure) {
      _ = WindowedHistogram(fine: .hours, coarse: .minutes)
    }
  }

  @Test func recordingInASnapshotIsRecordingInAHistogram() {
    var generator = SeededGenerator(seed: 7)
    let histogram = Histogram("size_bytes")
    var snapshot = HistogramSnapshot()
    for _ in 0..<5_000 {
      let value =
        Double.random(in: 0...1, using: &generator)
        * Double(1 << Int.random(in: 0...40, using: &generator))
      histogram.record(value)
      snapshot.record(value)
    }
    for value in [-1, Double.nan, .infinity, 0] {
      histogram.record(value)
      snapshot.record(value)
    }
    let other = histogram.snapshot()
    #expect(
      snapshot.count == other.count && snapshot.minimum == other.minimum
        && snapshot.maximum == other.maximum)
    for fraction in [0.01, 0.25, 0.5, 0.9, 0.99, 0.999] {
      #expect(snapshot.quantile(fraction) == other.quantile(fraction))
    }
  }
}
