internal import ReliabilityCore

/// Nanoseconds on a scale whose ends are far enough from overflow to be added.
enum BreakerTime {
  /// Seventy-three years.
  static let distantFuture = Int64.max / 4
  static let distantPast = -distantFuture

  /// Whole nanoseconds, zero at least and seventy-three years at most.
  static func nanoseconds(_ duration: Duration) -> Int64 {
    min(max(0, duration.nanoseconds), distantFuture)
  }
}

/// A configuration as the state machine reads it: numbers only, immutable, shared by the breakers of a keyed one.
final class BreakerRules: Sendable {
  enum WindowShape: Hashable, Sendable {
    case none
    case count(Int)
    case time(bucketWidth: Int64, bucketCount: Int)
  }

  /// `Int.max` for no such rule.
  let consecutiveFailures: Int
  /// Above one for no such rule.
  let failureRate: Double
  /// Above one for no such rule.
  let slowCallRate: Double
  /// How long a call takes that is slow.
  let slowDuration: Int64
  let minimumVolume: Int
  let window: WindowShape

  let openTime: Backoff
  let longestServerHint: Int64
  let probePermits: Int
  let probeSuccesses: Int
  let probeLease: Int64

  /// Whether the calls in flight are followed while the breaker is closed.
  let followsCalls: Bool
  /// Whether a success needs the time.
  let timesSuccesses: Bool
  /// No window with fewer failures can reach the failure rate.
  let fewestFailures: Int

  init(_ configuration: CircuitBreaker.Configuration) {
    consecutiveFailures = configuration.consecutiveFailures ?? .max
    failureRate = configuration.failureRate ?? 2
    slowCallRate = configuration.slowCalls?.rate ?? 2
    slowDuration =
      configuration.slowCalls.map { BreakerTime.nanoseconds($0.duration) }
      ?? BreakerTime.distantFuture
    minimumVolume = configuration.minimumVolume
    followsCalls = configuration.slowCalls != nil
    if configuration.failureRate == nil, configuration.slowCalls == nil {
      window = .none
    } else {
      switch configuration.window.shape {
      case .count(let calls): window = .count(calls)
      case .time(let length, let buckets):
        window = .time(
          bucketWidth: max(1, BreakerTime.nanoseconds(length) / Int64(buckets)),
          bucketCount: buckets)
      }
    }
    if case .time = window { timesSuccesses = true } else { timesSuccesses = followsCalls }
    let fewest = min(failureRate, 1) * Double(minimumVolume)
    // `Double` rounds the largest integers up, and converting the result back would trap.
    fewestFailures = max(1, Int(min(fewest, 1e15).rounded(.down)))

    openTime = configuration.openTime
    longestServerHint = BreakerTime.nanoseconds(configuration.longestServerHint)
    probePermits = configuration.halfOpenPermits
    probeSuccesses = configuration.halfOpenSuccesses
    probeLease = BreakerTime.nanoseconds(configuration.probeLease)
  }
}
