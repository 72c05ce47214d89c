public import ReliabilityCore

/// Lets each of many clients do something at most so often, in bounded memory.
///
///     let limiter = KeyedRateLimiter<String>(.perClient, capacity: 10_000)
///     guard limiter.tryAcquire(for: client).isAllowed else { return tooManyRequests }
///     try await limiter.acquire(for: host)  // waits for this key's turn
///
/// A key that has not been used for as long as it takes its permits to come back is like a new one, so it is forgotten: the
/// memory is bounded by ``capacity``, not by how many keys were ever seen. When more keys than that are in use at once, the
/// one of a few whose permits are nearest to being all back gives way, and ``evictions`` says so: it may then get through
/// more than its limit. Keys with someone in their line stay.
public final class KeyedRateLimiter<Key: Hashable & Sendable>: MetricsSource {
  /// The name in errors and figures.
  public let name: String

  /// How many keys are remembered.
  public let capacity: Int

  private let clock: NanosecondClock
  private let maximumWaiters: Int
  @usableFromInline let shell: Lock<KeyedLimiterShell<Key>>

  /// Makes a limiter that knows no key yet.
  ///
  /// Limits out of range are a programmer's error and trap; `RateLimit.validate()` tells.
  ///
  /// - Parameters:
  ///   - limits: One limit or more for every key.
  ///   - capacity: How many keys are remembered, at least 1. A key takes about 100 bytes and its own size.
  ///   - name: What is limited, for errors and figures; one of a small set of words.
  ///   - maximumWaiters: How many may wait for one key, 0 or more.
  ///   - clock: The time.
  public init(
    _ limits: RateLimit..., capacity: Int = 10_000, name: String = "default",
    maximumWaiters: Int = 1_000, clock: any TimeSource = ContinuousClock()
  ) {
    requireValid { () throws(ConfigurationError) in
      try RateLimiter.validate(limits, maximumWaiters)
      try check(capacity >= 1, "capacity", "must be at least 1")
    }
    self.name = name
    self.capacity = capacity
    self.clock = NanosecondClock(clock)
    self.maximumWaiters = maximumWaiters
    shell = Lock(
      KeyedLimiterShell(KeyTable(RateRules(limits), capacity: capacity)))
  }

  /// Takes permits of a key if they are there now.
  ///
  /// - Parameters:
  ///   - key: Whose.
  ///   - permits: How many, 0 or more; a negative number traps.
  /// - Returns: Whether they were taken, how many are left, and when to ask again.
  /// - Complexity: O(1), a look-up in a dictionary.
  @inlinable public func tryAcquire(for key: Key, _ permits: Int = 1) -> RateLimitDecision {
    precondition(permits >= 0, "permits must not be negative")
    let now = ticks
    return shell.withLock { shell in
      shell.tryKnown(key, permits, now: now) ?? shell.tryAcquire(key, permits, now: now)
    }
  }

  @usableFromInline var ticks: Int64 { clock.ticks }

  /// Waits in the line of a key for permits.
  ///
  /// - Parameters:
  ///   - key: Whose.
  ///   - permits: How many, 0 or more; a negative number traps.
  ///   - timeout: The longest wait; `Deadline.current` alone bounds it unless given.
  /// - Throws: As `RateLimiter.acquire(_:timeout:)`.
  public nonisolated(nonsending) func acquire(
    for key: Key, _ permits: Int = 1, timeout: Duration? = nil
  ) async throws {
    precondition(permits >= 0, "permits must not be negative")
    if Task.isCancelled { throw CancellationError() }
    let now = clock.ticks
    let end = RateTicks.end(now, timeout)
    let joined = shell.withLock { shell -> Result<RateLimiter.Place?, RateLimitedError> in
      var line = shell.line(of: key)
      if line == nil {
        if shell.table.tryAcquire(key, permits, now: now).isAllowed {
          shell.allowed += 1
          return .success(nil)
        }
        line = RateLimiter(
          shell.table.rules, full: shell.table.state(of: key, now: now), name: name,
          maximumWaiters: maximumWaiters, clock: clock.source)
      }
      guard let line else { return .success(nil) }
      do throws(RateLimitedError) {
        let place = try line.join(permits, deadline: end, now: now)
        shell.keep(line, of: key)
        return .success(place)
      } catch {
        shell.limited += 1
        return .failure(error)
      }
    }
    try await joined.get()?.wait()
  }

  /// How many keys are remembered now.
  public var count: Int { shell.withLock { $0.table.count } }

  /// How many keys had to be forgotten before their permits were back, because more than ``capacity`` were in use.
  public var evictions: Int { shell.withLock { $0.table.evictions } }

  /// Decisions by result, keys, and keys forgotten too early.
  public func samples() -> [MetricSample] {
    let figures = shell.withLock { shell in
      (
        shell.allowed + shell.allowedInLines, shell.limited, shell.table.count,
        shell.table.evictions
      )
    }
    func sample(
      _ metric: String, _ kind: MetricSample.Kind, _ value: Int, _ help: String,
      _ more: [(name: String, value: String)] = []
    ) -> MetricSample {
      MetricSample(
        name: metric, kind: kind, labels: [("limiter", name)] + more, value: Double(value),
        help: help)
    }
    let decisions = "Requests for permits by what became of them"
    return [
      sample("ratelimit_decisions_total", .counter, figures.0, decisions, [("result", "allowed")]),
      sample("ratelimit_decisions_total", .counter, figures.1, decisions, [("result", "limited")]),
      sample("ratelimit_keys", .gauge, figures.2, "Keys remembered"),
      sample("ratelimit_evictions_total", .counter, figures.3, "Keys forgotten too early"),
    ]
  }
}
