import Testing

@testable import ReliabilityMetrics

/// SplitMix64: small, and the same numbers everywhere.
private struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// What the documentation promises of a quantile: within 1/128 of the exact value, or within 2^-30 near zero.
private func isWithinBound(_ estimate: Double, of exact: Double) -> Bool {
  abs(estimate - exact) <= max(exact / 128, 0x1p-30)
}

@Suite struct HistogramErrorBoundTests {
  /// Each draws one value.
  private static let shapes: [(String, @Sendable (inout Seeded) -> Double)] = [
    ("uniform", { .random(in: 0...1, using: &$0) }),
    ("every power of two", { exp2Double(.random(in: -30...63.9, using: &$0)) }),
    ("whole numbers", { Double(Int.random(in: 0...300, using: &$0)) }),
    (
      "two far clusters",
      { Bool.random(using: &$0) ? .random(in: 0.001...0.002, using: &$0) : 1e6 }
    ),
    ("below the smallest", { .random(in: 0...0x1p-29, using: &$0) }),
    (
      "powers of two and their neighbours",
      {
        let power = exp2Double(Double(Int.random(in: -30...63, using: &$0)))
        return [power.nextDown, power, power.nextUp].randomElement(using: &$0)!
      }
    ),
  ]

  @Test(arguments: [1, 2, 10, 999, 5000], UInt64(1)...3)
  func everyQuantileIsWithinOneHundredTwentyEighth(count: Int, seed: UInt64) {
    for (shape, draw) in Self.shapes {
      var random = Seeded(state: seed)
      let values = (0..<count).map { _ in draw(&random) }
      let histogram = Histogram("x")
      for value in values { histogram.record(value) }
      let snapshot = histogram.snapshot()
      let sorted = values.sorted()

      #expect(snapshot.count == count)
      #expect(snapshot.minimum == sorted.first && snapshot.maximum == sorted.last)
      for step in 0...50 {
        let fraction = Double(step) / 50
        let rank = max(1, (step * count + 49) / 50)
        let estimate = snapshot.quantile(fraction)!
        if !isWithinBound(estimate, of: sorted[rank - 1]) {
          Issue.record(
            "\(shape), seed \(seed), quantile \(fraction): \(estimate), not \(sorted[rank - 1])")
        }
      }
    }
  }

  @Test func everyBucketIsNarrowEnoughAndBeginsWhereTheLastOneEnds() {
    for bucket in 1..<HistogramLayout.bucketCount {
      let lower = HistogramLayout.lowerBound(of: bucket)
      let upper = HistogramLayout.lowerBound(of: bucket + 1)
      let middle = HistogramLayout.middle(of: bucket)
      let isSound =
        HistogramLayout.bucket(of: lower) == bucket
        && HistogramLayout.bucket(of: upper.nextDown) == bucket
        && HistogramLayout.bucket(of: lower.nextDown) == bucket - 1
        && (middle - lower) / lower <= 1.0 / 128 && (upper - middle) / lower <= 1.0 / 128
      if !isSound { Issue.record("bucket \(bucket), from \(lower) to \(upper)") }
    }
    #expect(
      HistogramLayout.bucket(of: HistogramLayout.largest) == HistogramLayout.bucketCount - 1)
  }
}

private func exp2Double(_ exponent: Double) -> Double {
  // 2^whole × (1 + fraction): not 2^exponent, but it meets every power of two, which is what matters here.
  let whole = exponent.rounded(.down)
  return Double(sign: .plus, exponent: Int(whole), significand: 1 + (exponent - whole))
}

@Suite struct HistogramTests {
  @Test func anEmptyHistogramHasNoQuantilesAndNoExtremes() {
    let snapshot = Histogram("x").snapshot()
    #expect(snapshot == HistogramSnapshot())
    #expect(snapshot.count == 0 && snapshot.sum == 0)
    #expect(snapshot.minimum == nil && snapshot.maximum == nil && snapshot.mean == nil)
    #expect(snapshot.quantile(0.5) == nil)
    #expect(snapshot.count(upTo: .infinity) == 0)
  }

  @Test func oneValueIsEveryQuantileExactly() {
    let histogram = Histogram("x")
    histogram.record(0.123456789)
    let snapshot = histogram.snapshot()
    for fraction in [-1, 0, 0.001, 0.5, 0.999, 1, 2, Double.nan, .infinity] {
      #expect(snapshot.quantile(fraction) == 0.123456789)
    }
    #expect(snapshot.mean == 0.123456789)
  }

