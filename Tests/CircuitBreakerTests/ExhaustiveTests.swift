import ReliabilityCore
import ReliabilityTestSupport
import Testing

@testable import CircuitBreaker

/// Everything three callers, the time and a person can do to the state machine, in every order.
@Suite(.offThePool) struct ExhaustiveTests {
  @Test(
    "All interleavings of three callers keep to the transition table",
    arguments: [
      CircuitBreaker.Configuration(
        consecutiveFailures: 2, openTime: .list([.nanoseconds(1), .nanoseconds(2)]),
        probeLease: .nanoseconds(2)),
      CircuitBreaker.Configuration(
        consecutiveFailures: nil, failureRate: 0.5, window: .count(2), minimumVolume: 2,
        openTime: .list([.nanoseconds(1), .nanoseconds(2)]), halfOpenPermits: 2,
        halfOpenSuccesses: 2, probeLease: .nanoseconds(2)),
      CircuitBreaker.Configuration(
        consecutiveFailures: 2, slowCalls: .init(longerThan: .nanoseconds(1), rate: 0.6),
        window: .count(2), minimumVolume: 2, openTime: .list([.nanoseconds(1), .nanoseconds(2)]),
        halfOpenPermits: 1, halfOpenSuccesses: 2, probeLease: .nanoseconds(2)),
    ])
  func allInterleavings(configuration: CircuitBreaker.Configuration) throws {
    var explorer = Explorer(BreakerRules(configuration))
    try explorer.explore(atMost: 1_000_000)
    print(
      "breaker: \(explorer.seen.count) states, \(explorer.steps) interleaved steps checked,",
      explorer.isComplete ? "every reachable state met" : "limit reached")
    #expect(explorer.isComplete || explorer.steps == 1_000_000)
    #expect(explorer.transitionsMet.count >= 12, "\(explorer.transitionsMet)")
  }
}

private enum Action: Hashable {
  case admit(caller: Int)
  case settle(caller: Int, BreakerStateMachine.Outcome)
  case pass
  case force(CircuitBreaker.State)
}

private struct Explorer {
  typealias State = CircuitBreaker.State

  struct World {
    var machine: BreakerStateMachine
    var now: Int64 = 0
    var permits: [BreakerPermit?] = [nil, nil, nil]
  }

  /// What of a world decides about its future, with times and eras relative to the present.
  struct Key: Hashable {
    var state: State
    var figures: [Int64]
    var history: [UInt8]
    var callers: [Int64]
  }

  struct Edge: Hashable {
    var from: State
    var to: State
  }

  let rules: BreakerRules
  var seen: Set<Key> = []
  var steps = 0
  var isComplete = false
  var transitionsMet: Set<Edge> = []

  init(_ rules: BreakerRules) { self.rules = rules }

  static let actions: [Action] =
    (0..<3).flatMap { caller in
      [Action.admit(caller: caller)]
        + [.success, .failure, .throttled(hint: 1), .neither].map { .settle(caller: caller, $0) }
    } + [.pass] + [.forcedOpen, .disabled, .metricsOnly, .closed, .open].map { .force($0) }

  mutating func explore(atMost limit: Int) throws {
    let start = World(
      machine: BreakerStateMachine(rules, generator: SeededGenerator(seed: 1)))
    var waiting = [start]
    seen.insert(key(start))
    while let world = waiting.popLast() {
      for action in Self.actions {
        guard let next = try step(world, action) else { continue }
        steps += 1
        if steps == limit { return }
        if seen.insert(key(next)).inserted { waiting.append(next) }
      }
    }
    isComplete = true
  }

  /// One step, checked; `nil` when the action is not possible here.
  private mutating func step(_ world: World, _ action: Action) throws -> World? {
    var next = world
    let before = world.machine
    var transition: BreakerStateMachine.Transition?
    switch action {
    case .admit(let caller):
      guard world.permits[caller] == nil else { return nil }
      (next.permits[caller], transition) = next.machine.admit(now: world.now)
      let state = next.machine.state
      let isFull = next.machine.calls.count >= rules.probePermits
      switch state {
      case .open, .forcedOpen: try #require(next.permits[caller] == nil)
      case .closed, .disabled, .metricsOnly: try #require(next.permits[caller] != nil)
      case .halfOpen: try #require(next.permits[caller] != nil || isFull)
      }
    case .settle(let caller, let outcome):
      guard let permit = world.permits[caller] else { return nil }
      next.permits[caller] = nil
      let settlement = next.machine.settle(permit, outcome, now: world.now)
      transition = settlement.transition
      if permit.era != before.era {
        let isUnchanged = key(next, ignoring: caller) == key(world, ignoring: caller)
        try #require(!settlement.counted && isUnchanged)
      }
      if outcome == .neither { try #require(transition == nil) }
    case .pass:
      next.now += 1
    case .force(let state):
      transition = next.machine.force(state, now: world.now)
    }
    try check(action, before, next.machine, transition)
    return next
  }

  private mutating func check(
    _ action: Action, _ before: BreakerStateMachine, _ after: BreakerStateMachine,
    _ transition: BreakerStateMachine.Transition?
  ) throws {
    if after.state == .halfOpen { try #require(after.calls.count <= rules.probePermits) }
    guard let transition else {
      try #require(before.state == after.state)
      let isReset = action == .force(.closed)
      try #require(after.era == before.era + (isReset ? 1 : 0))
      return
    }
    try #require(transition.from == before.state && transition.to == after.state)
    try #require(after.era == before.era + 1, "one era for each transition")
    if !isAdmission(action) { try #require(after.calls.count == 0) }
    transitionsMet.insert(Edge(from: transition.from, to: transition.to))
    let allowed: Bool =
      switch (action, transition.from, transition.to) {
      case (.force(let wanted), _, let to): to == wanted
      case (.admit, .open, .halfOpen), (.admit, .closed, .open), (.admit, .halfOpen, .open): true
      case (.settle(_, .success), .halfOpen, .closed): true
      case (.settle(_, .success), .closed, .open), (.settle(_, .success), .halfOpen, .open):
        // A success opens it by being slow, or by completing the volume of a bad window.
        true
      case (.settle(_, .failure), .closed, .open), (.settle(_, .failure), .halfOpen, .open): true
      case (.settle(_, .throttled), .closed, .open), (.settle(_, .throttled), .halfOpen, .open):
        true
      default: false
      }
    try #require(allowed, "\(action): \(transition)")
  }

  private func isAdmission(_ action: Action) -> Bool {
    if case .admit = action { true } else { false }
  }

  private func key(_ world: World, ignoring caller: Int? = nil) -> Key {
    let machine = world.machine
    let isFollowing = machine.state == .halfOpen || rules.followsCalls
    let isClosed = machine.state == .closed || machine.state == .metricsOnly
    return Key(
      state: machine.state,
      figures: [
        isClosed ? Int64(min(machine.consecutiveFailures, rules.consecutiveFailures, 3)) : 0,
        Int64(min(machine.openings, 2)), Int64(machine.probeSuccesses),
        machine.state == .open ? max(0, machine.openUntil - world.now) : 0,
      ],
      history: isClosed ? machine.window.history : [],
      callers: world.permits.enumerated().map { index, permit in
        // -1 for nobody or somebody whose result is ignored, then by what the ticket holds: nothing, or a call of some age.
        guard index != caller, let permit else { return -2 }
        guard permit.era == machine.era else { return -1 }
        guard isFollowing, permit.call != .untracked else { return 0 }
        var calls = machine.calls
        return calls.end(permit.call).map { min(world.now - $0, 4) + 1 } ?? -1
      })
  }
}
