import ReliabilityMetrics
import Synchronization

/// What counting costs the work that is counted.
enum MetricsBenchmarks {
  static let all: [Benchmark] = [
    .timed("metrics/counter") {
      Comparison(subject: count(with: Counter("x_total")), yardstick: ("atomic-add", atomicAdd()))
    },
    .timed("metrics/counter-2-threads") {
      let batch = count(with: Counter("x_total"))
      return Comparison(
        subject: onTwoThreads(batch), yardstick: ("1-thread", batch), sampleLength: .milliseconds(5)
      )
    },
    .timed("metrics/histogram") {
      Comparison(subject: record(in: Histogram("x")), yardstick: ("atomic-add", atomicAdd()))
    },
    .timed("metrics/histogram-2-threads") {
      let batch = record(in: Histogram("x"))
      return Comparison(
        subject: onTwoThreads(batch), yardstick: ("1-thread", batch), sampleLength: .milliseconds(5)
      )
    },
    .timed("metrics/histogram-duration") {
      let histogram = Histogram("x")
      // Making a `Duration` takes as long as recording it.
      let durations = (0..<64).map { Duration.nanoseconds(1009 * $0) }
      return Comparison(
        subject: { iterations in
          for iteration in 0..<iterations { histogram.record(durations[iteration & 63]) }
        }, yardstick: ("atomic-add", atomicAdd()))
    },
    .timed("metrics/gauge") {
      let gauge = Gauge("x")
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { gauge.increment() }
        }, yardstick: ("atomic-add", atomicAdd()))
    },
    .timed("metrics/histogram-snapshot") {
      let histogram = Histogram("x")
      for value in 1...100_000 { histogram.record(value) }
      return Comparison(subject: { iterations in
        for _ in 0..<iterations { keep(histogram.snapshot()) }
      })
    },
  ]

  private static func count(with counter: Counter) -> Batch {
    { iterations in
      for _ in 0..<iterations { counter.increment() }
    }
  }

  private static func record(in histogram: Histogram) -> Batch {
    { iterations in
      for iteration in 0..<iterations { histogram.record(Double(iteration & 0xFFFF)) }
    }
  }

  private static func atomicAdd() -> Batch {
    let shared = SharedAtomic()
    return { iterations in
      for _ in 0..<iterations { shared.value.wrappingAdd(1, ordering: .relaxed) }
    }
  }

  private final class SharedAtomic: Sendable {
    let value = Atomic<Int>(0)
  }
}
