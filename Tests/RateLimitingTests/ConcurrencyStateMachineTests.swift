import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import RateLimiting

/// The obvious limiter: a number, and an array of those who wait.
private struct Reference {
  var limit: Int
  var inFlight: [Int] = []
  var line: [Int] = []

  mutating func serve() -> [Int] {
    let free = max(0, limit - inFlight.count)
    let served = Array(line.prefix(free))
    line.removeFirst(served.count)
    inFlight += served
    return served
  }
}

/// A machine that remembers who holds its permits, and the reference, to which the same things happen.
private struct Experiment {
  var machine: ConcurrencyStateMachine<Int>
  var reference: Reference
  var random: SeededGenerator
  var now: Int64
  var tickets: [(id: Int, ticket: LineTicket)] = []
  var permitsOut = 0
  var permitsIn = 0
  var met: Set<String> = []
  private var nextID = 0
  private let maximumWaiters: Int

  init(seed: UInt64, maximumWaiters: Int) {
    random = SeededGenerator(seed: seed)
    let limit = Int.random(in: 1...6, using: &random)
    now = Int64.random(in: -1_000_000...1_000_000, using: &random)
    machine = ConcurrencyStateMachine(.fixed(limit), maximumWaiters: maximumWaiters, now: now)
    reference = Reference(limit: limit)
    self.maximumWaiters = maximumWaiters
  }

  /// Does something; returns what differs, if anything.
  mutating func step() -> String? {
    nextID += 1
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<12:
      met.insert("try")
      let expected = reference.inFlight.count < reference.limit
      if expected { begin([nextID]) }
      if machine.tryAcquire() != expected { return "tryAcquire" }
    case 12..<45:
      let deadline: Int64? =
        Bool.random(using: &random) ? nil : now + .random(in: -10...50, using: &random)
      if let difference = acquire(deadline: deadline) { return difference }
    case 45..<70: return end(.success)
    case 70..<75: return end(.dropped)
    case 75..<80: return end(.ignored)
    case 80..<88:
      // A caller is cancelled, in line or served long ago.
      guard !tickets.isEmpty else { return nil }
      let (id, ticket) = tickets.remove(at: .random(in: tickets.indices, using: &random))
      let index = reference.line.firstIndex(of: id)
      met.insert(index == nil ? "cancelled late" : "cancelled in line")
      if let index { reference.line.remove(at: index) }
      if machine.leave(ticket) != (index == nil ? nil : id) { return "leave" }
    case 88..<92:
      let limit = Int.random(in: 1...8, using: &random)
      met.insert(limit < reference.inFlight.count ? "resized below use" : "resized")
      reference.limit = limit
      return compare(machine.resize(to: limit, now: now), "resize")
    case 92..<94: return compare(machine.advance(now: now), "advance")
    // The clock stands still, runs, jumps; a source that steps back harms nobody.
    case 94..<99: now += .random(in: 0...20, using: &random)
    default: now += Bool.random(using: &random) ? 3_600_000_000_000 : -3_600_000_000_000
    }
    return difference
  }

  private mutating func acquire(deadline: Int64?) -> String? {
    let mayPass = reference.inFlight.count < reference.limit
    let wait = reference.line.isEmpty ? nil : machine.projectedWait
    switch machine.acquire(deadline: deadline, now: now, waiter: nextID) {
    case .granted:
      if !mayPass { return "granted" }
      begin([nextID])
    case .waiting(let id, let ticket):
      if mayPass || reference.line.count >= maximumWaiters || id != nextID { return "waiting" }
      if let deadline, deadline <= now { return "waits for a deadline that has passed" }
      reference.line.append(nextID)
      tickets.append((nextID, ticket))
      met.insert("waiting")
    case .refused(.deadline, let hint):
      guard let deadline, !mayPass, hint == wait else { return "refused by deadline" }
      // Only what has no time at all, or less than half of what the line takes.
      if deadline > now && (wait ?? 0) / 2 <= deadline - now { return "could have waited" }
      met.insert(deadline > now ? "hopeless" : "no time")
    case .refused(let code, _):
      if mayPass || reference.line.count < maximumWaiters || code != .queueFull { return "full" }
      met.insert("full")
    }
    return nil
  }

  private mutating func end(_ outcome: ConcurrencyLimiter.Outcome) -> String? {
    guard let index = reference.inFlight.indices.randomElement(using: &random) else { return nil }
    reference.inFlight.remove(at: index)
    permitsIn += 1
    if reference.line.isEmpty, Bool.random(using: &random) {
      return machine.endPlainly() ? difference : "endPlainly"
    }
    return compare(machine.end(outcome, start: now, now: now), "end")
  }

  private mutating func compare(_ served: [Int], _ operation: String) -> String? {
    let expected = reference.serve()
    permitsOut += expected.count
    return served == expected ? difference : "\(operation) served \(served), not \(expected)"
  }

  private mutating func begin(_ ids: [Int]) {
    reference.inFlight += ids
    permitsOut += ids.count
  }

  var difference: String? {
    if machine.inFlight != reference.inFlight.count { return "in flight" }
    if machine.waiting != reference.line.count { return "waiting" }
    if machine.limit != reference.limit { return "limit" }
    if permitsOut - permitsIn != machine.inFlight { return "permits in and out" }
    if machine.waiting > 0 && machine.inFlight < machine.limit { return "a permit lies idle" }
    return nil
  }

  /// Everything ends.
  mutating func finish() -> String? {
    while !reference.inFlight.isEmpty { if let difference = end(.ignored) { return difference } }
    return reference.line.isEmpty && permitsIn == permitsOut ? nil : "something is left"
  }
}

