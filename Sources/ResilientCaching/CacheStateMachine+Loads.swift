import ReliabilityCore

extension CacheStateMachine {
  /// A load that runs: for those who wait for it, or in the background.
  @usableFromInline struct Load: Sendable {
    let address: Address
    let startedAt: Int64
    let isRefresh: Bool
    /// Whether its result will be kept and whoever asks now may wait for it.
    var isCurrent = true
    /// Those who wait, by the number of their ticket.
    var waiters: [UInt64: Waiter] = [:]
    var task: Task<Void, Never>?
    /// The highest priority of those who joined before there was a task.
    var wanted: TaskPriority?
  }

  /// Who waits, and the load within which it does, if that is one of this cache.
  struct Waiter: Sendable {
    let waiter: CacheWaiter<Value>
    let within: UInt64?
  }

  /// What a request that may load gets.
  enum Answer: Sendable {
    case value(Value)
    /// A stale value, and the load to be started in the background, if one is.
    case stale(Value, refresh: UInt64?)
    case failure(any Error)
    /// The load to wait for, and whether it has to be started.
    case wait(UInt64, starts: Bool)
    case recursion
  }

  /// How a load ended.
  enum Outcome: Sendable {
    case value(Value, cost: Int)
    case failure(any Error, isNegative: Bool)
    case cancelled(any Error)
  }

  /// Asks for a value, for whom a load is started or joined when there is none.
  ///
  /// - Parameters:
  ///   - address: The key.
  ///   - waiter: Who will wait if need be, under its ticket.
  ///   - number: The number of the load that is started if need be: never used before.
  ///   - within: The loads within which is asked, innermost first.
  mutating func ask(
    _ address: Address, waiter: CacheWaiter<Value>, number: UInt64, within: [UInt64],
    _ moment: CacheMoment, _ after: inout Aftermath
  ) -> Answer {
    if let value = hit(address, moment) { return .value(value) }
    let now = arrive(moment, &after)
    let slot = lookUp(address, now, &after)
    if slot >= 0, case .negative(let error) = table.notes[Int32(slot)] {
      counts.negativeHits += 1
      table.touch(slot)
      return .failure(error)
    }
    let running = runningLoad(address, now, &after)
    if slot >= 0, let value = table.value(slot), let retryAt = staleUntilRetry(slot, now) {
      counts.staleHits += 1
      table.touch(slot)
      guard running == nil, now >= retryAt, hasRoom(now, &after) else {
        return .stale(value, refresh: nil)
      }
      begin(address, number, now, isRefresh: true)
      return .stale(value, refresh: number)
    }
    counts.misses += 1
    let asker = within.first { loads[$0] != nil }
    let entry = Waiter(waiter: waiter, within: asker)
    guard let running else {
      begin(address, number, now, isRefresh: false)
      loads[number]!.waiters[waiter.ticket] = entry
      return .wait(number, starts: true)
    }
    if let asker, waits(for: asker, running) { return .recursion }
    counts.sharedLoads += 1
    loads[running]!.waiters[waiter.ticket] = entry
    return .wait(running, starts: false)
  }

  /// Attaches the task of a load that was started.
  ///
  /// - Returns: Whether the load is still wanted; otherwise the caller cancels the task. And the priority to raise it to, if
  ///   somebody joined meanwhile.
  mutating func attach(
    _ task: Task<Void, Never>, to number: UInt64
  ) -> (isWanted: Bool, priority: TaskPriority?) {
    guard let load = loads[number] else { return (false, nil) }
    loads[number]!.task = task
    return (true, load.wanted)
  }

  /// Somebody of this priority has joined.
  ///
  /// - Returns: The task that the caller raises to it; without one it is remembered for ``attach(_:to:)``.
  mutating func hurry(_ number: UInt64, to priority: TaskPriority) -> Task<Void, Never>? {
    guard let load = loads[number] else { return nil }
    if let task = load.task { return task }
    loads[number]!.wanted = max(load.wanted ?? priority, priority)
    return nil
  }

  /// One who waited has left; the last one ends the load.
  mutating func leave(_ number: UInt64, ticket: UInt64, _ after: inout Aftermath) {
    guard loads[number]?.waiters.removeValue(forKey: ticket) != nil else { return }
    let load = loads[number]!
    // A refresh is wanted also when nobody waits, as long as its value will be kept.
    if load.waiters.isEmpty && !(load.isRefresh && load.isCurrent) { abandon(number, &after) }
  }

