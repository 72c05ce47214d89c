import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import ResourcePooling

@Suite(.offThePool) struct ModelTests {
  static let operations = 20_000

  @Test(
    "Twelve pools and the reference agree after each of 20,000 random operations",
    arguments: 0..<12)
  func agreesWithReference(run: Int) throws {
    let seed = UInt64(truncatingIfNeeded: 0xB0A7 + run * 7919)
    var experiment = Experiment(seed: seed, run: run)
    for step in 0..<Self.operations {
      let operation = experiment.step()
      try #require(
        experiment.difference == nil,
        "seed \(seed), step \(step), \(operation): \(experiment.difference ?? "")")
    }
    try #require(experiment.finish() == nil, "seed \(seed)")
    #expect(experiment.created > 100, "seed \(seed)")
  }
}

/// A state machine and the reference, to which the same things happen.
private struct Experiment {
  typealias Machine = PoolStateMachine<Int>

  private let rules: PoolRules
  private var machine: Machine
  private var reference: ReferencePool
  private var generator: SeededGenerator
  private var now: Int64 = 0
  private var nextWaiter = 0
  private var tickets: [(waiter: Int, ticket: Machine.Line.Ticket)] = []
  /// Loans, recalled ones too.
  private var loans: [(slot: Int, number: Int)] = []
  /// The user's code that is at work.
  private var creations: [(slot: Int, number: Int)] = []
  private var checks: [(slot: Int, number: Int)] = []
  private var cleanUps: [(slot: Int, number: Int, checks: Bool)] = []
  private var closings: [(slot: Int, number: Int)] = []
  private var done: [String] = []
  private var isDown = false
  private var age = 0
  private var createdBefore = 0
  private let seed: UInt64
  var kinds: [String: Int] = [:]
  var created: Int { createdBefore + machine.counts.created }

  init(seed: UInt64, run: Int) {
    var rules = PoolRules(
      minimum: run % 4, maximum: 1 + run % 5 + run % 4, maximumWaiters: run == 3 ? 2 : 100)
    rules.checksOnLend = run % 3 == 1
    rules.checkAfterIdle = run % 2 == 0 ? 0 : 300
    rules.checksOnReturn = run % 4 == 2
    rules.rollsBack = run % 5 == 3
    rules.idleLimit = run % 6 == 5 ? .max : 2_000
    rules.maximumAge = run % 6 == 4 ? .max : 9_000
    rules.jitter = run % 2 == 0 ? 0 : 0.5
    rules.maximumErrors = run % 3 == 0 ? 3 : .max
    rules.backoff = .exponential(
      base: .nanoseconds(100), cap: .nanoseconds(2_000), jitter: .none)
    self.rules = rules
    self.seed = seed
    generator = SeededGenerator(seed: seed)
    machine = Machine(rules, generator: SeededGenerator(seed: seed))
    reference = ReferencePool(rules: rules)
  }

  /// Does something, and says what.
  mutating func step() -> String {
    age += 1
    (done, reference.done) = ([], [])
    let name: String
    if reference.isStopped {
      // Loans that were recalled end some day.
      if !loans.isEmpty { return giveBack() }
      begin()
    }
    switch Int.random(in: 0..<1000, using: &generator) {
    case 0..<270: name = lend()
    case 270..<480: name = giveBack()
    case 480..<520: name = leave()
    case 520..<640: name = finishCreation()
    case 640..<730: name = finishCheck()
    case 730..<820: name = finishCleanUp()
    case 820..<890: name = finishClosing()
    case 890..<970: name = advance(by: Int64.random(in: 0...60, using: &generator))
    case 970..<980: name = advance(by: Int64.random(in: 0...3_000, using: &generator))
    case 980..<983:
      // An hour at once.
      name = advance(by: 3_600_000_000_000)
    case 983..<988:
      isDown.toggle()
      name = "down"
    case 988..<991:
      note(machine.keepWarm(now: now))
      reference.warm(now)
      name = "warm"
    case 991..<994 where age > 300: name = stop()
    case 994..<998: name = overrun()
    default: name = lend()
    }
    kinds[name, default: 0] += 1
    return name
  }

  /// Another pool, as one that was stopped stays so.
  private mutating func begin() {
    createdBefore += machine.counts.created
    machine = Machine(rules, generator: SeededGenerator(seed: seed &+ UInt64(age)))
    reference = ReferencePool(rules: rules)
    (tickets, done, age) = ([], [], 0)
  }

