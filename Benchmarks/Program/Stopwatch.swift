import CReliabilityAllocationCounter

/// Times batches.
enum Stopwatch {
  /// Odd, so that the median is a sample; a hundred, so that the 99th percentile is not the maximum.
  private static let sampleCount = 101
  /// Long against the clock's 25 ns, short against the scheduler's time slice, so that many samples go undisturbed.
  private static let sampleLength = Duration.milliseconds(3)
  private static let warmUp = Duration.milliseconds(50)

  /// Nanoseconds per operation of a subject and of its yardstick.
  ///
  /// Samples are taken in turns, A B A B: a noisy second on the machine then falls on both.
  static func compare(
    _ subject: Batch, with yardstick: Batch?
  ) async throws -> (subject: Summary, yardstick: Summary?) {
    let iterations = try await calibrate(subject)
    guard let yardstick else {
      var samples: [Double] = []
      for _ in 0..<sampleCount { samples.append(try await time(subject, iterations)) }
      return (Summary(samples), nil)
    }
    let yardstickIterations = try await calibrate(yardstick)
    var samples: [Double] = []
    var yardstickSamples: [Double] = []
    for _ in 0..<sampleCount {
      samples.append(try await time(subject, iterations))
      yardstickSamples.append(try await time(yardstick, yardstickIterations))
    }
    return (Summary(samples), Summary(yardstickSamples))
  }

  /// Warms up, and finds out how many iterations make a sample of the intended length.
  private static func calibrate(_ batch: Batch) async throws -> Int {
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
        let perOperation = (now - start) / iterations
        return max(1, Int(sampleLength / max(perOperation, .nanoseconds(1) / 10)))
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
  /// Other threads may allocate meanwhile, the operation can only make as many or more: the least of several passes.
  static func perOperation(of batch: Batch) async throws -> Double? {
    guard creliability_counts_allocations() else { return nil }
    let iterations = 100
    var least = Double.infinity
    for _ in 0..<5 {
      // Twice as many iterations minus once as many: what a batch allocates by itself drops out.
      let once = try await count(batch, iterations)
      let twice = try await count(batch, 2 * iterations)
      least = min(least, max(0, Double(twice) - Double(once)) / Double(iterations))
    }
    return least
  }

  private static func count(_ batch: Batch, _ iterations: Int) async throws -> UInt64 {
    creliability_count_allocations(true)
    defer { creliability_count_allocations(false) }
    let before = creliability_allocation_count()
    try await batch(iterations)
    return creliability_allocation_count() - before
  }
}
