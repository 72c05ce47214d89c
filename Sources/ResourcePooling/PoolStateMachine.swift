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
/// really ended, so that there are never more than the maximum.
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

    var idleDeadline: Int64 { idleSince.saturatingAdd(idleLimit) }
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
  private(set) var phase = Phase.running
  private(set) var slots: [Slot] = []
  private(set) var tally = PoolTally()
  private(set) var line = Line()
  var counts = PoolCounts()
  /// In the order in which they became idle; the last one is lent first.
  private(set) var idle: [Int] = []
  /// How many creations failed in a row.
  private(set) var failures = 0
  private(set) var retryAt = Int64.min
  private var freeSlots: [Int] = []
  private var nextNumber = 1
  private var keepsWarm = false
  private var recallAt = Int64.max
  /// Never later than anything that time must bring about.
  private(set) var alarmAt = Int64.max
  /// Whether there are more than the minimum, so that being idle for long ends a resource.
  private var endsIdle = false
  private var pending: [Action] = []
  private var generator: any RandomNumberGenerator & Sendable

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
      slots[slot].number == number, slots[slot].state == .lent
    else { return false }
    let expiresAt = slots[slot].expiresAt
    guard now < expiresAt, alarmAt <= expiresAt,
      !endsIdle || alarmAt <= now.saturatingAdd(slots[slot].idleLimit)
    else { return false }
    slots[slot].errorsInRow = 0
    rest(slot, now: now)
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
    if deadline <= now || line.count >= rules.maximumWaiters {
      counts.refusals += 1
      return (.refused(deadline <= now ? .noTimeLeft : .queueFull), [])
    }
    let ticket = line.append(waiter)
    return (.waiting(ticket), settle(now))
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

  private func reasonToClose(_ slot: Int, _ now: Int64) -> PoolEvent.Eviction? {
    if phase != .running { return .stopped }
    return now >= slots[slot].expiresAt ? .age : nil
  }
}

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
      failures += 1
      let delay = rules.backoff.delay(afterAttempt: failures, using: &generator)
      retryAt = now.saturatingAdd(delay.nanoseconds)
    }
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

// The parts that events are made of.
extension PoolStateMachine {
  /// What follows from any event: who gets what, what is begun, when to look again.
  private mutating func settle(_ now: Int64) -> [Action] {
    switch phase {
    case .running:
      replenish(now)
      refuseTheHopeless(now)
    case .stopping:
      if tally.occupied == 0 {
        phase = .stopped
        pending.append(.finish)
      }
    case .stopped: break
    }
    endsIdle = tally.live > rules.minimum
    let next = nextAlarm(now)
    if next < alarmAt {
      alarmAt = next
      pending.append(.setAlarm(at: next))
    }
    defer { pending = [] }
    return pending
  }

  /// Begins what those in line, and the minimum, need.
  private mutating func replenish(_ now: Int64) {
    while line.count > tally.incoming {
      if let slot = idle.popLast() {
        // Idle although someone waits: it must be checked first.
        move(slot, to: .checking)
        pending.append(.check(slot: slot))
      } else if mayCreate(now) {
        create()
      } else {
        break
      }
    }
    while keepsWarm, tally.live < rules.minimum, mayCreate(now) { create() }
  }

  private func mayCreate(_ now: Int64) -> Bool {
    guard tally.occupied < rules.maximum else { return false }
    // After a failure one attempt at a time, none before the backoff is over.
    return failures == 0 || (now >= retryAt && tally.creating == 0)
  }

  /// Tells those in line at once when nothing can come to them for now.
  private mutating func refuseTheHopeless(_ now: Int64) {
    guard failures > 0, now < retryAt, tally.live == 0 else { return }
    while let waiter = line.removeFirst() { refuse(waiter, .creationFails(until: retryAt)) }
  }

  private mutating func refuse(_ waiter: Waiter, _ refusal: Refusal) {
    counts.refusals += 1
    pending.append(.refuse(waiter, refusal))
  }

  private mutating func makeAvailable(_ slot: Int, mustCheck: Bool, now: Int64) {
    if line.isEmpty { return rest(slot, now: now) }
    if mustCheck, rules.checksOnLend, rules.checkAfterIdle <= 0 {
      move(slot, to: .checking)
      pending.append(.check(slot: slot))
    } else if let waiter = line.removeFirst() {
      hand(slot)
      pending.append(.serve(waiter, slot: slot))
    }
  }

  @inline(__always)
  private mutating func rest(_ slot: Int, now: Int64) {
    slots[slot].idleSince = now
    move(slot, to: .idle)
    idle.append(slot)
  }

  @inline(__always)
  private mutating func hand(_ slot: Int) {
    move(slot, to: .lent)
    counts.loans &+= 1
    if slots[slot].uses > 0 { counts.reused &+= 1 }
    slots[slot].uses &+= 1
  }

  @inline(__always)
  private mutating func move(_ slot: Int, to state: SlotState) {
    tally.add(-1, slots[slot].state)
    tally.add(1, state)
    slots[slot].state = state
  }

  private mutating func create() {
    let slot = freeSlots.popLast() ?? slots.count
    if slot == slots.count { slots.append(Slot()) }
    slots[slot] = Slot(number: nextNumber)
    move(slot, to: .creating)
    pending.append(.create(slot: slot, number: nextNumber))
    nextNumber += 1
  }

  private mutating func close(_ slot: Int, _ reason: PoolEvent.Eviction) {
    counts.evictions[reason.index] += 1
    move(slot, to: .closing)
    pending.append(.close(slot: slot, reason))
  }

  private mutating func vacate(_ slot: Int) {
    move(slot, to: .free)
    // No loan has this number.
    slots[slot].number = 0
    freeSlots.append(slot)
  }

  private mutating func recall() {
    for slot in slots.indices where slots[slot].state == .lent { close(slot, .recalled) }
  }

  /// Closes what is too old, and what has been idle for too long as long as there are more than the minimum.
  private mutating func endStale(_ now: Int64) {
    let candidates = idle
    idle = []
    for slot in candidates {
      if now >= slots[slot].expiresAt {
        close(slot, .age)
      } else if now >= slots[slot].idleDeadline, tally.live > rules.minimum {
        close(slot, .idle)
      } else {
        idle.append(slot)
      }
    }
  }

  private func nextAlarm(_ now: Int64) -> Int64 {
    guard phase == .running else {
      return phase == .stopping && tally.lent > 0 ? recallAt : .max
    }
    var next = Int64.max
    for slot in idle {
      next = min(next, slots[slot].expiresAt)
      if endsIdle { next = min(next, slots[slot].idleDeadline) }
    }
    let wantsMore = !line.isEmpty || (keepsWarm && tally.live < rules.minimum)
    if failures > 0, wantsMore, retryAt > now { next = min(next, retryAt) }
    return next
  }

  private static func shortened(_ limit: Int64, by share: Double) -> Int64 {
    guard limit != .max, share > 0 else { return limit }
    return limit - min(limit, Int64(Double(limit) * min(share, 0.999_999)))
  }
}