  @Test func zeroIsAValue() {
    let histogram = Histogram("x")
    histogram.record(0.0)
    histogram.record(-0.0)
    let snapshot = histogram.snapshot()
    #expect(snapshot.count == 2 && snapshot.minimum == 0 && snapshot.maximum == 0)
    #expect(snapshot.quantile(0.5) == 0)
    #expect(snapshot.minimum?.sign == .plus)
  }

  @Test(arguments: [Double](arrayLiteral: -1, -0x1p-1070, -.infinity, -.greatestFiniteMagnitude))
  func negativeValuesCountAsZero(value: Double) {
    let histogram = Histogram("x")
    histogram.record(value)
    let snapshot = histogram.snapshot()
    #expect(snapshot.count == 1 && snapshot.sum == 0)
    #expect(snapshot.minimum == 0 && snapshot.maximum == 0)
  }

  @Test(arguments: [0x1p64, 1e300, .infinity, .greatestFiniteMagnitude])
  func hugeValuesCountAsTheLargestAndTheSumStaysFinite(value: Double) {
    let histogram = Histogram("x")
    for _ in 0..<10 { histogram.record(value) }
    let snapshot = histogram.snapshot()
    #expect(snapshot.count == 10 && snapshot.sum.isFinite)
    #expect(snapshot.maximum == 0x1.fffffffffffffp63)
    #expect(snapshot.quantile(0.5) == snapshot.maximum)
  }

  @Test(arguments: [Double.nan, -.nan, .signalingNaN])
  func notANumberIsNotRecorded(value: Double) {
    let histogram = Histogram("x")
    histogram.record(value)
    #expect(histogram.snapshot() == HistogramSnapshot())
  }

  @Test(arguments: [0x1p-31, 0x1p-1074, Double.leastNormalMagnitude])
  func valuesTooSmallForTheScaleKeepTheirExtremes(value: Double) {
    let histogram = Histogram("x")
    histogram.record(value)
    #expect(histogram.snapshot().minimum == value)
    #expect(histogram.snapshot().quantile(0.5) == value)
  }

  @Test func wholeNumbersOfAnyTypeAreRecorded() {
    let histogram = Histogram("x_bytes")
    histogram.record(5)
    histogram.record(Int64.max)
    histogram.record(Int64.min)
    histogram.record(UInt64.max)
    histogram.record(UInt8(255))
    histogram.record(Int128.max)
    let snapshot = histogram.snapshot()
    #expect(snapshot.count == 6)
    #expect(snapshot.minimum == 0)
    #expect(snapshot.maximum == 0x1.fffffffffffffp63)
    #expect(snapshot.count(upTo: 255) == 3)
  }

  @Test(arguments: [
    (Duration.zero, 0.0), (.nanoseconds(1), 1e-9), (.milliseconds(250), 0.25), (.seconds(5), 5),
    (.seconds(86_400 * 365), 31_536_000), (.seconds(-3), 0), (.seconds(Int64.min), 0),
    (.seconds(Int64.max), 0x1p63),
    (Duration(secondsComponent: .max, attosecondsComponent: 999_999_999_999_999_999), 0x1p63),
  ])
  func durationsAreRecordedInSeconds(duration: Duration, seconds: Double) {
    let histogram = Histogram("x_seconds")
    histogram.record(duration)
    #expect(histogram.snapshot().maximum == seconds)
  }

  /// 0.07 × 100 is 7.000000000000001 in `Double`, which rounds up to the 8th value.
  @Test(arguments: [(7, 100), (14, 50), (55, 100), (56, 100), (28, 25), (29, 100), (99, 100)])
  func aQuantileIsNotARankTooHighByRounding(percent: Int, count: Int) {
    let histogram = Histogram("h")
    let rank = percent * count / 100
    for value in 1...count { histogram.record(value <= rank ? 1 : 1000) }
    let quantile = histogram.snapshot().quantile(Double(percent) / 100) ?? 0
    #expect(quantile < 1.01, "the value at rank \(rank)")
  }

