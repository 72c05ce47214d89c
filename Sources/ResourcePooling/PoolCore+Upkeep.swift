internal import ReliabilityCore

// The user's code runs in tasks of the pool: neither the cancellation nor the deadline of the caller who happened to cause it
// may end work on a resource that is for all.
extension PoolCore {
  func inTask(_ body: @escaping @Sendable () async -> Void) {
    Task { await Deadline.$scope.withValue(nil) { await body() } }
  }

  func create(slot: Int, number: Int, _ operation: PoolOperation) async {
    let parts = ResourceParts()
    do {
      let item = try await bounded(operation, configuration.creationTimeout, .creation) {
        try await self.handlers.create(slot, number, parts)
      }
      tell(.created, number)
      finishCreation(slot, .success(item))
    } catch {
      _ = await run(parts.complete(), number)
      if !operation.wasStopped { tell(.creationFailed, number, error: error) }
      finishCreation(slot, .failure(error))
    }
  }

  func check(_ item: PoolItem) async {
    finishCheck(item, isHealthy: await passes(item, handlers.checkOnLend))
  }

  /// Rolls back, and then checks: a rollback may be what breaks a resource.
  func cleanUp(_ item: PoolItem, checks: Bool) async {
    if let rollback = handlers.rollback {
      do {
        try await bounded(upkeep(of: item), configuration.upkeepTimeout, .upkeep) {
          try await rollback(item)
        }
      } catch {
        tell(.rollbackFailed, item.number, error: error)
        return finishCleanUp(item, .rollbackFailed)
      }
    }
    let isHealthy = checks ? await passes(item, handlers.checkOnReturn) : true
    finishCleanUp(item, isHealthy ? nil : .unhealthy)
  }

  func close(_ item: PoolItem, _ reason: PoolEvent.Eviction) async {
    tell(.evicted, item.number, eviction: reason)
    let errors = await run(item.closers, item.number)
    tell(.closed, item.number)
    finishClosing(item, errors: errors)
  }

  func tell(
    _ kind: PoolEvent.Kind, _ number: Int = 0, eviction: PoolEvent.Eviction? = nil,
    error: (any Error)? = nil, closer: String? = nil
  ) {
    configuration.observer?(
      PoolEvent(
        pool: name, kind: kind, resource: number, eviction: eviction, error: error,
        closer: closer))
  }

  private func upkeep(of item: PoolItem) -> PoolOperation {
    PoolOperation(
      PoolDoubt(self, slot: item.slot, number: item.number, limit: configuration.upkeepTimeout))
  }

  private func passes(
    _ item: PoolItem, _ check: (@Sendable (PoolItem) async throws -> Bool)?
  ) async -> Bool {
    guard let check else { return true }
    do {
      let isHealthy = try await bounded(upkeep(of: item), configuration.upkeepTimeout, .upkeep) {
        try await check(item)
      }
      if !isHealthy { tell(.unhealthy, item.number) }
      return isHealthy
    } catch {
      tell(.unhealthy, item.number, error: error)
      return false
    }
  }

  /// Runs closers in their order, each to its end.
  ///
  /// - Returns: How many threw.
  private func run(_ closers: [BoundCloser], _ number: Int) async -> Int {
    var errors = 0
    for closer in closers {
      do {
        // A task each: one that was cancelled must not cancel the next.
        try await bounded(PoolOperation(), configuration.upkeepTimeout, .upkeep) {
          try await closer.close()
        }
      } catch {
        errors += 1
        tell(.closerFailed, number, error: error, closer: closer.name)
      }
    }
    return errors
  }

  /// Runs the user's code in a task of its own, which is cancelled when its time is up, and waits for its end.
  private func bounded<Value: Sendable>(
    _ operation: PoolOperation, _ limit: Duration, _ code: PoolTimeoutError.Code,
    _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let start = clock.source.now
    clock.source.schedule(operation, at: start.saturatingAdvanced(by: limit))
    let task = Task { try await body() }
    operation.begin { task.cancel() }
    defer {
      clock.source.cancel(operation)
      operation.end()
    }
    do {
      return try await task.value
    } catch {
      guard operation.overran else { throw error }
      throw PoolTimeoutError(
        pool: name, code: code, waited: start.duration(to: clock.source.now),
        lent: inspect { $0.machine.tally.lent }, maximum: configuration.maximum,
        cause: error is CancellationError ? nil : error)
    }
  }
}
