/// What a breaker remembers over a restart, in plain numbers.
struct BreakerMemory: Hashable, Sendable {
  var state: CircuitBreaker.State
  var openings = 0
  var consecutiveFailures = 0
  /// How long the present opening was to last, in nanoseconds.
  var openTime: Int64 = 0
  /// What was left of it.
  var remainingOpenTime: Int64 = 0
  /// A window by count, oldest first.
  var history: [UInt8] = []
  /// A window by time, oldest first.
  var buckets: [OutcomeWindow.Tally] = []
  /// How long ago the youngest bucket began.
  var bucketAge: Int64 = 0

  /// Whether the numbers can be what a breaker remembered: a file may have been edited.
  var isPlausible: Bool {
    let times = [openTime, remainingOpenTime, bucketAge]
    return openings >= 0 && consecutiveFailures >= 0 && remainingOpenTime <= openTime
      && times.allSatisfy { (0...BreakerTime.distantFuture).contains($0) }
      && history.allSatisfy { $0 < 4 }
      && buckets.allSatisfy {
        (0...Int(Int32.max)).contains($0.calls) && (0...$0.calls).contains($0.failures)
          && (0...$0.calls).contains($0.slowCalls)
      }
  }
}
