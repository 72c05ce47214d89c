extension BackoffLock {
  /// Runs the body while holding the lock.
  ///
  /// The wait never blocks a thread of the cooperative pool. It ends without the lock when the time is up, when
  /// `Deadline.current` comes first, or when the task is cancelled; nothing is left behind then, and no other waiter is
  /// disturbed. The body runs to its end whatever happens; cancellation inside it is the body's matter.
  ///
  /// A task that holds the lock and asks for it again, for sharing too, gets ``LockError/Code/alreadyHeld`` at once. A
  /// child task of the body that asks waits for its parent, until the time is up.
  ///
  /// - Parameters:
  ///   - mode: Alone, or with other readers.
  ///   - timeout: How long to wait; ``Configuration/timeout`` when nothing is said. Zero tries once.
  ///   - body: The work. It gets the token of this hold, higher than those of all exclusive holders before.
  /// - Returns: What the body returns.
  /// - Throws: ``LockTimeoutError``; ``LockError`` when the lock can't be used; `CancellationError`; what the body throws.
  public nonisolated(nonsending) func withLock<R: ~Copyable>(
    _ mode: Mode = .exclusive, timeout: Duration? = nil,
    _ body: (FencingToken) async throws -> R
  ) async throws -> R {
    let hold = try await acquire(mode, timeout: timeout, isScoped: true)
    defer { release(hold) }
    return try await body(hold.token)
  }

  /// Runs the body while holding the lock, if that can begin before an instant.
  ///
  /// As `withLock(_:timeout:_:)`, for several steps that share one limit. The instant limits the wait, not the body.
  ///
  /// - Parameters:
  ///   - mode: Alone, or with other readers.
  ///   - deadline: When the wait ends. One that has passed throws at once.
  ///   - body: The work.
  /// - Returns: What the body returns.
  /// - Throws: ``LockTimeoutError``; ``LockError`` when the lock can't be used; `CancellationError`; what the body throws.
  public nonisolated(nonsending) func withLock<R: ~Copyable>(
    _ mode: Mode = .exclusive, deadline: Deadline,
    _ body: (FencingToken) async throws -> R
  ) async throws -> R {
    try await withLock(mode, timeout: try remaining(until: deadline), body)
  }

  /// Runs the body while holding the lock; for callers on a thread of their own, which waits.
  ///
  /// - Parameters:
  ///   - mode: Alone, or with other readers.
  ///   - timeout: How long to wait; ``Configuration/timeout`` when nothing is said. Zero tries once.
  ///   - body: The work. It gets the token of this hold.
  /// - Returns: What the body returns.
  /// - Throws: ``LockTimeoutError``; ``LockError`` when the lock can't be used; what the body throws.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  @_disfavoredOverload
  public func withLock<R: ~Copyable>(
    _ mode: Mode = .exclusive, timeout: Duration? = nil, _ body: (FencingToken) throws -> R
  ) throws -> R {
    let hold = try acquireBlocking(mode, timeout: timeout, isScoped: true)
    defer { release(hold) }
    return try body(hold.token)
  }

  /// Runs the body while holding the lock, if that can begin before an instant; for callers on a thread of their own.
  ///
  /// - Parameters:
  ///   - mode: Alone, or with other readers.
  ///   - deadline: When the wait ends. One that has passed throws at once.
  ///   - body: The work.
  /// - Returns: What the body returns.
  /// - Throws: ``LockTimeoutError``; ``LockError`` when the lock can't be used; what the body throws.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  @_disfavoredOverload
  public func withLock<R: ~Copyable>(
    _ mode: Mode = .exclusive, deadline: Deadline, _ body: (FencingToken) throws -> R
  ) throws -> R {
    try withLock(mode, timeout: try remaining(until: deadline), body)
  }

  private func remaining(until deadline: Deadline) throws -> Duration {
    let now = ContinuousClock.Instant(sinceOrigin: now)
    if deadline.instant < now {
      meter.countAttempt()
      meter.countTimeout()
      throw LockTimeoutError(path: path, waited: .zero)
    }
    return deadline.remaining(at: now)
  }

  /// Takes the lock if nobody has it.
  ///
  /// - Parameter mode: Alone, or with other readers.
  /// - Returns: The held lock, which gives itself back when its life ends, or `nil` when somebody has it or waits for it.
  /// - Throws: ``LockError`` when the lock can't be used; `CancellationError`.
  public nonisolated(nonsending) func tryLock(_ mode: Mode = .exclusive) async throws -> HeldLock? {
    do {
      return HeldLock(try await acquire(mode, timeout: .zero, isScoped: false))
    } catch is LockTimeoutError {
      return nil
    }
  }

  /// Takes the lock if nobody has it; for callers on a thread of their own.
  ///
  /// - Parameter mode: Alone, or with other readers.
  /// - Returns: The held lock, which gives itself back when its life ends, or `nil` when somebody has it or waits for it.
  /// - Throws: ``LockError`` when the lock can't be used.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  public func tryLock(_ mode: Mode = .exclusive) throws -> HeldLock? {
    do {
      return HeldLock(try acquireBlocking(mode, timeout: .zero, isScoped: false))
    } catch is LockTimeoutError {
      return nil
    }
  }
}

/// A lock that is held until this value's life ends.
///
///     if let held = try await lock.tryLock() {
///       try await work(fencedBy: held.token)
///       held.release()
///     }
public struct HeldLock: ~Copyable, Sendable {
  private let hold: LockHold

  init(_ hold: LockHold) { self.hold = hold }

  /// The number of this hold.
  public var token: FencingToken { hold.token }

  /// Gives the lock back now.
  public consuming func release() {}

  deinit { hold.lock.release(hold) }
}
