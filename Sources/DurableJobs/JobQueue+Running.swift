internal import ReliabilityCore

extension JobQueue {
  /// Works until ``stop(grace:)`` is called, or the task is cancelled.
  ///
  /// A cancelled task stops the queue as ``stop(grace:)`` does, with the grace of its configuration. A queue that runs already
  /// traps; one that was stopped can run again.
  public nonisolated(nonsending) func run() async {
    let waiter = JobWaiter()
    let generation = begin(until: waiter)
    await waiter.wait()
    // It may have been stopped and begun anew by others meanwhile.
    let isMine = shell.withLock { $0.mode != .idle && $0.generation == generation }
    if isMine { await stop(grace: configuration.shutdownGrace) }
  }

  /// Begins to work.
  ///
  /// - Returns: How often it has begun.
  @discardableResult
  func begin(until waiter: JobWaiter?) -> Int {
    let now = clock.now
    let generation = shell.withLock { shell in
      precondition(shell.mode == .idle, "the queue runs already")
      shell.mode = .running
      shell.generation += 1
      shell.isCutOff = false
      shell.startedAt = now
      shell.nextHeartbeat = now
      shell.nextCleanup = now.adding(configuration.cleanupInterval.nanoseconds)
      if let waiter { shell.stopped.append(waiter) }
      return shell.generation
    }
    Task.detached { await self.tick() }
    return generation
  }

  /// Stops to work: starts nothing more, lets the jobs that run go on for a while, then gives them back.
  ///
  /// A job that is given back burns no attempt, and runs again when a queue works on the store. A body that ignores this as
  /// well is waited for as long as the configuration's patience, then abandoned. Cancelling the caller changes nothing.
  ///
  /// - Parameter grace: How long the jobs may go on.
  public nonisolated(nonsending) func stop(grace: Duration) async {
    await Task.detached { await self.stopNow(grace) }.value
  }

  private func stopNow(_ grace: Duration) async {
    let running = shell.withLock { shell -> Int? in
      if shell.mode == .running { shell.mode = .stopping }
      return shell.mode == .stopping ? shell.generation : nil
    }
    guard let generation = running else { return }
    let end = configuration.clock.now.saturatingAdvanced(by: grace)
    await wait(until: end) { $0.isQuiet }
    let runs = shell.withLock { shell -> [JobRun]? in
      guard shell.mode == .stopping, shell.generation == generation else { return nil }
      shell.isCutOff = true
      return Array(shell.runs.values)
    }
    // Another one has stopped it, and it may run again.
    guard let runs else { return }
    for run in runs { self.end(run, because: .shutdown) }
    await wait(until: nil) { $0.isQuiet }
    let (waiters, tick) = shell.withLock { shell -> ([JobWaiter], TickAlarm?) in
      guard shell.mode == .stopping, shell.generation == generation else { return ([], nil) }
      shell.mode = .idle
      shell.startedAt = nil
      defer {
        shell.stopped = []
        shell.tick = nil
      }
      return (shell.stopped, shell.tick?.alarm)
    }
    if let tick { configuration.clock.cancel(tick) }
    for waiter in waiters { waiter.resume() }
    noteChange()
  }

  /// Starts nothing more until ``resume()``; what runs goes on.
  ///
  /// A job that a worker has claimed just now goes back to the store, and burns no attempt.
  public func pause() { shell.withLock { $0.isPaused = true } }

  /// Goes on after ``pause()``.
  public func resume() {
    shell.withLock { $0.isPaused = false }
    signal()
  }

  /// Whether ``pause()`` was called, and ``resume()`` was not.
  public var isPaused: Bool { shell.withLock { $0.isPaused } }

  /// Waits until no job of a kind this queue knows is ready, running or waiting for a retry.
  ///
  /// Jobs that wait for their time stay where they are. New ones may be put in meanwhile, and are waited for.
  ///
  /// - Throws: What the store throws; `CancellationError`.
  public nonisolated(nonsending) func drain() async throws {
    try await drain(evenWhenStopped: true)
  }

  /// - Parameter evenWhenStopped: Whether to wait for another run when this one is stopped.
  nonisolated(nonsending) func drain(evenWhenStopped: Bool) async throws {
    while true {
      let waiter = JobWaiter()
      let isStopped = shell.withLock { shell in
        shell.changeWaiters.append(waiter)
        return shell.mode == .idle
      }
      defer { shell.withLock { shell in shell.changeWaiters.removeAll { $0 === waiter } } }
      if isStopped && !evenWhenStopped { return }
      let figures = try await store.figures()
      if handlers.allSatisfy({ figures.active[$0.kind, default: 0] == 0 }) { return }
      await waiter.wait()
      try Task.checkCancellation()
    }
  }

  /// Waits until something is true of the shell, or an instant has come; not to be cancelled.
  private func wait(
    until end: ContinuousClock.Instant?, _ condition: @Sendable (borrowing Shell) -> Bool
  ) async {
    while true {
      if let end, configuration.clock.now >= end { return }
      let waiter = JobWaiter()
      let isDone = shell.withLock { shell in
        if condition(shell) { return true }
        shell.changeWaiters.append(waiter)
        return false
      }
      if isDone { return }
      let alarm = end.map { end in
        let alarm = WaiterAlarm(waiter)
        configuration.clock.schedule(alarm, at: end)
        return alarm
      }
      await waiter.wait()
      if let alarm { configuration.clock.cancel(alarm) }
      shell.withLock { shell in shell.changeWaiters.removeAll { $0 === waiter } }
    }
  }