  @Test func countUpToABoundIncludesTheBound() {
    let histogram = Histogram("x")
    for value in 1...1000 { histogram.record(value) }
    let snapshot = histogram.snapshot()
    for bound in [1.0, 2, 63, 64, 65, 500, 999, 1000] {
      let count = snapshot.count(upTo: bound)
      #expect(count >= Int(bound) && Double(count) <= bound * (1 + 1.0 / 64))
    }
    #expect(snapshot.count(upTo: 0.5) == 0)
    #expect(snapshot.count(upTo: -.infinity) == 0)
    #expect(snapshot.count(upTo: .nan) == 0)
    #expect(snapshot.count(upTo: .infinity) == 1000)
  }

  @Test(arguments: UInt64(1)...20)
  func mergedSnapshotsEqualTheSnapshotOfAllValues(seed: UInt64) {
    var random = Seeded(state: seed)
    let parts = [Histogram("a"), Histogram("b"), Histogram("c")]
    let whole = Histogram("all")
    for _ in 0..<Int.random(in: 0...500, using: &random) {
      // Whole numbers, so that the sum is exact in whatever order it is made.
      let value = Double(
        UInt32.random(in: 0...(.max), using: &random)
          >> UInt32.random(in: 0...31, using: &random))
      parts.randomElement(using: &random)!.record(value)
      whole.record(value)
    }
    var merged = HistogramSnapshot()
    for part in parts { merged.merge(part.snapshot()) }
    #expect(merged == whole.snapshot(), "seed \(seed)")
    var reversed = HistogramSnapshot()
    for part in parts.reversed() { reversed.merge(part.snapshot()) }
    #expect(reversed == merged, "seed \(seed)")
  }

  @Test func theSampleHasCumulativeBucketsAtTheGivenBounds() throws {
    let histogram = Histogram(
      "request_seconds", help: "Time", labels: [("route", "/")], bounds: [0.1, 1, 10])
    for value in [0.05, 0.1, 0.5, 20] { histogram.record(value) }
    let samples = histogram.samples()
    let sample = try #require(samples.first)
    #expect(samples.count == 1 && sample.name == "request_seconds" && sample.kind == .histogram)
    #expect(sample.help == "Time" && sample.labels.map(\.value) == ["/"])
    let distribution = try #require(sample.distribution)
    #expect(distribution.buckets.map(\.upperBound) == [0.1, 1, 10])
    #expect(distribution.buckets.map(\.count) == [2, 3, 3])
    #expect(distribution.count == 4 && distribution.sum == sample.value)
    #expect(abs(distribution.sum - 20.65) < 1e-12)
  }

  @Test(arguments: [
    [0, 1], [-1], [1, 1], [2, 1], [Double.infinity], [Double.nan], [1, .nan],
  ])
  func boundsThatDoNotAscendAboveZeroAreRefused(bounds: [Double]) {
    #expect(throws: ConfigurationError.self) { try Histogram.validate(bounds: bounds) }
  }

  @Test func theBoundsThatComeWithItAreValid() throws {
    for bounds in [Histogram.durationBounds, Histogram.byteBounds, []] {
      try Histogram.validate(bounds: bounds)
    }
    #expect(Histogram.byteBounds.first == 1024 && Histogram.byteBounds.last == 1_073_741_824)
  }
}

@Suite struct HistogramConcurrencyTests {
  @Test func noValueIsLostBetweenThreads() async {
    let histogram = Histogram("x")
    await withTaskGroup { group in
      for task in 1...8 {
        group.addTask { for value in 1...1000 { histogram.record(value * task) } }
      }
    }
    let snapshot = histogram.snapshot()
    #expect(snapshot.count == 8000)
    #expect(snapshot.sum == 36 * 500_500)
    #expect(snapshot.minimum == 1 && snapshot.maximum == 8000)
  }

  @Test func snapshotsTakenWhileOthersRecordAreCoherent() async {
    let histogram = Histogram("x")
    let perTask = 5000
    await withTaskGroup { group in
      for seed in UInt64(1)...3 {
        group.addTask {
          var random = Seeded(state: seed)
          for _ in 0..<perTask {
            histogram.record(exp2Double(Double.random(in: -20...40, using: &random)))
          }
        }
      }
      group.addTask {
        var last = 0
        while last < 3 * perTask {
          let snapshot = histogram.snapshot()
          #expect(snapshot.count >= last && snapshot.count <= 3 * perTask)
          if let minimum = snapshot.minimum, let maximum = snapshot.maximum {
            let median = snapshot.quantile(0.5)!
            #expect(minimum <= median && median <= maximum)
          }
          last = snapshot.count
          await Task.yield()
        }
      }
    }
  }
}
