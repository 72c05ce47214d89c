internal import ReliabilityCore

// The parts that the answers to events are made of.
extension PoolStateMachine {
  /// What follows from any event: who gets what, what is begun, when to look again.
  mutating func settle(_ now: Int64) -> [Action] {
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
    endsIdle = tally.live - tally.creating > rules.minimum
    let next = nextAlarm(now)
    if next < alarmAt {
      alarmAt = next
      pending.append(.setAlarm(at: next))
    }
    defer { pending = [] }
    return pending
  }

  /// Begins what those in line, and the minimum, need.
  mutating func replenish(_ now: Int64) {
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

  func mayCreate(_ now: Int64) -> Bool {
    guard tally.occupied < rules.maximum else { return false }
    // After a failure one attempt at a time, none before the backoff is over.
    return failures == 0 || (now >= retryAt && tally.creating == tally.doubtfulCreating)
  }

  /// Tells those in line at once when nothing can come to them for now.
  mutating func refuseTheHopeless(_ now: Int64) {
    guard failures > 0, now < retryAt, tally.live == tally.doubtful else { return }
    while let waiter = line.removeFirst() { refuse(waiter, .creationFails(until: retryAt)) }
  }

  mutating func refuse(_ waiter: Waiter, _ refusal: Refusal) {
    counts.refusals += 1
    pending.append(.refuse(waiter, refusal))
  }

  mutating func makeAvailable(_ slot: Int, mustCheck: Bool, now: Int64) {
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
  mutating func rest(_ slot: Int, now: Int64) {
    slots[slot].idleSince = now
    move(slot, to: .idle)
    idle.append(slot)
  }

  @inline(__always)
  mutating func hand(_ slot: Int) {
    if tally.doubtful > 0 { trust(slot) }
    tally.add(-1, slots[slot].state)
    tally.lent += 1
    counts.loans &+= 1
    if slots[slot].lend() { counts.reused &+= 1 }
  }

  @inline(__always)
  mutating func move(_ slot: Int, to state: SlotState) {
    if tally.doubtful > 0 { trust(slot) }
    tally.add(-1, slots[slot].state)
    tally.add(1, state)
    slots[slot].state = state
  }

  /// Counts on it no longer, if it is one of those that were counted on.
  mutating func doubt(_ slot: Int) {
    let state = slots[slot].state
    guard !slots[slot].isDoubtful, state == .creating || state == .checking || state == .returning
    else { return }
    slots[slot].isDoubtful = true
    tally.doubtful += 1
    if state == .creating { tally.doubtfulCreating += 1 }
  }

  /// Takes a doubt back, before the state changes.
  mutating func trust(_ slot: Int) {
    guard slots[slot].isDoubtful else { return }
    slots[slot].isDoubtful = false
    tally.doubtful -= 1
    if slots[slot].state == .creating { tally.doubtfulCreating -= 1 }
  }

  mutating func create() {
    let slot = freeSlots.popLast() ?? slots.count
    if slot == slots.count { slots.append(Slot()) }
    slots[slot] = Slot(number: nextNumber, failuresBefore: failures)
    move(slot, to: .creating)
    pending.append(.create(slot: slot, number: nextNumber))
    nextNumber += 1
  }

  mutating func close(_ slot: Int, _ reason: PoolEvent.Eviction) {
    counts.evictions[reason.index] += 1
    move(slot, to: .closing)
    pending.append(.close(slot: slot, reason))
  }

  mutating func vacate(_ slot: Int) {
    move(slot, to: .free)
    // No loan has this number.
    slots[slot].number = 0
    freeSlots.append(slot)
  }

  mutating func recall() {
    for slot in slots.indices where slots[slot].state == .lent { close(slot, .recalled) }
  }

  /// Closes what is too old, and what has been idle for too long as long as there are more than the minimum.
  mutating func endStale(_ now: Int64) {
    let candidates = idle
    idle = []
    for slot in candidates {
      if now >= slots[slot].expiresAt {
        close(slot, .age)
      } else if now >= slots[slot].idleDeadline, tally.live - tally.creating > rules.minimum {
        close(slot, .idle)
      } else {
        idle.append(slot)
      }
    }
  }

  func nextAlarm(_ now: Int64) -> Int64 {
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

  static func shortened(_ limit: Int64, by share: Double) -> Int64 {
    guard limit != .max, share > 0 else { return limit }
    return limit - min(limit, Int64(Double(limit) * min(share, 0.999_999)))
  }
}
