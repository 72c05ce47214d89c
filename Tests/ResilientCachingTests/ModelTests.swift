import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import ResilientCaching

@Suite(.offThePool) struct ModelTests {
  @Test("Ten caches and the reference agree after each of 20,000 random operations each")
  func agreesWithReference() throws {
    var total: [String: Int] = [:]
    for run in 0..<10 {
      let seed = UInt64(truncatingIfNeeded: 0xCACE + run * 7919)
      var experiment = Experiment(seed: seed, run: run)
      for step in 0..<20_000 {
        let operation = experiment.step()
        try #require(
          experiment.difference == nil,
          "seed \(seed), step \(step), \(operation): \(experiment.difference ?? "")")
      }
      let counts = experiment.machine.statistics
      for (name, count) in [
        ("hits", counts.hits), ("stale", counts.staleHits), ("negative", counts.negativeHits),
        ("misses", counts.misses), ("shared", counts.sharedLoads), ("loads", counts.loads),
        ("failures", counts.loadFailures), ("cancellations", counts.loadCancellations),
        ("fallbacks", counts.fallbacks), ("evictions by count", counts.countEvictions),
        ("evictions by cost", counts.costEvictions), ("expirations", counts.expirations),
        ("invalidations", counts.invalidations), ("oversized", counts.oversized),
        ("outdated", counts.outdated),
      ] {
        total[name, default: 0] += count
      }
    }
    // Everything that can happen has happened.
    for (name, count) in total { #expect(count > 5, "\(name)") }
  }
}

/// A cache's state machine and the reference, to which the same things happen.
private struct Experiment {
  typealias Machine = CacheStateMachine<Int, Int>

  var machine: Machine
  var reference = ReferenceCache()
  private var generator: SeededGenerator
  private var now: Int64 = 0
  private var era: UInt64 = 0
  private var serial = 0
  private var waiting: [(load: UInt64, ticket: UInt64)] = []
  /// The serial number that every value of a name that is given out must reach.
  private var floor: [String: Int] = [:]
  private var floorOfAll = 0
  /// The serial numbers of the values that loads will bring.
  private var brought: [UInt64: Int] = [:]
  private var unexpected: String?

  init(seed: UInt64, run: Int) {
    generator = SeededGenerator(seed: seed)
    reference.capacity = [4, 1, 2, 6][run % 4]
    reference.maximumRefreshes = 1 + run % 2
    if run % 5 == 4 { reference.staleWhileRevalidate = 90 }
    var policy = CachePolicy(
      capacity: reference.capacity, maximumCost: reference.maximumCost,
      timeToLive: .nanoseconds(reference.life),
      staleWhileRevalidate: .nanoseconds(reference.staleWhileRevalidate),
      staleIfError: .nanoseconds(reference.staleIfError),
      negativeTimeToLive: .nanoseconds(reference.negativeLife))
    policy.jitter = 0
    policy.maximumRefreshes = reference.maximumRefreshes
    policy.loadLease = .nanoseconds(reference.lease)
    policy.refreshBackoff = .exponential(
      base: .nanoseconds(reference.firstDelay), cap: .nanoseconds(reference.longestDelay),
      jitter: .none)
    machine = Machine(
      name: "model", rules: CacheRules(policy), isObserved: run % 2 == 0, era: 0, seed: seed)
  }

