public import ReliabilityCore

/// Lends few costly things to many users, and gets every one back.
///
///     let pool = ResourcePool(name: "database", configuration: .init(minimum: 2, maximum: 10)) {
///       try await Session.connect(to: url)
///     } close: {
///       try await $0.close()
///     }
///     let rows = try await pool.withResource { session in try await session.query("SELECT 1") }
///
/// The pool works as soon as it is made: resources are created when somebody needs one, up to the maximum, and closed when they
/// are stale, unhealthy or no longer needed. A task in ``run()`` keeps the minimum ready besides; ``stop(drainingFor:)`` ends it
/// all.
///
/// What holds, whatever the callers do:
/// - A loan goes back exactly once: when it is given back, discarded or dropped, on whatever path.
/// - Those who wait are served first come, first served. One who leaves disturbs nobody.
/// - Nobody waits in vain: not beyond the deadline, and not when nothing can come.
/// - The pool's own code for a resource (creating, checking, rolling back, closing) is not cut short by a caller's cancellation. A
///   resource that was made for a caller who left is another one's.
/// - created = closed + idle + lent + in upkeep + being closed, at any moment.
///
/// When the last reference to the pool goes, it ends as by `stop()` and waits for its loans without a limit.
public final class ResourcePool<Resource: Sendable>: MetricsSource {
  @usableFromInline let core: PoolCore

  /// Makes a pool of resources that are made and closed in one step each.
  ///
  /// All closures are called outside locks, in tasks of the pool.
  ///
  /// - Parameters:
  ///   - name: What is lent, for errors, events and figures: one of a small set of words.
  ///   - configuration: How many, how long.
  ///   - checkOnLend: Says whether an idle resource can be lent. One that can't, or whose check throws, is closed and another one
  ///     lent.
  ///   - checkOnReturn: Says whether a resource that comes back can be lent again.
  ///   - rollback: Makes a resource clean after each loan, before it is checked. One for which it throws is closed.
  ///   - create: Makes a resource.
  ///   - close: Closes it.
  /// - Precondition: `configuration.validate()` does not throw.
  public convenience init(
    name: String = "default", configuration: PoolConfiguration = .default,
    checkOnLend: (@Sendable (Resource) async throws -> Bool)? = nil,
    checkOnReturn: (@Sendable (Resource) async throws -> Bool)? = nil,
    rollback: (@Sendable (Resource) async throws -> Void)? = nil,
    create: @escaping @Sendable () async throws -> Resource,
    close: @escaping @Sendable (Resource) async throws -> Void
  ) {
    self.init(
      name: name, configuration: configuration, checkOnLend: checkOnLend,
      checkOnReturn: checkOnReturn, rollback: rollback,
      closers: [ResourceCloser("close", close)], create: create)
  }

  /// Makes a pool of resources that are closed in several steps.
  ///
  /// - Parameters:
  ///   - name: What is lent, for errors, events and figures: one of a small set of words.
  ///   - configuration: How many, how long.
  ///   - checkOnLend: Says whether an idle resource can be lent.
  ///   - checkOnReturn: Says whether a resource that comes back can be lent again.
  ///   - rollback: Makes a resource clean after each loan, before it is checked.
  ///   - closers: The steps of closing, in their order; all of them run.
  ///   - create: Makes a resource.
  /// - Precondition: `configuration.validate()` does not throw.
  public convenience init(
    name: String = "default", configuration: PoolConfiguration = .default,
    checkOnLend: (@Sendable (Resource) async throws -> Bool)? = nil,
    checkOnReturn: (@Sendable (Resource) async throws -> Bool)? = nil,
    rollback: (@Sendable (Resource) async throws -> Void)? = nil,
    closers: [ResourceCloser<Resource>],
    create: @escaping @Sendable () async throws -> Resource
  ) {
    self.init(name, configuration, checkOnLend, checkOnReturn, rollback) { _ in
      let resource = try await create()
      return (resource, closers)
    }
  }

  /// Makes a pool of resources that are put together from parts.
  ///
  /// - Parameters:
  ///   - name: What is lent, for errors, events and figures: one of a small set of words.
  ///   - configuration: How many, how long.
  ///   - checkOnLend: Says whether an idle resource can be lent.
  ///   - checkOnReturn: Says whether a resource that comes back can be lent again.
  ///   - rollback: Makes a resource clean after each loan, before it is checked.
  ///   - build: Makes a resource from parts that it adds; when it throws, the parts so far are closed.
  /// - Precondition: `configuration.validate()` does not throw.
  public convenience init(
    name: String = "default", configuration: PoolConfiguration = .default,
    checkOnLend: (@Sendable (Resource) async throws -> Bool)? = nil,
    checkOnReturn: (@Sendable (Resource) async throws -> Bool)? = nil,
    rollback: (@Sendable (Resource) async throws -> Void)? = nil,
    build: @escaping @Sendable (ResourceParts) async throws -> Resource
  ) {
    self.init(name, configuration, checkOnLend, checkOnReturn, rollback) { parts in
      (try await build(parts), [])
    }
  }

