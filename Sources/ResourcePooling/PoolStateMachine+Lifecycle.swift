internal import ReliabilityCore

// Making, closing, time, and the end.
extension PoolStateMachine {
  /// A resource was made.
  mutating func created(_ slot: Int, now: Int64) -> [Action] {
    counts.created += 1
    failures = 0
    // Downward from the limits, which are thus kept.
    let share = rules.jitter > 0 ? Double.random(in: 0...rules.jitter, using: &generator) : 0
    slots[slot].idleLimit = Self.shortened(rules.idleLimit, by: share)
    slots[slot].expiresAt = now.saturatingAdd(Self.shortened(rules.maximumAge, by: share))
    if let reason = reasonToClose(slot, now) {
      close(slot, reason)
    } else {
      makeAvailable(slot, mustCheck: false, now: now)
    }
    return settle(now)
  }

  /// A resource could not be made, and nothing is left of the attempt.
  mutating func creationFailed(_ slot: Int, now: Int64) -> [Action] {
    vacate(slot)
    if phase == .running {
      counts.creationErrors += 1
      // Attempts made at the same time fail together, which is one failure; one begun before a success is the first again.
      if slots[slot].failuresBefore >= failures { failures += 1 }
      let delay = rules.backoff.delay(afterAttempt: failures, using: &generator)
      retryAt = now.saturatingAdd(delay.nanoseconds)
      // Told now, also where there is no backoff: they would wait for one failure after the other.
      if tally.live == tally.doubtful {
        while let waiter = line.removeFirst() { refuse(waiter, .creationFails(until: retryAt)) }
      }
    }
    return settle(now)
  }

  /// The code that makes, checks or cleans up a resource goes on although its time is up.
  ///
  /// - Parameter number: Of the resource; a late message about another one changes nothing.
  mutating func overran(_ slot: Int, number: Int, now: Int64) -> [Action] {
    guard slots[slot].number == number else { return [] }
    doubt(slot)
    return settle(now)
  }

  /// A resource is closed.
  ///
  /// - Parameter errors: How many of its closers failed.
  mutating func closed(_ slot: Int, errors: Int, now: Int64) -> [Action] {
    counts.closed += 1
    counts.closerErrors += errors
    vacate(slot)
    return settle(now)
  }

  /// Time has passed.
  mutating func tick(now: Int64) -> [Action] {
    alarmAt = .max
    if phase == .running { endStale(now) }
    if phase == .stopping, now >= recallAt { recall() }
    return settle(now)
  }

  /// From now on the minimum is kept.
  mutating func keepWarm(now: Int64) -> [Action] {
    keepsWarm = true
    return settle(now)
  }

  /// Ends the pool.
  ///
  /// - Parameter recallAt: When resources that are still lent are closed all the same.
  mutating func stop(recallAt: Int64, now: Int64) -> [Action] {
    guard phase != .stopped else { return [] }
    phase = .stopping
    self.recallAt = min(self.recallAt, recallAt)
    while let waiter = line.removeFirst() { refuse(waiter, .stopped) }
    for slot in idle { close(slot, .stopped) }
    idle = []
    for slot in slots.indices where slots[slot].state == .creating {
      pending.append(.cancelCreation(slot: slot))
    }
    if now >= self.recallAt { recall() }
    return settle(now)
  }

  /// The most errors that a living resource had.
  var mostErrors: Int {
    slots.reduce(0) { $1.state == .free ? $0 : max($0, $1.errors) }
  }
}