  private mutating func note(_ actions: [Machine.Action]) {
    for action in actions {
      switch action {
      case .serve(let waiter, let slot):
        let number = machine.slots[slot].number
        tickets.removeAll { $0.waiter == waiter }
        loans.append((slot, number))
        done.append("serve \(waiter) \(number)")
      case .refuse(let waiter, _):
        tickets.removeAll { $0.waiter == waiter }
        done.append("refuse \(waiter)")
      case .create(let slot, let number):
        creations.append((slot, number))
        done.append("create \(number)")
      case .cancelCreation(let slot): done.append("cancel \(machine.slots[slot].number)")
      case .check(let slot):
        checks.append((slot, machine.slots[slot].number))
        done.append("check \(machine.slots[slot].number)")
      case .cleanUp(let slot, let also):
        cleanUps.append((slot, machine.slots[slot].number, also))
        done.append("cleanUp \(machine.slots[slot].number) \(also)")
      case .close(let slot, let reason):
        closings.append((slot, machine.slots[slot].number))
        done.append("close \(machine.slots[slot].number) \(reason.rawValue)")
      case .setAlarm(let at): if at != machine.alarmAt { done.append("a wrong alarm") }
      case .finish: done.append("finish")
      }
    }
  }

  private mutating func lend() -> String {
    nextWaiter += 1
    let hasTime = Int.random(in: 0..<10, using: &generator) > 0
    let expected = reference.lend(nextWaiter, hasTime: hasTime, now)
    if let slot = machine.lendAtOnce(now: now) {
      loans.append((slot, machine.slots[slot].number))
      if expected.got != machine.slots[slot].number { done.append("lent another one") }
      return "lend at once"
    }
    let (lending, actions) = machine.lend(
      nextWaiter, deadline: hasTime ? .max : now, now: now)
    switch lending {
    case .lent: done.append("lent at once, but late")
    case .waiting(let ticket):
      if !expected.waits { done.append("waits") }
      tickets.append((nextWaiter, ticket))
      note(actions)
      return "wait"
    case .refused: if expected.waits || expected.got != nil { done.append("refused") }
    }
    return "refused"
  }

  private mutating func giveBack() -> String {
    guard let index = loans.indices.randomElement(using: &generator) else { return "nothing" }
    let loan = loans.remove(at: index)
    let use: PoolUse =
      switch Int.random(in: 0..<20, using: &generator) {
      case 0..<12: .succeeded
      case 12..<16: .failed
      case 16..<18: .unknown
      case 18: .discarded
      default: .discardedAfterError
      }
    reference.takeBack(loan.number, use, now)
    if case .succeeded = use,
      machine.takeBackAtOnce(loan.slot, number: loan.number, now: now)
    {
      return "return at once"
    }
    note(machine.takeBack(loan.slot, number: loan.number, use, now: now))
    return "return, \(use)"
  }

  private mutating func leave() -> String {
    guard let index = tickets.indices.randomElement(using: &generator) else { return "nothing" }
    let (waiter, ticket) = tickets.remove(at: index)
    if machine.leave(ticket, timedOut: Bool.random(using: &generator)) != waiter {
      done.append("did not leave")
    }
    if machine.leave(ticket, timedOut: false) != nil { done.append("left twice") }
    reference.leave(waiter)
    return "leave"
  }

  private mutating func finishCreation() -> String {
    guard let index = creations.indices.randomElement(using: &generator) else { return "nothing" }
    let (slot, number) = creations.remove(at: index)
    if isDown || Int.random(in: 0..<12, using: &generator) == 0 {
      note(machine.creationFailed(slot, now: now))
      reference.notMade(number, now)
      return "creation fails"
    }
    let actions = machine.created(slot, now: now)
    let made = machine.slots[slot]
    // Chance shortens both limits by the same part, half of it at most.
    if rules.idleLimit != .max, !(rules.idleLimit / 2...rules.idleLimit).contains(made.idleLimit) {
      done.append("idle limit")
    }
    if rules.maximumAge != .max,
      !(rules.maximumAge / 2...rules.maximumAge).contains(made.expiresAt - now)
    {
      done.append("age")
    }
    reference.made(number, idleLimit: made.idleLimit, expiresAt: made.expiresAt, now)
    note(actions)
    return "created"
  }

  private mutating func finishCheck() -> String {
    guard let index = checks.indices.randomElement(using: &generator) else { return "nothing" }
    let (slot, number) = checks.remove(at: index)
    let isHealthy = Int.random(in: 0..<8, using: &generator) > 0
    note(machine.checked(slot, isHealthy: isHealthy, now: now))
    reference.checked(number, isHealthy, now)
    return isHealthy ? "healthy" : "unhealthy"
  }

