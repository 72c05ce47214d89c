internal import ReliabilityCore

/// Decides everything about a pool, and does nothing: events come in with the time, actions go out.
///
/// A slot is a place for one resource:
///
/// | state | event | next state |
/// |---|---|---|
/// | free | someone waits, or too few are warm | creating |
/// | creating | created, failed | idle or lent, free |
/// | idle | lent, checked before that, too old | lent, checking, closing |
/// | checking | healthy, unhealthy | idle or lent, closing |
/// | lent | given back, work to do, discarded | idle or lent, returning, closing |
/// | lent | recalled while stopping | closing; the loan's end then means nothing |
/// | returning | clean, dirty | idle or lent (or checking), closing |
/// | closing | closed | free |
///
/// "Idle or lent": to the first in line, or else to the idle ones. A slot stays occupied until the user's code for it has
/// really ended, so that there are never more than the maximum. One whose code goes on although its time is up is doubtful, as is
/// one that is closed after its clean-up: nobody counts on it.
struct PoolStateMachine<Waiter: Sendable>: Sendable {
  typealias Line = WaiterLine<Waiter>

  enum Phase: Sendable { case running, stopping, stopped }

  /// What is known of one slot.
  struct Slot: Sendable {
    var state = SlotState.free
    /// Of the resource: a late loan with another number changes nothing.
    var number = 0
    var uses = 0
    var errors = 0
    var errorsInRow = 0
    var idleSince: Int64 = 0
    var idleLimit = Int64.max
    var expiresAt = Int64.max
    /// Why it is to be closed after the work on its return.
    var fate: PoolEvent.Eviction?
    /// Whether nobody counts on it until its state changes.
    var isDoubtful = false
    /// How many creations had failed in a row when this one began.
    var failuresBefore = 0

    var idleDeadline: Int64 { idleSince.saturatingAdd(idleLimit) }

    // In one access each, as every access of an array's element has its price.

    /// - Returns: Whether it had been lent before.
    mutating func lend() -> Bool {
      state = .lent
      uses &+= 1
      return uses > 1
    }

    /// Becomes idle after a loan, unless that takes work or an earlier alarm.
    mutating func rest(_ number: Int, now: Int64, alarmAt: Int64, endsIdle: Bool) -> Bool {
      guard self.number == number, state == .lent, now < expiresAt, alarmAt <= expiresAt,
        !endsIdle || alarmAt <= now.saturatingAdd(idleLimit)
      else { return false }
      state = .idle
      errorsInRow = 0
      idleSince = now
      return true
    }
  }

  /// What the shell must do, in this order.
  enum Action: Sendable {
    case serve(Waiter, slot: Int)
    case refuse(Waiter, Refusal)
    case create(slot: Int, number: Int)
    case cancelCreation(slot: Int)
    case check(slot: Int)
    /// Roll back, and check unless it is to be closed anyway.
    case cleanUp(slot: Int, checks: Bool)
    case close(slot: Int, PoolEvent.Eviction)
    case setAlarm(at: Int64)
    /// Everything is closed; nothing follows.
    case finish
  }

  enum Refusal: Equatable, Sendable {
    case stopped
    case noTimeLeft
    case queueFull
    /// Resources can't be made, and are not tried to be made before that time.
    case creationFails(until: Int64)
  }

  enum Lending: Sendable {
    case lent(slot: Int)
    case waiting(Line.Ticket)
    case refused(Refusal)
  }

  let rules: PoolRules
  var phase = Phase.running
  var slots: [Slot] = []
  var tally = PoolTally()
  var line = Line()
  var counts = PoolCounts()
  /// In the order in which they became idle; the last one is lent first.
  var idle: [Int] = []
  /// How many creations failed in a row.
  var failures = 0
  var retryAt = Int64.min
  var freeSlots: [Int] = []
  var nextNumber = 1
  var keepsWarm = false
  var recallAt = Int64.max
  /// Never later than anything that time must bring about.
  var alarmAt = Int64.max
  /// Whether there are more than the minimum, so that being idle for long ends a resource.
  var endsIdle = false
  var pending: [Action] = []
  var generator: any RandomNumberGenerator & Sendable

  init(_ rules: PoolRules, generator: any RandomNumberGenerator & Sendable) {
    self.rules = rules
    self.generator = generator
  }
}

// Lending and taking back: the two ways without any work, and the others.
extension PoolStateMachine {
  /// Lends an idle resource if that needs no work and nobody waits.
  mutating func lendAtOnce(now: Int64) -> Int? {
    guard line.isEmpty, let slot = idle.last else { return nil }
    if rules.checksOnLend {
      guard rules.checkAfterIdle > 0,
        now.subtractingReportingOverflow(slots[slot].idleSince).partialValue < rules.checkAfterIdle
      else { return nil }
    }
    idle.removeLast()
    hand(slot)
    return slot
  }

