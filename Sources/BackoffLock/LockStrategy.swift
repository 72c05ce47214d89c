/// A strategy after `automatic` was decided and the polling plan was put aside.
enum LockStrategy: Hashable, Sendable {
  case queue, gate, plain, polling
}

extension BackoffLock {
  /// How processes wait for each other.
  ///
  /// All of them exclude each other, so processes may use different ones for one file; the one who waits decides how.
  ///
  ///     var configuration = BackoffLock.Configuration()
  ///     configuration.strategy = .polling(.patient)
  public enum Strategy: Hashable, Sendable {
    /// What is best for the file system: ``queue`` on Linux, ``gate`` on other systems, ``plain`` on a network.
    case automatic
    /// Each process waits for the one before it: first in, first out, no herd, no polling. Needs locks on byte ranges
    /// (Linux); elsewhere using it throws ``LockError/Code/unsupported``.
    case queue
    /// One process at a time waits for the lock, the others for its place: fairer than ``plain``, less than ``queue``.
    case gate
    /// One lock of the system and nothing else: the cheapest without contention. With it, the one who just gave the
    /// lock up often gets it again, so others may wait long.
    case plain
    /// Asks again and again with growing delays. For file systems where waiting in the kernel can't be trusted.
    case polling(LockPolling)
  }
}

/// When to ask again for a lock that another process holds.
///
///     let often = LockPolling(backoff: .constant(.milliseconds(2)))
public struct LockPolling: Hashable, Sendable {
  /// The delays between attempts.
  public var backoff: Backoff

  /// How many retries follow the first attempt before ``LockTimeoutError`` is thrown, or `nil` for as many as the
  /// timeout allows.
  public var maxRetries: Int?

  /// After every how many retries ``BackoffLock/Event/Kind/waiting(retries:)`` is told, one at least.
  public var retriesPerEvent: Int

  /// Makes a plan.
  ///
  /// - Parameters:
  ///   - backoff: The delays between attempts.
  ///   - maxRetries: Retries after the first attempt, zero or more, or `nil` for no limit.
  ///   - retriesPerEvent: After every how many retries an event is told, one at least.
  /// - Precondition: The numbers are in their ranges.
  public init(backoff: Backoff, maxRetries: Int? = nil, retriesPerEvent: Int = 10) {
    self.backoff = backoff
    self.maxRetries = maxRetries
    self.retriesPerEvent = retriesPerEvent
    requireValid(validate)
  }

  /// From 1 ms to 25 ms with full jitter.
  ///
  /// Short, because a poller only gets the lock when it asks in one of the moments in which it is free: with 20
  /// processes and a hold of 1 ms the longest wait was half of what delays up to a second gave.
  public static let brisk = LockPolling(
    backoff: .exponential(base: .milliseconds(1), cap: .milliseconds(25)))

  /// From 10 ms to 1 s, each times 0.5 to 1.5 (below the cap), 300 retries.
  ///
  /// For locks that are held for long and wanted by few.
  public static let patient = LockPolling(
    backoff: .exponential(
      base: .milliseconds(10), cap: .seconds(1), jitter: .proportional(0.5)),
    maxRetries: 300)

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public func validate() throws(ConfigurationError) {
    try backoff.validate()
    try check(maxRetries ?? 0 >= 0, "maxRetries", "must not be negative")
    try check(retriesPerEvent > 0, "retriesPerEvent", "must be greater than zero")
  }
}

extension BackoffLock.Strategy {
  func resolved(isNetwork: Bool, mechanism: LockFile.Mechanism) -> LockStrategy {
    switch self {
    case .automatic: isNetwork ? .plain : mechanism == .ranges ? .queue : .gate
    case .queue: .queue
    case .gate: .gate
    case .plain: .plain
    case .polling: .polling
    }
  }

  var polling: LockPolling {
    if case .polling(let polling) = self { polling } else { .brisk }
  }
}
