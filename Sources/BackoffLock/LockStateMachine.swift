/// Who may have the lock next, in one process: a first-in-first-out queue in front of one lock of the system.
///
/// Pure: it makes no call and reads no clock. Every event returns what to do about it.
///
/// | possession | event | next | action |
/// |---|---|---|---|
/// | none | request | acquiring | acquire |
/// | acquiring | acquired | held | grant the head, and with a shared head all shared ones behind it |
/// | acquiring | acquired, nobody waits any more | releasing | give up |
/// | acquiring | failed | none | fail the head, acquire for the next |
/// | held | request, release | held | grant what fits, while the batch lasts |
/// | held | the batch is spent and somebody waits | probing | ask whether another process waits |
/// | held | last release, nobody waits, with an idle hold | probing | ask whether another process waits |
/// | probing | nobody else waits | held | a new batch; or keep it idle |
/// | probing | somebody else waits | held, releasing once empty | give up |
/// | releasing | given up | none | acquire again for those who wait |
struct LockStateMachine<Requester: Equatable & Sendable>: Sendable {
  typealias Mode = BackoffLock.Mode

  /// How many holders of one process may follow each other while another process waits.
  static var batchSize: Int { 8 }
  /// For how long they may.
  static var batchTime: Duration { .milliseconds(10) }

  /// What the system's lock said when it was taken.
  struct Turn: Hashable, Sendable {
    var epoch: UInt32
    var number: UInt64
    /// Whether it is the same turn as before: nobody else had the lock in between.
    var continues = false
  }

  /// What is to be done next, by the one who got this answer, outside the lock.
  enum Next: Equatable, Sendable {
    case nothing
    /// Take the system's lock, then report `acquired`, `failed` or `retire`.
    ///
    /// `continuing` tells whether the last turn may go on.
    case acquire(Mode, continuing: Bool)
    /// Ask whether another process waits, then report `probed`.
    case probe
    /// Give up the system's lock, then report `gaveUp`.
    case giveUp
    /// Report `idleEnded` at the instant.
    case keepIdle(until: Duration)
  }

  struct Action: Sendable {
    // Who got the lock. Mostly it is one, and an array would cost an allocation: so the first is apart.
    private var first: (requester: Requester, token: FencingToken)?
    private var others: [(requester: Requester, token: FencingToken)] = []
    var next = Next.nothing

    init(next: Next = .nothing) { self.next = next }

    /// Whether nobody got the lock and nothing is to be done.
    var isEmpty: Bool { first == nil && next == .nothing }

    func forEachGranted(_ body: (Requester, FencingToken) -> Void) {
      if let first { body(first.requester, first.token) }
      for other in others { body(other.requester, other.token) }
    }

    mutating func grant(_ requester: Requester, _ token: FencingToken) {
      if first == nil { first = (requester, token) } else { others.append((requester, token)) }
    }
  }

  private enum Possession: Equatable {
    case none, acquiring, held, probing, releasing, retired
  }

  private struct Waiting {
    var requester: Requester
    var mode: Mode
  }

  private var possession = Possession.none
  private var queue: [Waiting] = []
  private var writers = 0
  private var readers = 0

  // Of the possession.
  private var heldMode = Mode.exclusive
  private var turn = Turn(epoch: 0, number: 0)
  private var nextInTurn: UInt64 = 0
  private var batchCount = 0
  private var batchStart = Duration.zero
  private var mustYield = false
  private var isProbed = false
  private var idleHold = Duration.zero
  private var idleUntil: Duration?
  private var hasIdleAlarm = false

  /// How often the system's lock was taken.
  private(set) var acquisitions = 0
  /// How often a holder followed another without it.
  private(set) var handOvers = 0
  /// How often it arrived when nobody waited for it any more.
  private(set) var abandoned = 0

  var waiting: Int { queue.count }
  var holders: Int { writers + readers }
  var isRetired: Bool { possession == .retired }
  /// Whether this process has the system's lock.
  var isHeld: Bool { possession == .held || possession == .probing }
  var firstWaiting: Requester? { queue.first?.requester }
}

// MARK: - Events

extension LockStateMachine {
  /// Somebody wants the lock.
  ///
  /// - Returns: `nil` when this machine has ended and the lock file must be opened anew.
  mutating func request(_ requester: Requester, _ mode: Mode, now: Duration) -> Action? {
    if possession == .retired { return nil }
    queue.append(Waiting(requester: requester, mode: mode))
    return settle(now)
  }

  /// Somebody no longer waits.
  ///
  /// - Returns: `nil` when they did not wait: they were granted or failed before.
  mutating func leave(_ requester: Requester, now: Duration) -> Action? {
    guard let index = queue.firstIndex(where: { $0.requester == requester }) else { return nil }
    queue.remove(at: index)
    return settle(now)
  }