  /// Does something, and says what.
  mutating func step() -> String {
    var after = Machine.Aftermath()
    let (key, space) = draw()
    let (address, name) = (CacheAddress(key, in: space), "\(space.name)/\(key)")
    // Now and then somebody comes late, with the era before.
    let isLate = era > 0 && Int.random(in: 0..<200, using: &generator) == 0
    var moment = CacheMoment(now: now, era: isLate ? era - 1 : era)
    let choice = Int.random(in: 0..<1000, using: &generator)
    let isRetired = reference.isLate(moment.era)
    if machine.isLate(moment) != isRetired { unexpected = "era \(moment.era) is late or not" }
    // Whoever sees that it is late reads the era again, only a `set` does nothing.
    let isDropped = isRetired && isLate && (700..<790).contains(choice)
    if isRetired && !isDropped { moment = CacheMoment(now: now, era: era) }
    switch choice {
    case 0..<150:
      arrive(moment)
      let value = machine.get(address, moment, &after)
      let expected = reference.get(name, now)
      if value != expected { unexpected = "\(value as Any) in place of \(expected as Any)" }
      if let value { check(value, name, moment) }
      return "get \(name)"
    case 150..<430:
      arrive(moment)
      ask(address, name, moment, &after)
      return "ask \(name)"
    case 430..<640: return finish(moment, &after)
    case 640..<700:
      guard let index = waiting.indices.randomElement(using: &generator) else { return "nothing" }
      let (load, ticket) = waiting.remove(at: index)
      machine.leave(load, ticket: ticket, &after)
      reference.leave(load, ticket)
      return "leave \(load)"
    case _ where isDropped: return "set \(name), late"
    case 700..<790:
      arrive(moment)
      let (value, cost) = (nextSerial(), drawCost())
      floor[name] = value
      _ = machine.set(address, value, cost: cost, life: nil, moment, &after)
      let present = self.present
      reference.set(name, value, cost: max(0, cost), now) { !present.contains($0) }
      return "set \(name)"
    case 790..<820:
      arrive(moment)
      floor[name] = nextSerial()
      _ = machine.remove(address, moment, &after)
      reference.remove(name)
      return "remove \(name)"
    case 820..<830:
      let space = CacheSpace("s\(Int.random(in: 1...2, using: &generator))")
      for key in 0..<6 { floor["\(space.name)/\(key)"] = nextSerial() }
      machine.removeAll(in: space, &after)
      reference.removeAll(withPrefix: space.name + "/")
      return "remove \(space.name)"
    case 830..<835:
      floorOfAll = nextSerial()
      machine.clear(&after)
      reference.clear()
      return "clear"
    case 835..<842:
      let isLater = Bool.random(using: &generator)
      let version = machine.version
      if isLater { floorOfAll = nextSerial() }
      machine.advance(toVersion: isLater ? version + 2 : version, &after)
      if isLater { reference.clear() }
      return "version"
    case 842..<855:
      era += 1
      floorOfAll = nextSerial()
      return "era"
    default:
      // Also backward: of two threads the one that read the clock first may come second.
      let longest: Int64 = [5, 30, 200].randomElement(using: &generator)!
      now += Int64.random(in: -2...longest, using: &generator)
      return "advance"
    }
  }

  private mutating func arrive(_ moment: CacheMoment) {
    if moment.era != reference.era { floorOfAll = nextSerial() }
    reference.arrive(moment.era)
  }

  private mutating func ask(
    _ address: CacheAddress<Int>, _ name: String, _ moment: CacheMoment,
    _ after: inout Machine.Aftermath
  ) {
    let (waiter, number) = (CacheWaiter<Int>(), CacheNumbers.next())
    let answer = machine.ask(
      address, waiter: waiter, number: number, within: [], moment, &after)
    let expected = reference.ask(name, ticket: waiter.ticket, number: number, now)
    let actual: ReferenceCache.Answer?
    switch answer {
    case .value(let value):
      actual = .value(value)
      check(value, name, moment)
    case .stale(let value, let refresh):
      actual = .stale(value, starts: refresh != nil)
      check(value, name, moment)
      if let refresh { brought[refresh] = nextSerial() }
    case .failure: actual = .negative
    case .wait(let load, let starts):
      actual = .wait(load, starts: starts)
      waiting.append((load, waiter.ticket))
      if starts { brought[load] = nextSerial() }
      if !isLate(moment), brought[load]! < max(floor[name] ?? 0, floorOfAll) {
        unexpected = "joined a load that began before an invalidation"
      }
    case .recursion: actual = nil
    }
    if actual != expected { unexpected = "\(actual as Any) in place of \(expected)" }
  }