  private init(
    _ name: String, _ configuration: PoolConfiguration,
    _ checkOnLend: (@Sendable (Resource) async throws -> Bool)?,
    _ checkOnReturn: (@Sendable (Resource) async throws -> Bool)?,
    _ rollback: (@Sendable (Resource) async throws -> Void)?,
    _ make:
      @escaping @Sendable (ResourceParts) async throws -> (
        Resource, [ResourceCloser<Resource>]
      )
  ) {
    requireValid(configuration.validate)
    var handlers = PoolHandlers { slot, number, parts in
      let (resource, closers) = try await make(parts)
      let bound = closers.map { closer in
        BoundCloser(name: closer.name) { try await closer.close(resource) }
      }
      return PooledItem(
        slot: slot, number: number, resource: resource, closers: bound + parts.complete())
    }
    if let checkOnLend {
      handlers.checkOnLend = { try await checkOnLend($0.resource(as: Resource.self)) }
    }
    if let checkOnReturn {
      handlers.checkOnReturn = { try await checkOnReturn($0.resource(as: Resource.self)) }
    }
    if let rollback {
      handlers.rollback = { try await rollback($0.resource(as: Resource.self)) }
    }
    core = PoolCore(name: name, configuration: configuration, handlers: handlers)
  }

  deinit {
    core.stop(drainingFor: nil)
  }

  /// The name in errors, events and figures.
  public var name: String { core.name }

  /// The configuration it was made with.
  public var configuration: PoolConfiguration { core.configuration }
}

extension ResourcePool {
  /// Borrows a resource for the time of the body.
  ///
  /// The body's error is thrown unchanged, whatever happens to the resource afterwards. It counts as a failed use unless it means
  /// a cancellation; ``PoolConfiguration/discardAfter`` says whether the resource may be lent again. Work on the return
  /// (rollback, check) is done after this call, in a task of the pool.
  ///
  /// **Cancellation**: While it waits, the caller leaves the line with `CancellationError` and disturbs nobody. During the
  /// body it is the body's matter.
  ///
  /// - Parameters:
  ///   - timeout: The longest wait; ``PoolConfiguration/leaseTimeout`` unless given. Zero or negative: nobody waits.
  ///   - body: Uses the resource. Runs where the caller runs. The resource must not be used after it.
  /// - Returns: What the body returns.
  /// - Throws: As ``lease(timeout:)``, otherwise what the body throws.
  @inlinable
  public nonisolated(nonsending) func withResource<Result: ~Copyable>(
    timeout: Duration? = nil,
    _ body: nonisolated(nonsending) (Resource) async throws -> Result
  ) async throws -> Result {
    let item: PoolItem
    if !Task.isCancelled, let idle = core.lendAtOnce() {
      item = idle
    } else {
      item = try await core.lend(timeout: timeout)
    }
    do {
      let result = try await body(item.resource(as: Resource.self))
      core.takeBack(item, .succeeded)
      return result
    } catch {
      core.takeBack(item, after: error)
      throw error
    }
  }

  /// Borrows a resource until the loan is given back or dropped.
  ///
  /// An idle resource is lent at once. Otherwise the caller joins the line, and a resource is made if there may be more. The wait
  /// ends early when it can't succeed: when `Deadline.current` has passed, or when making a resource has just failed and none is
  /// lent that could come back.
  ///
  /// **Cancellation**: A cancelled task borrows nothing. One that is cancelled in the line leaves it, having taken nothing.
  ///
  /// - Parameter timeout: The longest wait; ``PoolConfiguration/leaseTimeout`` unless given. Zero or negative: nobody waits.
  /// - Returns: The loan.
  /// - Throws: ``PoolTimeoutError`` when the time is up, ``PoolCreationError`` when nothing could be made,
  ///   ``PoolUnavailableError`` when the pool was stopped or too many wait, `CancellationError` when the task is cancelled.
  @inlinable
  public nonisolated(nonsending) func lease(timeout: Duration? = nil) async throws -> Loan {
    if !Task.isCancelled, let item = core.lendAtOnce() { return Loan(core: core, item: item) }
    return Loan(core: core, item: try await core.lend(timeout: timeout))
  }

  /// Borrows an idle resource, if one can be had without any work.
  ///
  /// - Returns: The loan; `nil` when nothing is idle, somebody waits, or the resource must be checked first.
  @inlinable
  public func leaseIfIdle() -> Loan? {
    guard let item = core.lendAtOnce() else { return nil }
    return Loan(core: core, item: item)
  }
}

extension ResourcePool {
  /// Keeps the minimum of resources ready until the pool is stopped or the task cancelled.
  ///
  ///     try await withThrowingTaskGroup { group in
  ///       group.addTask { await pool.run() }
  ///       try await serve(using: pool)
  ///       await pool.stop()
  ///     }
  ///
  /// **Cancellation** stops the pool, which waits ``PoolConfiguration/drainTimeout`` for its loans; this call returns when
  /// everything is closed.
  public nonisolated(nonsending) func run() async {
    await withTaskCancellationHandler {
      core.keepWarm()
      await core.waitUntilStopped()
    } onCancel: {
      core.stop(drainingFor: core.configuration.drainTimeout)
    }
  }

  /// Ends the pool, for good.
  ///
  /// From this moment nothing is lent. Who waits gets ``PoolUnavailableError``; creations in progress are cancelled; idle resources
  /// are closed, lent ones when they come back. Those that have not come back in time are closed all the same, under
  /// their users' hands. May be called more than once; the earliest end counts.
  ///
  /// **Cancellation** ends the wait for loans, not the closing.
  ///
  /// Returns when everything is closed. User code that ignores cancellation holds this up.
  ///
  /// - Parameter drain: How long to wait for loans; ``PoolConfiguration/drainTimeout`` unless given, `Deadline.current` at most.
  ///   Zero or negative recalls them at once.
  public nonisolated(nonsending) func stop(drainingFor drain: Duration? = nil) async {
    let drain = drain ?? core.configuration.drainTimeout
    let left = Deadline.current.map { $0.remaining(at: core.clock.source.now) }
    core.stop(drainingFor: min(drain, left ?? drain))
    await withTaskCancellationHandler {
      await core.waitUntilStopped()
    } onCancel: {
      core.stop(drainingFor: .zero)
    }
  }
}