  /// Something about the workers changed: wakes those who wait for that.
  func noteChange() {
    let waiters = shell.withLock { shell -> [JobWaiter] in
      if shell.changeWaiters.isEmpty { return [] }
      defer { shell.changeWaiters = [] }
      return shell.changeWaiters
    }
    for waiter in waiters { waiter.resume() }
  }
}

private final class WaiterAlarm: Alarm, @unchecked Sendable {
  private let waiter: JobWaiter
  init(_ waiter: JobWaiter) { self.waiter = waiter }
  override func fire() { waiter.resume() }
}

/// Runs a queue while a body puts jobs in, and until they are done.
///
///     try await withJobQueue(queue) { queue in
///       try await queue.enqueue(contentsOf: videos.map(Transcode.init))
///     }
///
/// When the body returns, what is ready, running or waiting for a retry is done first. When it throws, or its task is
/// cancelled, the queue is stopped with the grace of its configuration. When somebody else stops the queue meanwhile, what is
/// left stays in the store.
///
/// - Parameters:
///   - queue: The queue, which must not be running.
///   - body: What to do while it runs.
/// - Returns: What the body returns.
/// - Throws: What the body throws; what the store throws; `CancellationError`.
public nonisolated(nonsending) func withJobQueue<Result>(
  _ queue: JobQueue, _ body: nonisolated(nonsending) (JobQueue) async throws -> Result
) async throws -> Result {
  queue.begin(until: nil)
  do {
    let result = try await body(queue)
    try await queue.drain(evenWhenStopped: false)
    await queue.stop(grace: queue.configuration.shutdownGrace)
    return result
  } catch {
    await queue.stop(grace: queue.configuration.shutdownGrace)
    throw error
  }
}

// MARK: What is done from time to time

extension JobQueue {
  /// Has the queue look after itself in a while, unless it does so earlier anyway.
  func wake(in wait: Duration) {
    let due = clock.now.adding(max(1_000_000, wait.nanoseconds))
    let alarm = TickAlarm(self)
    let (isEarlier, former) = shell.withLock { shell -> (Bool, TickAlarm?) in
      if shell.mode == .idle { return (false, nil) }
      if let tick = shell.tick, tick.due <= due { return (false, nil) }
      defer { shell.tick = (alarm, due) }
      return (true, shell.tick?.alarm)
    }
    guard isEarlier else { return }
    if let former { configuration.clock.cancel(former) }
    configuration.clock.schedule(
      alarm, at: ContinuousClock.Instant(sinceOrigin: .nanoseconds(due)))
  }

  /// An alarm has gone off.
  func tickIsDue(_ alarm: TickAlarm) {
    let isCurrent = shell.withLock { shell -> Bool in
      guard shell.tick?.alarm === alarm else { return false }
      shell.tick = nil
      return shell.mode != .idle
    }
    if isCurrent { Task.detached { await self.tick() } }
  }

  /// Renews leases, takes back those that ran out, cleans away, and has the workers look for work.
  private func tick() async {
    let now = clock.now
    let third = max(1, configuration.lease.nanoseconds / 3)
    let (leases, beats, cleans) = shell.withLock { shell -> ([JobLease], Bool, Bool) in
      let beats = now >= shell.nextHeartbeat
      let cleans = now >= shell.nextCleanup
      if beats { shell.nextHeartbeat = now.adding(third) }
      if cleans { shell.nextCleanup = now.adding(configuration.cleanupInterval.nanoseconds) }
      let held = beats ? Set(shell.runs.values.map(\.item.lease)) : []
      return (
        Array(held.union(beats ? shell.settlingLeases.values.map(\.self) : [])), beats, cleans
      )
    }
    do {
      if !leases.isEmpty {
        let lost = try await store.renew(leases, for: configuration.lease)
        let runs = shell.withLock { shell in lost.compactMap { shell.runs[$0.token] } }
        for run in runs { end(run, because: .lost) }
      }
      let recovered = try await store.recover()
      if !recovered.isEmpty {
        shell.withLock { $0.counts.expired += recovered.count }
        for id in recovered { tell(JobEvent(.leaseExpired, id: id)) }
      }
      if beats { try await lookAround() }
      if cleans { _ = try await store.trim() }
    } catch {
      tell(JobEvent(.storeFailed(error: error)))
    }
    signal()
    let next = shell.withLock { min($0.nextHeartbeat, $0.nextCleanup) }
    wake(in: .nanoseconds(max(0, next.subtracting(clock.now))))
  }

  /// Reports kinds that nobody knows, and sees to those who wait for jobs that others ended.
  private func lookAround() async throws {
    let figures = try await store.figures()
    let unknown = figures.active.filter { kindIndices[$0.key] == nil }
    let (new, waited) = shell.withLock { shell -> ([String: Int], [JobID]) in
      let new = unknown.filter { !shell.reportedKinds.contains($0.key) }
      shell.reportedKinds = Set(unknown.keys)
      // Those of the turn before have met their run by now, or never will.
      shell.cancelledEarly.subtract(shell.cancelledLongAgo)
      shell.cancelledLongAgo = shell.cancelledEarly
      return (new, Array(shell.endWaiters.keys))
    }
    for (kind, count) in new { tell(JobEvent(.unknownKind(count: count), jobKind: kind)) }
    for id in waited {
      let job = try await store.job(id)
      if job?.state.isEnd != false { hasEnded(id) }
    }
    noteChange()
  }
}

extension JobQueue.Shell {
  /// Whether no body runs but those that are waited for no longer, and nothing is to be stored.
  var isQuiet: Bool { workers == heldSlots && unsettled == 0 }
}