@Suite(.offThePool) struct ConcurrencyStateMachineTests {
  @Test(
    "Permits in = out: agrees with an array over 240,000 random operations",
    arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
  func agreesWithTheReference(seed: UInt64) throws {
    var experiment = Experiment(seed: seed, maximumWaiters: Int(seed) * 2 - 2)
    for step in 0..<30_000 {
      if let difference = experiment.step() {
        Issue.record("seed \(seed), step \(step): \(difference)")
        return
      }
    }
    #expect(experiment.finish() == nil, "seed \(seed)")
    if seed > 1 {
      #expect(experiment.met.count == 9, "seed \(seed): \(experiment.met.sorted())")
    }
  }

  @Test("P37: first come, first served; who leaves the line moves the others up")
  func order() throws {
    var machine = machine(1)
    #expect(machine.tryAcquire() == true)
    var tickets: [LineTicket] = []
    for id in 0..<5 {
      guard case .waiting(_, let ticket) = machine.acquire(deadline: nil, now: 0, waiter: id)
      else { return #expect(Bool(false)) }
      tickets.append(ticket)
    }
    #expect(machine.tryAcquire() == false, "nobody passes the line")
    #expect(machine.leave(tickets[0]) == 0)
    #expect(machine.leave(tickets[2]) == 2)
    #expect(machine.leave(tickets[2]) == nil)
    #expect(machine.end(.success, start: 0, now: 0) == [1])
    #expect(machine.tryAcquire() == false)
    #expect(machine.resize(to: 9, now: 0) == [3, 4])
    #expect(machine.leave(tickets[3]) == nil)
    #expect(machine.inFlight == 3)
  }

  @Test("A limit that falls takes nothing away, and lets nobody in until enough have ended")
  func shrinking() {
    var machine = machine(4)
    for _ in 0..<4 { #expect(machine.tryAcquire() == true) }
    #expect(machine.resize(to: 2, now: 0).isEmpty)
    _ = machine.acquire(deadline: nil, now: 0, waiter: 7)
    #expect(machine.end(.success, start: 0, now: 0).isEmpty)
    #expect(machine.end(.success, start: 0, now: 0).isEmpty)
    #expect(machine.inFlight == 2)
    #expect(machine.end(.success, start: 0, now: 0) == [7])
  }

  @Test(
    "A line whose pace makes a deadline hopeless refuses at once, and says how long it is")
  func hopeless() {
    var machine = machine(1)
    _ = machine.tryAcquire()
    for id in 0..<10 { _ = machine.acquire(deadline: nil, now: 0, waiter: id) }
    // Nothing is known: whoever has any time may wait.
    guard case .waiting = machine.acquire(deadline: 1, now: 0, waiter: 10) else {
      return #expect(Bool(false))
    }
    for turn in 1...4 { _ = machine.end(.success, start: 0, now: Int64(turn) * 100) }
    #expect(machine.waiting == 7)
    #expect(machine.projectedWait == 800)
    guard
      case .refused(.deadline, wait: 800) = machine.acquire(deadline: 799, now: 400, waiter: 11)
    else { return #expect(Bool(false)) }
    guard case .waiting = machine.acquire(deadline: 800, now: 400, waiter: 11) else {
      return #expect(Bool(false), "half of the projected time is enough to try")
    }
    // The pace of a line that is over is forgotten.
    for turn in 5...12 { _ = machine.end(.success, start: 0, now: Int64(turn) * 100) }
    #expect(machine.waiting == 0)
    guard case .waiting = machine.acquire(deadline: 1_201, now: 1_200, waiter: 12) else {
      return #expect(Bool(false))
    }
  }

  @Test("Every interleaving of four callers with a limit of one and of two keeps the permits")
  func everyInterleaving() {
    for limit in [1, 2] {
      var explorer = InterleavingExplorer(limit: limit)
      explorer.explore()
      print("concurrency limiter: \(explorer.worlds) states, \(explorer.steps) steps checked")
      #expect(explorer.problem == nil)
      #expect(explorer.worlds > 100)
    }
  }

  private func machine(_ limit: Int) -> ConcurrencyStateMachine<Int> {
    ConcurrencyStateMachine(.fixed(limit), maximumWaiters: 100, now: 0)
  }
}

/// Four callers who come, wait, are served, leave and end, and a limit that changes, in every order.
private struct InterleavingExplorer {
  enum Caller: Hashable { case outside, waiting, inside, served }

  struct World {
    var machine: ConcurrencyStateMachine<Int>
    var callers: [Caller] = Array(repeating: .outside, count: 4)
    var tickets: [LineTicket?] = Array(repeating: nil, count: 4)
    var order: [Int] = []
  }

  struct Key: Hashable {
    var callers: [Caller]
    var order: [Int]
    var limit: Int
  }

  let limit: Int
  private var seen: Set<Key> = []
  private(set) var steps = 0
  private(set) var problem: String?
  var worlds: Int { seen.count }

  init(limit: Int) { self.limit = limit }

  mutating func explore() {
    var open = [
      World(machine: ConcurrencyStateMachine(.fixed(limit), maximumWaiters: 2, now: 0))
    ]
    while let world = open.popLast(), problem == nil {
      let key = Key(callers: world.callers, order: world.order, limit: world.machine.limit)
      guard seen.insert(key).inserted else { continue }
      for caller in 0..<4 {
        for action in 0..<2 {
          var next = world
          if act(&next, caller, action) { open.append(next) }
        }
      }
      for limit in 1...3 {
        var next = world
        serve(&next, next.machine.resize(to: limit, now: 0))
        check(next)
        open.append(next)
      }
    }
  }

  /// - Returns: Whether that caller can do that.
  private mutating func act(_ world: inout World, _ caller: Int, _ action: Int) -> Bool {
    switch (world.callers[caller], action) {
    case (.outside, 0):
      switch world.machine.acquire(deadline: nil, now: 0, waiter: caller) {
      case .granted: world.callers[caller] = .inside
      case .waiting(_, let ticket):
        world.callers[caller] = .waiting
        world.tickets[caller] = ticket
        world.order.append(caller)
      case .refused: if world.machine.waiting != 2 { problem = "refused with room in the line" }
      }
    case (.waiting, 0):
      if world.machine.leave(world.tickets[caller]!) != caller { problem = "could not leave" }
      world.order.removeAll { $0 == caller }
      world.callers[caller] = .outside
    case (.served, 0):
      // Cancelled after it was served, before it knew: it stays inside and gives back as any other.
      if world.machine.leave(world.tickets[caller]!) != nil { problem = "left twice" }
      world.callers[caller] = .inside
    case (.inside, 0), (.served, 1):
      world.callers[caller] = .outside
      serve(&world, world.machine.end(.success, start: 0, now: 0))
    default: return false
    }
    steps += 1
    check(world)
    return true
  }

  private mutating func serve(_ world: inout World, _ served: [Int]) {
    if served != Array(world.order.prefix(served.count)) { problem = "out of order" }
    world.order.removeFirst(served.count)
    for caller in served { world.callers[caller] = .served }
  }

  private mutating func check(_ world: World) {
    let inside = world.callers.count { $0 == .inside || $0 == .served }
    if world.machine.inFlight != inside { problem = "in flight" }
    if world.machine.waiting != world.order.count { problem = "waiting" }
    if !world.order.isEmpty && inside < world.machine.limit { problem = "a permit lies idle" }
  }
}