  /// Takes a resource back if it becomes idle without any work and no alarm must be moved for it.
  mutating func takeBackAtOnce(_ slot: Int, number: Int, now: Int64) -> Bool {
    guard line.isEmpty, phase == .running, !rules.worksOnReturn,
      slots[slot].rest(number, now: now, alarmAt: alarmAt, endsIdle: endsIdle)
    else { return false }
    tally.lent -= 1
    tally.idle += 1
    idle.append(slot)
    return true
  }

  /// Lends, or puts the waiter into the line.
  ///
  /// - Parameter deadline: Until when it may wait.
  mutating func lend(
    _ waiter: Waiter, deadline: Int64, now: Int64
  ) -> (Lending, [Action]) {
    guard phase == .running else {
      counts.refusals += 1
      return (.refused(.stopped), [])
    }
    if let slot = lendAtOnce(now: now) { return (.lent(slot: slot), []) }
    if deadline <= now || isLineFull(now) {
      counts.refusals += 1
      return (.refused(deadline <= now ? .noTimeLeft : .queueFull), [])
    }
    let ticket = line.append(waiter)
    return (.waiting(ticket), settle(now))
  }

  /// Whether as many wait as may, not counting those for whom a resource is there, on its way or yet to be made.
  private func isLineFull(_ now: Int64) -> Bool {
    // The attempt after a backoff needs somebody who waits for it.
    let room = failures == 0 ? rules.maximum - tally.occupied : mayCreate(now) ? 1 : 0
    return line.count - (tally.incoming + idle.count + room) >= rules.maximumWaiters
  }

  /// A waiter does not wait any longer.
  ///
  /// - Returns: The waiter, or `nil` when it was served or refused before.
  mutating func leave(_ ticket: Line.Ticket, timedOut: Bool) -> Waiter? {
    let waiter = line.remove(ticket)
    if waiter != nil {
      if timedOut { counts.timeouts += 1 } else { counts.cancelledWaits += 1 }
    }
    return waiter
  }

  /// A loan has ended.
  mutating func takeBack(_ slot: Int, number: Int, _ use: PoolUse, now: Int64) -> [Action] {
    // Recalled: it is closed, and its slot may be another resource's.
    guard slots[slot].number == number, slots[slot].state == .lent else { return [] }
    switch use {
    case .succeeded: slots[slot].errorsInRow = 0
    case .failed, .discardedAfterError:
      counts.useErrors += 1
      slots[slot].errors += 1
      slots[slot].errorsInRow += 1
    case .unknown, .discarded: break
    }
    let isDiscarded =
      switch use {
      case .discarded, .discardedAfterError: true
      case .succeeded, .failed, .unknown: false
      }
    let fate: PoolEvent.Eviction? =
      if isDiscarded { .discarded } else if slots[slot].errorsInRow >= rules.maximumErrors {
        .errors
      } else { reasonToClose(slot, now) }
    let checks = fate == nil && rules.checksOnReturn
    if rules.rollsBack || checks {
      slots[slot].fate = fate
      move(slot, to: .returning)
      if fate != nil { doubt(slot) }
      pending.append(.cleanUp(slot: slot, checks: checks))
    } else if let fate {
      close(slot, fate)
    } else {
      makeAvailable(slot, mustCheck: true, now: now)
    }
    return settle(now)
  }

  /// The work on a resource's return is done.
  ///
  /// - Parameter verdict: Why it can't be lent again, or `nil`.
  mutating func cleanedUp(
    _ slot: Int, _ verdict: PoolEvent.Eviction?, now: Int64
  ) -> [Action] {
    count(verdict)
    let fate = slots[slot].fate.take()
    if let reason = fate ?? verdict ?? reasonToClose(slot, now) {
      close(slot, reason)
    } else {
      makeAvailable(slot, mustCheck: true, now: now)
    }
    return settle(now)
  }

  /// The check before lending is done.
  mutating func checked(_ slot: Int, isHealthy: Bool, now: Int64) -> [Action] {
    if !isHealthy { count(.unhealthy) }
    if let reason = isHealthy ? reasonToClose(slot, now) : .unhealthy {
      close(slot, reason)
    } else {
      makeAvailable(slot, mustCheck: false, now: now)
    }
    return settle(now)
  }

  private mutating func count(_ verdict: PoolEvent.Eviction?) {
    if verdict == .unhealthy { counts.unhealthy += 1 }
    if verdict == .rollbackFailed { counts.rollbackErrors += 1 }
  }

  func reasonToClose(_ slot: Int, _ now: Int64) -> PoolEvent.Eviction? {
    if phase != .running { return .stopped }
    return now >= slots[slot].expiresAt ? .age : nil
  }
}