  /// A load has ended: its value is kept, or what its error says is remembered.
  ///
  /// - Returns: Those who waited, and what they get; nobody when the load was given up before.
  mutating func finish(
    _ number: UInt64, _ outcome: Outcome, _ moment: CacheMoment, _ after: inout Aftermath
  ) -> (waiters: [CacheWaiter<Value>], result: Result<Value, any Error>)? {
    let now = arrive(moment, &after)
    guard let load = loads[number] else { return nil }
    forget(number)
    after.ended.append(load)
    let result: Result<Value, any Error>
    switch outcome {
    case .value(let value, let cost):
      keep(load, value, cost: cost, now, &after)
      result = .success(value)
    case .cancelled(let error):
      counts.loadCancellations += 1
      // Not counted as a failure; but without a pause every request would start the next refresh.
      let slot = load.isRefresh ? staleSlot(of: load, now, &after) : nil
      let delay = slot.map { setBack($0, now) }
      note(.loadCancelled, load.address, error: error, retryAfter: delay, &after)
      result = .failure(error)
    case .failure(let error, isNegative: true):
      remember(load, error, now, &after)
      result = .failure(error)
    case .failure(let error, isNegative: false):
      counts.loadFailures += 1
      result = failed(load, error, now, &after)
    }
    return (load.waiters.values.map(\.waiter), result)
  }
}

extension CacheStateMachine {
  /// From when on a stale value may be renewed, if it may be given out meanwhile; `nil` when a load must be waited for.
  private func staleUntilRetry(_ slot: Int, _ now: Int64) -> Int64? {
    let overdue = now - table.nodes[slot].freshUntil
    var retryAt = Int64.min
    if case .setback(_, let time) = table.notes[Int32(slot)] { retryAt = time }
    let isUsable =
      overdue < rules.staleWhileRevalidate || overdue < rules.staleIfError && now < retryAt
    return isUsable ? retryAt : nil
  }

  private mutating func begin(_ address: Address, _ number: UInt64, _ now: Int64, isRefresh: Bool) {
    counts.loads += 1
    if isRefresh {
      refreshes += 1
      nextSweep = min(nextSweep, now + rules.loadLease)
    }
    loads[number] = Load(address: address, startedAt: now, isRefresh: isRefresh)
    current[address.hash, default: []].append(number)
  }

  /// Whether one more refresh may run; those that have taken too long give their places back.
  private mutating func hasRoom(_ now: Int64, _ after: inout Aftermath) -> Bool {
    if refreshes < rules.maximumRefreshes { return true }
    guard now >= nextSweep else { return false }
    nextSweep = .max
    for load in loads.values where load.isRefresh && load.isCurrent {
      if now - load.startedAt >= rules.loadLease {
        detach(load.address, &after)
      } else {
        nextSweep = min(nextSweep, load.startedAt + rules.loadLease)
      }
    }
    return refreshes < rules.maximumRefreshes
  }

  /// The load of a key that may be waited for; one that has taken too long may not.
  private mutating func runningLoad(
    _ address: Address, _ now: Int64, _ after: inout Aftermath
  ) -> UInt64? {
    guard let number = currentLoad(address) else { return nil }
    if now - loads[number]!.startedAt < rules.loadLease { return number }
    detach(address, &after)
    return nil
  }

  private func currentLoad(_ address: Address) -> UInt64? {
    current[address.hash]?.first {
      let other = loads[$0]!.address
      return other.key == address.key && other.space.isSame(as: address.space)
    }
  }

  /// Takes the load of a key out of the way: its result will not be kept, and nobody joins it any more.
  ///
  /// Those who wait for it go on; when there are none, it is given up.
  @inlinable
  mutating func detach(_ address: Address, _ after: inout Aftermath) {
    if !current.isEmpty { detachCurrent(address, &after) }
  }

  @inline(never) @usableFromInline
  mutating func detachCurrent(_ address: Address, _ after: inout Aftermath) {
    guard let number = currentLoad(address) else { return }
    release(number)
    if loads[number]!.waiters.isEmpty { abandon(number, &after) }
  }