  private mutating func finish(
    _ moment: CacheMoment, _ after: inout Machine.Aftermath
  ) -> String {
    // Now and then a load that was given up.
    let known = machine.loads.keys.sorted()
    guard let number = known.randomElement(using: &generator) else { return "nothing" }
    let cost = drawCost()
    let kind = Int.random(in: 0..<10, using: &generator)
    let value = brought[number]!
    let outcomes: (Machine.Outcome, ReferenceCache.Outcome) =
      switch kind {
      case 0..<5: (.value(value, cost: cost), .value(value, cost: max(0, cost)))
      case 5..<8: (.failure(Down(), isNegative: false), .failure)
      case 8: (.failure(NoSuchValueError(), isNegative: true), .negative)
      default: (.cancelled(CancellationError()), .cancelled)
      }
    arrive(moment)
    let ended = machine.finish(number, outcomes.0, moment, &after)
    let present = self.present
    let isKnown = reference.loads.contains { $0.number == number }
    let expected = reference.finish(number, outcomes.1, now) { !present.contains($0) }
    if (ended != nil) != isKnown { unexpected = "load \(number) is \(isKnown)ly known" }
    if let ended, (try? ended.result.get()) != expected {
      unexpected = "\(ended.result) in place of \(expected as Any)"
    }
    let tickets = Set(ended?.waiters.map(\.ticket) ?? [])
    if tickets != Set(waiting.filter { $0.load == number }.map(\.ticket)) {
      unexpected = "not all who waited, or too many"
    }
    waiting.removeAll { $0.load == number }
    brought[number] = nil
    return "finish \(number)"
  }

  private mutating func draw() -> (Int, CacheSpace) {
    let key = Int.random(in: 0..<6, using: &generator)
    let space = Int.random(in: 0...2, using: &generator)
    return (key, space == 0 ? CacheSpace() : CacheSpace("s\(space)"))
  }

  private mutating func drawCost() -> Int {
    [-5, 0, 1, 3, 7, 20, 21, .max, .min].randomElement(using: &generator)!
  }

  private mutating func nextSerial() -> Int {
    serial += 1
    return serial
  }

  /// Whether somebody read the era before it changed: then what is of the era before may be given out.
  private func isLate(_ moment: CacheMoment) -> Bool { moment.era != era }

  private mutating func check(_ value: Int, _ name: String, _ moment: CacheMoment) {
    if !isLate(moment), value < max(floor[name] ?? 0, floorOfAll) {
      unexpected = "\(value) of \(name) is too old"
    }
  }

  /// The names of the entries, least recently used first.
  private var order: [String] {
    var names: [String] = []
    var next = machine.table.oldest
    while next >= 0 {
      let entry = machine.table.entries[Int(next)]!
      names.append("\(entry.space.name)/\(entry.key)")
      next = machine.table.nodes[Int(next)].newer
    }
    return names
  }

  private var present: Set<String> { Set(order) }

  /// What differs, if anything.
  var difference: String? {
    if let unexpected { return unexpected }
    let table = machine.table
    let order = order
    let cost = table.entries.indices.filter { table.entries[$0] != nil }
      .reduce(0) { $0 + table.details[$1].cost }
    func differs<Fact: Equatable>(_ name: String, _ actual: Fact, _ expected: Fact) -> String? {
      actual == expected ? nil : "\(name) is \(actual), not \(expected)"
    }
    return differs("order", order, reference.entries.map(\.name))
      ?? differs("count", table.count, order.count)
      ?? differs("cost", table.cost, reference.entries.reduce(0) { $0 + $1.cost })
      ?? differs("the sum of costs", table.cost, cost)
      ?? differs("within cost", (0...reference.maximumCost).contains(cost), true)
      ?? differs("within capacity", table.count <= reference.capacity, true)
      ?? differs(
        "loads", machine.loads.keys.sorted(), reference.loads.map(\.number).sorted())
      ?? differs(
        "refreshes", machine.refreshes,
        reference.loads.count { $0.isRefresh && $0.isCurrent })
      ?? differs(
        "loads to join", machine.current.values.flatMap(\.self).sorted(),
        reference.loads.filter(\.isCurrent).map(\.number).sorted())
  }
}
