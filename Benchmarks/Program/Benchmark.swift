/// Does something so many times in a row, the loop included, so that no call stands between it and the optimizer.
typealias Batch = @Sendable (_ iterations: Int) async throws -> Void

/// A named measurement.
struct Benchmark: Sendable {
  var name: String
  var measure: @Sendable () async throws -> Result
}

/// What to time, and beside what.
struct Comparison: Sendable {
  var subject: Batch
  var yardstick: (name: String, batch: Batch)?
  /// About how long one sample takes: long where starting a batch takes long.
  var sampleLength = Duration.milliseconds(1)
  /// Removes what the batches leave behind.
  var cleanUp: @Sendable () -> Void = {}
}

/// How a figure is to be read.
enum Unit: Sendable, Equatable {
  case nanoseconds, bytes
  /// Something per second: more is better, and medians are compared.
  case rate(String)

  var name: String {
    switch self {
    case .nanoseconds: "ns"
    case .bytes: "bytes"
    case .rate(let name): name
    }
  }
}

/// The outcome of one benchmark.
struct Result: Sendable {
  var name: String
  var unit: Unit
  var summary: Summary
  var yardstick: (name: String, summary: Summary)?
  /// Per operation; `nil` where it is not or cannot be counted.
  var allocations: Double?
  var figures: [(name: String, value: Double)] = []

  /// This minimum over the yardstick's; for a rate, this median over the yardstick's.
  var ratio: Double? {
    guard let yardstick else { return nil }
    if case .rate = unit { return summary.median / yardstick.summary.median }
    return summary.min / yardstick.summary.min
  }

  /// Adds what a time would be on a machine whose uncontended mutex pair takes 9 ns, as the limits assume.
  mutating func scale(toMutexPair mutexPair: Double) {
    guard unit == .nanoseconds else { return }
    let factor = 9 / mutexPair
    for figure in figures where figure.name.hasSuffix("_ns") {
      figures.append(("scaled_" + figure.name, figure.value * factor))
    }
    figures.insert(("scaled_ns", summary.min * factor), at: 0)
  }
}

extension Benchmark {
  /// A benchmark that times an operation in turns with its yardstick, and counts its allocations.
  ///
  /// - Parameters:
  ///   - name: Area and operation: `retry/success`.
  ///   - difference: The name of an additional figure: how much longer than the yardstick it takes.
  ///   - prepare: Makes what is timed. Not called for `--list`.
  static func timed(
    _ name: String, difference: String? = nil,
    prepare: @escaping @Sendable () async throws -> Comparison
  ) -> Benchmark {
    Benchmark(name: name) {
      let comparison = try await prepare()
      defer { comparison.cleanUp() }
      let timing = try await Stopwatch.compare(
        comparison.subject, with: comparison.yardstick?.batch, sampleLength: comparison.sampleLength
      )
      var result = Result(name: name, unit: .nanoseconds, summary: timing.subject)
      result.allocations = try await Allocations.perOperation(of: comparison.subject)
      if let yardstick = timing.yardstick, let name = comparison.yardstick?.name {
        result.yardstick = (name, yardstick)
        if let difference {
          result.figures.append((difference, timing.subject.min - yardstick.min))
        }
      }
      if let ratio = timing.pairedRatio { result.figures.append(("paired_ratio", ratio)) }
      return result
    }
  }
}

/// Halves of a batch on two threads at once: the time per operation halves when they do not get in each other's way.
func onTwoThreads(_ batch: @escaping Batch) -> Batch {
  { iterations in
    try await withThrowingTaskGroup { group in
      for half in [iterations / 2, iterations - iterations / 2] {
        group.addTask { try await batch(half) }
      }
      try await group.waitForAll()
    }
  }
}