  /// A holder is done.
  mutating func release(_ mode: Mode, idleHold: Duration, now: Duration) -> Action {
    if mode == .exclusive { writers -= 1 } else { readers -= 1 }
    precondition(writers >= 0 && readers >= 0, "a lock was released twice")
    self.idleHold = idleHold
    isProbed = false
    return settle(now)
  }

  /// The system's lock was taken.
  mutating func acquired(_ mode: Mode, _ turn: Turn, now: Duration) -> Action {
    possession = .held
    heldMode = mode
    if !turn.continues { nextInTurn = 0 }
    self.turn = turn
    (batchCount, batchStart, mustYield) = (0, now, false)
    acquisitions += 1
    if queue.isEmpty {
      abandoned += 1
      return giveUp()
    }
    return settle(now)
  }

  /// Taking the system's lock failed for the one at the head.
  mutating func failed(now: Duration) -> (head: Requester?, action: Action) {
    possession = .none
    let head = queue.isEmpty ? nil : queue.removeFirst().requester
    return (head, settle(now))
  }

  /// Taking the system's lock was given up, since nobody waits for it any more or it was not to be had at once.
  ///
  /// - Parameter isPolling: Whether it was asked for again and again until now: then it is a wait that nobody needed.
  mutating func abandoned(isPolling: Bool = false, now: Duration) -> Action {
    possession = .none
    if isPolling { abandoned += 1 }
    return settle(now)
  }

  /// The lock file is no longer the one at its path, or can't be trusted any more.
  ///
  /// - Returns: Those who waited: they must begin again with another file.
  mutating func retire() -> [Requester] {
    possession = .retired
    defer { queue = [] }
    return queue.map(\.requester)
  }

  mutating func probed(othersWait: Bool, now: Duration) -> Action {
    if possession == .probing { possession = .held }
    if othersWait {
      mustYield = true
    } else {
      (batchCount, batchStart) = (0, now)
      isProbed = true
    }
    return settle(now)
  }

  mutating func gaveUp(now: Duration) -> Action {
    if possession == .releasing { possession = .none }
    return settle(now)
  }

  /// The counter in the file was raised under the only holder, an exclusive one.
  ///
  /// - Returns: The holder's new token.
  mutating func raised(_ turn: Turn) -> FencingToken {
    self.turn = turn
    nextInTurn = 1
    return token(0)
  }

  /// The instant of an idle hold has come.
  mutating func idleEnded(now: Duration) -> Action {
    hasIdleAlarm = false
    guard let end = idleUntil, possession == .held, holders == 0, queue.isEmpty else {
      return Action()
    }
    return now < end ? keepIdle(until: end) : giveUp()
  }
}

// MARK: - Decisions

extension LockStateMachine {
  private mutating func settle(_ now: Duration) -> Action {
    switch possession {
    case .none:
      guard let head = queue.first else { return Action() }
      possession = .acquiring
      return Action(next: .acquire(head.mode, continuing: nextInTurn <= 0xFFFF))
    case .held: return serve(now)
    // Somebody is at it and will report.
    case .acquiring, .probing, .releasing, .retired: return Action()
    }
  }

  private mutating func serve(_ now: Duration) -> Action {
    var action = Action()
    while let head = queue.first {
      guard head.mode == .shared ? writers == 0 : holders == 0 else { return action }
      let needsAnother = head.mode == .exclusive && heldMode == .shared || nextInTurn > 0xFFFF
      if mustYield || needsAnother {
        if holders == 0 { action.next = giveUp().next }
        return action
      }
      let isSpent =
        batchCount >= Self.batchSize || batchCount > 0 && now - batchStart >= Self.batchTime
      if isSpent {
        possession = .probing
        action.next = .probe
        return action
      }
      queue.removeFirst()
      idleUntil = nil
      action.grant(head.requester, grant(head.mode))
    }
    guard holders == 0 else { return action }
    if mustYield || idleHold <= .zero {
      action.next = giveUp().next
    } else if isProbed {
      action.next = keepIdle(until: now.saturatingAdvanced(by: idleHold)).next
    } else {
      possession = .probing
      action.next = .probe
    }
    return action
  }

  private mutating func grant(_ mode: Mode) -> FencingToken {
    if batchCount > 0 { handOvers += 1 }
    batchCount += 1
    isProbed = false
    if mode == .shared {
      readers += 1
      // Nobody writes under it: the number of the exclusive holder before.
      return token(max(nextInTurn, 1) - 1)
    }
    writers += 1
    defer { nextInTurn += 1 }
    return token(nextInTurn)
  }

  private func token(_ place: UInt64) -> FencingToken {
    FencingToken(epoch: turn.epoch, turn: turn.number << 16 | place)
  }

  private mutating func giveUp() -> Action {
    possession = .releasing
    idleUntil = nil
    return Action(next: .giveUp)
  }

  /// One alarm at a time: while one is set, only its end moves.
  private mutating func keepIdle(until end: Duration) -> Action {
    idleUntil = end
    if hasIdleAlarm { return Action() }
    hasIdleAlarm = true
    return Action(next: .keepIdle(until: end))
  }
}