  /// Gives up a load for which nobody waits.
  private mutating func abandon(_ number: UInt64, _ after: inout Aftermath) {
    let load = loads[number]!
    forget(number)
    counts.loadCancellations += 1
    note(.loadCancelled, load.address, &after)
    after.abandoned.append(load)
  }

  private mutating func forget(_ number: UInt64) {
    release(number)
    loads[number] = nil
  }

  private mutating func release(_ number: UInt64) {
    guard let load = loads[number], load.isCurrent else { return }
    loads[number]!.isCurrent = false
    if load.isRefresh { refreshes -= 1 }
    let hash = load.address.hash
    current[hash]!.removeAll { $0 == number }
    if current[hash]!.isEmpty { current[hash] = nil }
  }

  /// Whether somebody waits for `first` within a load for which somebody waits, and so on, within `last`.
  ///
  /// If `first` waited for `last` then, that would be a circle.
  private func waits(for first: UInt64, _ last: UInt64) -> Bool {
    var seen: Set<UInt64> = []
    var open = [first]
    while let next = open.popLast() {
      if next == last { return true }
      guard seen.insert(next).inserted, let load = loads[next] else { continue }
      open.append(contentsOf: load.waiters.values.compactMap(\.within))
    }
    return false
  }

  private mutating func keep(
    _ load: Load, _ value: Value, cost: Int, _ now: Int64, _ after: inout Aftermath
  ) {
    guard load.isCurrent else {
      if cost > rules.maximumCost { return refuse(load.address, &after) }
      counts.outdated += 1
      return note(.outdated, load.address, &after)
    }
    // What was there is out of date also when the new value is too large.
    _ = discard(load.address, &after)
    let freshUntil = now + rules.shortened(rules.life, using: &generator)
    if store(load.address, value, cost: cost, freshUntil: freshUntil, now: now, &after) {
      note(.loaded, load.address, &after)
    }
  }

  private mutating func remember(
    _ load: Load, _ error: any Error, _ now: Int64, _ after: inout Aftermath
  ) {
    note(.loadFailed, load.address, error: error, &after)
    guard load.isCurrent else { return }
    _ = discard(load.address, &after)
    guard rules.negativeLife > 0 else { return }
    let freshUntil = now + rules.shortened(rules.negativeLife, using: &generator)
    // It costs nothing, so it is always kept.
    _ = store(load.address, nil, cost: 0, freshUntil: freshUntil, now: now, &after)
    table.notes[Int32(table.find(load.address))] = .negative(error)
  }

  /// What those get who waited for a load that failed: the stale value that it was to replace, or its error.
  private mutating func failed(
    _ load: Load, _ error: any Error, _ now: Int64, _ after: inout Aftermath
  ) -> Result<Value, any Error> {
    guard let slot = staleSlot(of: load, now, &after), let value = table.value(slot) else {
      note(.loadFailed, load.address, error: error, &after)
      return .failure(error)
    }
    let delay = setBack(slot, now)
    let isUsable = now - table.nodes[slot].freshUntil < rules.staleIfError
    let kind: Event.Kind =
      load.waiters.isEmpty ? .refreshFailed : isUsable ? .fellBack : .loadFailed
    note(kind, load.address, error: error, retryAfter: delay, &after)
    if !isUsable { return .failure(error) }
    counts.fallbacks += load.waiters.count
    return .success(value)
  }

  /// The slot of the stale value that a load was to replace, unless that is out of date or over.
  private mutating func staleSlot(
    of load: Load, _ now: Int64, _ after: inout Aftermath
  ) -> Int? {
    guard load.isCurrent else { return nil }
    let slot = lookUp(load.address, now, &after)
    guard slot >= 0, table.value(slot) != nil, now >= table.nodes[slot].freshUntil else {
      return nil
    }
    return slot
  }

  /// Puts off the next load for a stale value.
  ///
  /// - Returns: For how long.
  private mutating func setBack(_ slot: Int, _ now: Int64) -> Int64 {
    var failures = 1
    if case .setback(let before, _) = table.notes[Int32(slot)] { failures = before &+ 1 }
    let delay = CacheRules.nanoseconds(
      rules.refreshBackoff.delay(afterAttempt: failures, using: &generator))
    table.notes[Int32(slot)] = .setback(failures: failures, retryAt: now + delay)
    return delay
  }
}