  private mutating func finishCleanUp() -> String {
    guard let index = cleanUps.indices.randomElement(using: &generator) else { return "nothing" }
    let (slot, number, checks) = cleanUps.remove(at: index)
    var verdict: PoolEvent.Eviction?
    if rules.rollsBack, Int.random(in: 0..<10, using: &generator) == 0 { verdict = .rollbackFailed }
    if verdict == nil, checks, Int.random(in: 0..<10, using: &generator) == 0 {
      verdict = .unhealthy
    }
    note(machine.cleanedUp(slot, verdict, now: now))
    reference.cleanedUp(number, verdict?.rawValue, now)
    return "clean, \(verdict?.rawValue ?? "well")"
  }

  private mutating func finishClosing() -> String {
    guard let index = closings.indices.randomElement(using: &generator) else { return "nothing" }
    let (slot, number) = closings.remove(at: index)
    note(machine.closed(slot, errors: 0, now: now))
    reference.wasClosed(number, now)
    return "closed"
  }

  /// Time passes: the machine hears of it at its alarms only, the reference at every moment that counts.
  private mutating func advance(by duration: Int64) -> String {
    let end = now + duration
    while true {
      let (alarm, moment) = (machine.alarmAt, reference.nextMoment(after: now) ?? .max)
      if alarm > moment {
        done.append("the alarm is too late")
        break
      }
      guard alarm <= end else { break }
      now = max(now, alarm)
      note(machine.tick(now: now))
      if moment <= now { reference.pass(to: now) }
    }
    now = end
    return duration > 3_000 ? "jump" : "advance"
  }

  /// One that is already over may be reported too.
  private mutating func overrun() -> String {
    let all =
      creations + checks + cleanUps.map { ($0.slot, $0.number) } + closings + loans
    guard let (slot, number) = all.randomElement(using: &generator) else { return "nothing" }
    note(machine.overran(slot, number: number, now: now))
    reference.overran(number, now)
    return "overrun"
  }

  private mutating func stop() -> String {
    let recallAt = now + Int64.random(in: 0...500, using: &generator)
    note(machine.stop(recallAt: recallAt, now: now))
    reference.stop(recallAt: recallAt, now)
    return "stop"
  }

  /// What is not as it should be.
  var difference: String? {
    // The order of what is begun at once is free, but for those in line.
    if done.sorted() != reference.done.sorted() {
      return "did \(done.suffix(5)), expected \(reference.done.suffix(5))"
    }
    let served = { (list: [String]) in list.filter { $0.hasPrefix("serve") } }
    if served(done) != served(reference.done) { return "served in another order" }
    let tally = machine.tally
    if machine.idle.map({ machine.slots[$0].number }) != reference.numbers(.idle) {
      return "idle \(machine.idle), expected \(reference.numbers(.idle))"
    }
    let expected = [
      reference.numbers(.creating).count, reference.numbers(.lent).count,
      reference.numbers(.checking).count, reference.numbers(.returning).count,
      reference.numbers(.closing).count,
    ]
    if [tally.creating, tally.lent, tally.checking, tally.returning, tally.closing] != expected {
      return "\(tally), expected \(expected)"
    }
    if machine.line.count != reference.line.count || tickets.map(\.waiter) != reference.line {
      return "the line: \(tickets.map(\.waiter)), expected \(reference.line)"
    }
    // Conservation, from the machine's figures alone.
    let counts = machine.counts
    let inside = tally.idle + tally.lent + tally.checking + tally.returning + tally.closing
    if counts.created != counts.closed + inside { return "created = closed + the rest" }
    if counts.created != reference.created || counts.closed != reference.closed { return "counts" }
    if tally.occupied > rules.maximum { return "more than the maximum" }
    if counts.closed + tally.closing != counts.evictions.reduce(0, +) { return "evictions" }
    return nil
  }

  /// Ends everything that is under way.
  mutating func finish() -> String? {
    done = []
    reference.done = []
    note(machine.stop(recallAt: .max, now: now))
    reference.stop(recallAt: .max, now)
    while !creations.isEmpty { _ = finishCreation() }
    while !loans.isEmpty { _ = giveBack() }
    while !checks.isEmpty { _ = finishCheck() }
    while !cleanUps.isEmpty { _ = finishCleanUp() }
    while !closings.isEmpty { _ = finishClosing() }
    if machine.phase != .stopped { return "not stopped: \(machine.tally)" }
    return machine.counts.created == machine.counts.closed ? nil : "not all closed"
  }
}
