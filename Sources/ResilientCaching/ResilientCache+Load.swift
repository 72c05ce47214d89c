import ReliabilityCore
import ReliabilityMetrics

extension ResilientCache {
  /// The value of a key: from the cache, or loaded once for all who ask.
  ///
  /// What happens when the value is stale, or can't be loaded, ``CachePolicy`` says. Without a stale value the error of the
  /// load is thrown to all who waited, unchanged.
  ///
  /// **The load** runs in a task of the cache, not in the caller's: it inherits the caller's priority (raised when somebody of higher
  /// priority joins, where the system can) and task-local values, but not `Deadline.current`, as it also serves those who have
  /// more time. So bound it yourself, with `withTimeout` inside.
  ///
  /// **Cancellation**: a caller that is cancelled throws `CancellationError` at once. The load goes on for the others; without
  /// any it is cancelled, and whoever asks next starts a new one. A hit is returned also to a cancelled task.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - load: Gets the value. Called at most once, and not at all when the value is there or being loaded. Throws
  ///     ``NoSuchValueError`` to say that there is none.
  /// - Returns: A value no older than the era and the version in which the call was made; fresh unless the policy allows stale
  ///   ones. One that was invalidated while the caller waited may still be returned to it, but is not kept.
  /// - Throws: What the load throws; ``NoSuchValueError``, or another error that `CachePolicy.isNegative` named, while that is
  ///   remembered; ``RecursiveLoadError`` when a load would wait for itself; `CancellationError`.
  @inlinable
  public nonisolated(nonsending) func value(
    for key: Key, load: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let address = CacheAddress(key, in: CacheSpace())
    if let value = hit(address) { return value }
    return try await request(address, load)
  }

  /// The value of a key, which may not exist: from the cache, or loaded once for all who ask.
  ///
  /// As ``value(for:load:)``, with `nil` in place of ``NoSuchValueError``, both from the load and from here.
  ///
  /// - Parameters:
  ///   - key: The key.
  ///   - load: Gets the value, or `nil` when there is none, which is remembered for `CachePolicy.negativeTimeToLive`.
  /// - Returns: The value, or `nil` when there is none.
  /// - Throws: As ``value(for:load:)`` otherwise.
  @inlinable
  public nonisolated(nonsending) func valueIfAny(
    for key: Key, load: @escaping @Sendable () async throws -> Value?
  ) async throws -> Value? {
    let address = CacheAddress(key, in: CacheSpace())
    if let value = hit(address) { return value }
    return try await requestIfAny(address, load)
  }
}

extension ResilientCache {
  @inline(never) @usableFromInline
  nonisolated(nonsending) func requestIfAny(
    _ address: CacheAddress<Key>, _ load: @escaping @Sendable () async throws -> Value?
  ) async throws -> Value? {
    do {
      return try await request(address) {
        guard let value = try await load() else { throw NoSuchValueError() }
        return value
      }
    } catch  where error.withoutStory is NoSuchValueError {
      return nil
    }
  }

  @inline(never) @usableFromInline
  nonisolated(nonsending) func request(
    _ address: CacheAddress<Key>, _ load: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    if Task.isCancelled { throw CancellationError() }
    let (waiter, number) = (CacheWaiter<Value>(), CacheNumbers.next())
    let scope = LoadScope.current
    let within = scope?.numbers ?? []
    let answer = changeNow {
      $0.ask(address, waiter: waiter, number: number, within: within, $1, &$2)
    }
    switch answer {
    case .value(let value), .stale(let value, refresh: nil):
      return value
    case .stale(let value, .some):
      // Nobody waits for it, so it is not part of what is asked within.
      start(number, address, within: nil, load)
      return value
    case .failure(let error):
      throw error
    case .recursion:
      throw RecursiveLoadError(cache: name)
    case .wait(let running, let starts):
      if starts { start(number, address, within: scope, load) } else { hurry(running) }
      return try await withTaskCancellationHandler {
        await waiter.wait()
      } onCancel: {
        // First: whoever leaves is not one who fell back on a stale value.
        waiter.settle(.failure(CancellationError()))
        change { $0.leave(running, ticket: waiter.ticket, &$1) }
      }.get()
    }
  }

  private func start(
    _ number: UInt64, _ address: CacheAddress<Key>, within outer: LoadScope?,
    _ load: @escaping @Sendable () async throws -> Value
  ) {
    let (scope, clock) = (LoadScope(number, within: outer), clock)
    // Weak: a refresh does not keep a cache that nobody uses any more.
    let task = Task { [weak self] in
      let start = clock.now
      let result = await LoadScope.$current.withValue(scope) {
        await Deadline.$scope.withValue(nil) { await outcome(of: load) }
      }
      scope.end()
      self?.finish(number, address, result, seconds: Double(clock.now &- start) / 1e9)
    }
    let (isWanted, priority) = guarded.withLock { $0.attach(task, to: number) }
    if !isWanted { task.cancel() }
    if let priority { raise(task, to: priority) }
  }

  private func finish(
    _ number: UInt64, _ address: CacheAddress<Key>, _ result: Result<Value, any Error>,
    seconds: Double
  ) {
    loadTimes.record(seconds)
    let outcome: CacheStateMachine<Key, Value>.Outcome
    switch result {
    case .success(let value): outcome = .value(value, cost: cost(of: value, address))
    case .failure(let error): outcome = judge(error)
    }
    let ended = changeNow { $0.finish(number, outcome, $1, &$2) }
    guard let ended else { return }
    for waiter in ended.waiters { waiter.settle(ended.result) }
  }

  private func judge(_ error: any Error) -> CacheStateMachine<Key, Value>.Outcome {
    let bare = error.withoutStory
    if bare is CancellationError || (bare as? any ClassifiedError)?.category == .cancelled {
      return .cancelled(error)
    }
    let isNegative = bare is NoSuchValueError || policy.isNegative?(bare) ?? false
    return .failure(error, isNegative: isNegative)
  }

  /// Raises the priority of a load to that of one who joins it.
  private func hurry(_ number: UInt64) {
    let priority = Task.currentPriority
    let task = guarded.withLock { $0.hurry(number, to: priority) }
    if let task { raise(task, to: priority) }
  }

  private func raise(_ task: Task<Void, Never>, to priority: TaskPriority) {
    if #available(macOS 26.0, iOS 26.0, watchOS 26.0, tvOS 26.0, visionOS 26.0, *) {
      task.escalatePriority(to: priority)
    }
  }
}

/// How a load ends.
private func outcome<Value>(
  of load: @Sendable () async throws -> Value
) async -> Result<Value, any Error> {
  do {
    return .success(try await load())
  } catch {
    return .failure(error)
  }
}
