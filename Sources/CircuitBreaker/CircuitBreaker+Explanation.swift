extension CircuitBreaker {
  /// Why a breaker is in its state, in figures, and what would change it, in words.
  ///
  ///     print(breaker.explain())
  ///     // closed, 3 of 12 calls failed; opens at 50 % of at least 20 calls
  public struct Explanation: Hashable, Sendable {
    /// The state now.
    public let state: State
    /// Why it is in this state.
    public let cause: Cause
    /// The era it is in.
    public let era: UInt64
    /// How many results the window holds; zero where no rate is asked for.
    public let calls: Int
    /// How many of them are failures.
    public let failures: Int
    /// How many of them were slow.
    public let slowCalls: Int
    /// How many calls are in flight and slow already.
    public let slowCallsInFlight: Int
    /// How many failures there were since the last success.
    public let consecutiveFailures: Int
    /// The threshold that is reached now; not `nil` only in ``State/metricsOnly``, where nothing comes of it.
    public let reachedThreshold: Cause?
    /// What is left of the open time; `nil` when it is not open for a time.
    public let remainingOpenTime: Duration?
    /// How many probes are out.
    public let probesInFlight: Int
    /// How many probes have succeeded.
    public let probeSuccesses: Int
    /// What would change the state, one sentence each: what is missing to open, what to wait for, whom to ask.
    public let changes: [String]
  }

  /// Says why the breaker is in its state and what would change it.
  public func explain() -> Explanation {
    inspect { guarded, now in Explanation(guarded.machine.advanced(to: now), now: now) }
  }
}

extension CircuitBreaker.Explanation {
  init(_ machine: BreakerStateMachine, now: Int64) {
    let tally = machine.window.tally
    state = machine.state
    cause = machine.cause
    era = machine.era
    calls = tally.calls
    failures = tally.failures
    slowCalls = tally.slowCalls
    let isHalfOpen = machine.state == .halfOpen
    slowCallsInFlight = isHalfOpen ? 0 : machine.calls.overdueCount
    consecutiveFailures = machine.consecutiveFailures
    reachedThreshold = machine.state == .metricsOnly ? machine.reachedThreshold : nil
    remainingOpenTime = machine.remainingOpenTime(at: now).map { .nanoseconds($0) }
    probesInFlight = isHalfOpen ? machine.calls.count : 0
    probeSuccesses = machine.probeSuccesses
    changes = Self.changes(of: machine, remaining: remainingOpenTime)
  }

  private static func changes(
    of machine: BreakerStateMachine, remaining: Duration?
  ) -> [String] {
    let rules = machine.rules
    switch machine.state {
    case .closed: return openings(machine, verb: "opens")
    case .metricsOnly:
      return openings(machine, verb: "would open") + ["reset() puts it to work"]
    case .open: return ["the first call after \(seconds(remaining ?? .zero)) is a probe"]
    case .halfOpen:
      let missing = rules.probeSuccesses - machine.probeSuccesses
      return [
        "closes after \(missing) more successful \(missing == 1 ? "probe" : "probes")",
        "opens when a probe fails",
      ]
    case .forcedOpen, .disabled: return ["a person said so; reset() puts it to work"]
    }
  }

  /// What is missing to each threshold.
  private static func openings(_ machine: BreakerStateMachine, verb: String) -> [String] {
    let rules = machine.rules
    let tally = machine.window.tally
    var changes: [String] = []
    if rules.consecutiveFailures < .max {
      changes.append(
        "\(verb) at \(rules.consecutiveFailures) failures in a row; \(machine.consecutiveFailures) so far"
      )
    }
    func rate(_ threshold: Double, _ what: String, _ known: Int) {
      guard threshold <= 1 else { return }
      let missing = rules.minimumVolume - known
      changes.append(
        "\(verb) when \(percent(threshold)) of at least \(rules.minimumVolume) calls \(what)"
          + (missing > 0 ? "; \(missing) more calls are needed before that means anything" : ""))
    }
    rate(rules.failureRate, "failed", tally.calls)
    rate(rules.slowCallRate, "are slow", tally.calls + machine.calls.overdueCount)
    return changes
  }

  /// To the millisecond: more digits help nobody.
  private static func seconds(_ duration: Duration) -> String {
    "\((duration / .milliseconds(1)).rounded() / 1000) seconds"
  }

  private static func percent(_ rate: Double) -> String {
    let tenths = Int((rate * 1000).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10) %" : "\(tenths / 10).\(tenths % 10) %"
  }
}

extension CircuitBreaker.Explanation: CustomStringConvertible {
  /// The state, the figures, and what would change it.
  public var description: String {
    var parts = ["\(state)" + (cause == .initial ? "" : " (\(cause))")]
    if calls > 0 { parts.append("\(failures) of \(calls) calls failed") }
    if slowCalls + slowCallsInFlight > 0 {
      parts.append("\(slowCalls) were slow, \(slowCallsInFlight) in flight are")
    }
    if let reachedThreshold { parts.append("\(reachedThreshold) is reached") }
    if state == .halfOpen { parts.append("\(probesInFlight) probes are out") }
    return ([parts.joined(separator: ", ")] + changes).joined(separator: "; ")
  }
}
