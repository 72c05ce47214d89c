import CReliabilityAllocationCounter

/// Times batches.
enum Stopwatch {
  /// Odd, so that the median is a sample; hundreds, so that the 99th percentile is not the maximum.
  private static let sampleCount = 301
  private static let warmUp = Duration.milliseconds(50)

  /// What a comparison found, in nanoseconds per operation.
  struct Timing: Sendable {
    var subject: Summary
    var yardstick: Summary?
    /// The median of the ratios of neighbouring samples: steadier than a ratio of minimums where the machine is busy.
    var pairedRatio: Double?
  }

  /// Times a subject and its yardstick.
  ///
  /// Samples are taken in turns, A B A B: a noisy second on the machine then falls on both. They are long against the
  /// clock's 25 ns and short against the scheduler's time slice, so that many of them go undisturbed.
  static func compare(
    _ subject: Batch, with yardstick: Batch?, sampleLength: Duration
  ) async throws -> Timing {
    let iterations = try await calibrate(subject, sampleLength)
    guard let yardstick else {
      var samples: [Double] = []
      for _ in 0..<sampleCount { samples.append(try await time(subject, iterations)) }
      return Timing(subject: Summary(samples))
    }
    let yardstickIterations = try await calibrate(yardstick, sampleLength)
    var samples: [Double] = []
    var yardstickSamples: [Double] = []
    for _ in 0..<sampleCount {
      samples.append(try await time(subject, iterations))
      yardstickSamples.append(try await time(yardstick, yardstickIterations))
    }
    return Timing(
      subject: Summary(samples), yardstick: Summary(yardstickSamples),
      pairedRatio: Summary(zip(samples, yardstickSamples).map { $0 / $1 }).median)
  }

  /// Warms up, and finds out how many iterations make a sample of the intended length.
  ///
  /// - Returns: One for operations that take a tenth of that: their time varies from one to the next (a disk), and the
  ///   minimum of averages would be far above the minimum.
  private static func calibrate(_ batch: Batch, _ sampleLength: Duration) async throws -> Int {
    let clock = ContinuousClock()
    let end = clock.now + warmUp
    var iterations = 1
    while true {
      let start = clock.now
      try await batch(iterations)
      let now = clock.now
      if now - start < sampleLength {
        iterations *= 2
      } else if now >= end {
        // The last doubling may have gone too far.
        let perOperation = max((now - start) / iterations, .nanoseconds(1) / 10)
        return perOperation * 10 > sampleLength ? 1 : Int(sampleLength / perOperation)
      }
    }
  }

  private static func time(_ batch: Batch, _ iterations: Int) async throws -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try await batch(iterations)
    return (clock.now - start) / .nanoseconds(1) / Double(iterations)
  }
}

/// Counts heap allocations.
enum Allocations {
  /// How many allocations one operation makes, or `nil` where they cannot be counted.
  ///
  /// Other threads may allocate meanwhile, so of several passes the least counts. What a batch allocates by itself drops
  /// out between passes of one length and of twice that length.
  static func perOperation(of batch: Batch) async throws -> Double? {
    guard creliability_counts_allocations() else { return nil }
    let iterations = 100
    var once = UInt64.max
    var twice = UInt64.max
    for _ in 0..<5 {
      once = min(once, try await count(batch, iterations))
      twice = min(twice, try await count(batch, 2 * iterations))
    }
    return max(0, Double(twice) - Double(once)) / Double(iterations)
  }

  private static func count(_ batch: Batch, _ iterations: Int) async throws -> UInt64 {
    creliability_count_allocations(true)
    defer { creliability_count_allocations(false) }
    let before = creliability_allocation_count()
    try await batch(iterations)
    return creliability_allocation_count() - before
  }
}
