import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import TimeoutManager

@Suite struct AdaptiveEstimatorTests {
  private func instant(_ seconds: Double) -> ContinuousClock.Instant {
    ContinuousClock.Instant(sinceOrigin: .seconds(seconds))
  }

  @Test func suspicionGrowsWithSilenceAndFollowsTheRhythm() {
    var detector = PhiAccrualDetector(acceptablePause: .zero)
    #expect(detector.phi(at: instant(1e9)) == 0)
    #expect(detector.silentAt == nil)
    for beat in 0...200 { detector.heartbeat(at: instant(Double(beat))) }
    #expect(detector.phi(at: instant(200)) < 0.01)
    // At the mean, one in two is later: -log10(0.5).
    #expect((detector.phi(at: instant(201)) - 0.30103).magnitude < 1e-3)
    // Two standard deviations of 100 ms: 2.3 % are later.
    #expect((detector.phi(at: instant(201.2)) - 1.64).magnitude < 0.02)
    var before = 0.0
    for step in 0..<2_000 {
      let phi = detector.phi(at: instant(200 + Double(step) / 10))
      #expect(phi >= before && phi.isFinite)
      before = phi
    }
  }

  @Test func thresholdIsReachedWhenTheDetectorSays() throws {
    for threshold in [0.1, 1, 3, 8, 12, 300] {
      var detector = PhiAccrualDetector(threshold: threshold)
      var generator = SeededGenerator(seed: 5)
      var time = 0.0
      for _ in 0..<500 {
        time += Double.random(in: 0.2..<3, using: &generator)
        detector.heartbeat(at: instant(time))
      }
      let silent = try #require(detector.silentAt)
      #expect(detector.phi(at: silent - .microseconds(10)) <= threshold)
      #expect(detector.phi(at: silent + .microseconds(10)) >= threshold)
    }
  }

  @Test func heartbeatsFromHostileClocksNeverTrap() {
    var detector = PhiAccrualDetector(maximumSamples: 2)
    var generator = SeededGenerator(seed: 6)
    for _ in 0..<5_000 {
      let seconds = [0, -5, 1e-9, 1, 60, 1e9, -1e9].randomElement(using: &generator)!
      detector.heartbeat(at: instant(seconds))
      #expect(detector.phi(at: instant(seconds * 2)).isFinite)
      _ = detector.silentAt
    }
  }

  @Test func firstDurationGivesFourTimesItselfAndASteadyOneComesClose() throws {
    let learned = LearnedTimeouts()
    #expect(learned.limit(for: "video") == nil)
    learned.record(.seconds(100), for: "video")
    #expect(try (#require(learned.limit(for: "video")).seconds - 400).magnitude < 1e-6)
    for _ in 0..<100 { learned.record(.seconds(100), for: "video") }
    #expect(try (#require(learned.limit(for: "video")).seconds - 125).magnitude < 1e-3)
    learned.record(.seconds(10_000), for: "video")
    let afterOutlier = try #require(learned.limit(for: "video"))
    #expect(afterOutlier > .seconds(1_000) && afterOutlier < .seconds(20_000))
  }

  @Test func limitFollowsTheRecurrenceOfTheRFCOnLogarithms() throws {
    var generator = SeededGenerator(seed: 9)
    var estimator = DurationEstimator()
    var mean = 0.0
    var deviation = 0.0
    for step in 0..<500 {
      let duration = Duration.seconds(Double.random(in: 0.01..<5_000, using: &generator))
      estimator.record(duration)
      let sample = logarithm(duration.seconds)
      if step == 0 {
        (mean, deviation) = (sample, logarithm(2) / 2)
      } else {
        deviation = 0.75 * deviation + 0.25 * abs(mean - sample)
        mean = 0.875 * mean + 0.125 * sample
      }
      let expected = exponential(mean + max(logarithm(1.25), 4 * deviation))
      #expect(try (#require(estimator.limit).seconds / expected - 1).magnitude < 1e-9)
    }
  }

  @Test func passedLimitsDoubleTheNextOneUntilSomethingSucceeds() throws {
    var estimator = DurationEstimator()
    estimator.backOff()
    #expect(estimator.limit == nil)
    estimator.record(.seconds(10))
    estimator.backOff()
    #expect(try (#require(estimator.limit).seconds - 80).magnitude < 1e-6)
    for _ in 0..<1_000 { estimator.backOff() }
    #expect(try #require(estimator.limit) <= .seconds(40 * 1_024 + 1))
    estimator.record(.seconds(10))
    #expect(try #require(estimator.limit) <= .seconds(40))
  }

  @Test func kindsAreBoundedAndTheOneNotUsedForLongestIsForgotten() {
    let learned = LearnedTimeouts(maximumKinds: 3)
    for kind in ["a", "b", "c"] { learned.record(.seconds(1), for: kind) }
    _ = learned.limit(for: "a")
    learned.record(.seconds(1), for: "d")
    #expect(learned.kindCount == 3)
    #expect(learned.limit(for: "b") == nil)
    #expect(learned.limit(for: "a") != nil)
    for index in 0..<10_000 { learned.recordTimeout(for: "\(index)") }
    #expect(learned.kindCount == 3)
    #expect(learned.samples().first { $0.name.hasSuffix("forgotten_total") }!.value == 10_001)
  }

  @Test func hostileDurationsNeverTrap() {
    let learned = LearnedTimeouts()
    for duration in [
      Duration.zero, .seconds(-5), .seconds(Int64.max), .nanoseconds(1), .saturated,
      Duration(secondsComponent: .min, attosecondsComponent: 0),
    ] {
      learned.record(duration, for: "odd")
      #expect(learned.limit(for: "odd")! > .zero)
    }
  }
}
