import Synchronization

/// What everything else is measured by.
///
/// They are part of every run.
enum YardstickBenchmarks {
  static let mutexPair = "yardstick/mutex-pair"

  static let all: [Benchmark] = [
    .timed(mutexPair) {
      let counter = Counted()
      return Comparison(subject: { iterations in counter.addUnderLock(iterations) })
    },
    .timed("yardstick/await") {
      Comparison(subject: { iterations in
        for _ in 0..<iterations { await doNothing() }
      })
    },
    .timed("yardstick/clock") {
      Comparison(subject: { iterations in
        for _ in 0..<iterations { keep(ContinuousClock.now) }
      })
    },
  ]

  private final class Counted: Sendable {
    private let value = Mutex(0)

    func addUnderLock(_ iterations: Int) {
      for _ in 0..<iterations { value.withLock { $0 &+= 1 } }
    }
  }
}

/// An operation that does nothing, which the optimizer cannot know.
@_optimize(none)
@inline(never)
func doNothing() async {}

/// An operation that might have failed, which the optimizer cannot know.
@_optimize(none)
@inline(never)
func succeed() async throws -> Int { 1 }

/// Uses a value, as far as the optimizer can tell.
@_optimize(none)
@inline(never)
func keep<Value>(_ value: Value) {}
