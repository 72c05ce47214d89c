internal import ReliabilityCore

/// One alert over time: raised after trouble without a pause, cleared after its opposite without a pause.
///
/// | state | evidence | next state |
/// |---|---|---|
/// | quiet | trouble | pending, or raised when the minimum duration is zero |
/// | pending | trouble for the minimum duration | raised |
/// | pending | anything else | quiet |
/// | raised | well | clearing, or quiet when the clear duration is zero |
/// | clearing | well for the clear duration | quiet |
/// | clearing | anything else | raised |
///
/// Time is nanoseconds on the monitor's clock and never runs backwards.
struct AlertStateMachine: Hashable, Sendable {
  enum State: Hashable, Sendable {
    case quiet
    case pending(since: Int64)
    case raised
    case clearing(since: Int64)
  }

  enum Evidence: Hashable, Sendable {
    case trouble, well, none
  }

  enum Transition: Hashable, Sendable {
    case raised, cleared
  }

  let minimumDuration: Int64
  let clearDuration: Int64
  private(set) var state = State.quiet
  /// When it was last raised.
  private(set) var raisedAt: Int64?
  /// How often it was raised.
  private(set) var raisedCount = 0

  init(minimumDuration: Duration, clearDuration: Duration) {
    self.minimumDuration = minimumDuration.clamped.nanoseconds
    self.clearDuration = clearDuration.clamped.nanoseconds
  }

  var isRaised: Bool {
    switch state {
    case .quiet, .pending: false
    case .raised, .clearing: true
    }
  }

  /// Takes in what is known at a moment.
  mutating func observe(_ evidence: Evidence, at now: Int64) -> Transition? {
    switch (state, evidence) {
    case (.quiet, .trouble):
      state = .pending(since: now)
      return raiseIfDue(since: now, now)
    case (.pending(let since), .trouble):
      return raiseIfDue(since: since, now)
    case (.pending, _): state = .quiet
    case (.raised, .well):
      state = .clearing(since: now)
      return clearIfDue(since: now, now)
    case (.clearing(let since), .well):
      return clearIfDue(since: since, now)
    case (.clearing, _): state = .raised
    case (.quiet, _), (.raised, _): break
    }
    return nil
  }

  private mutating func raiseIfDue(since: Int64, _ now: Int64) -> Transition? {
    guard now.saturatingMinus(since) >= minimumDuration else { return nil }
    state = .raised
    raisedAt = now
    raisedCount += 1
    return .raised
  }

  private mutating func clearIfDue(since: Int64, _ now: Int64) -> Transition? {
    guard now.saturatingMinus(since) >= clearDuration else { return nil }
    state = .quiet
    return .cleared
  }
}

/// How much a counter grew in the last stretch of time, from at most 64 points.
struct GrowthWindow: Hashable, Sendable {
  private struct Point: Hashable, Sendable {
    var time: Int64
    var total: Double
  }

  let length: Int64
  private let spacing: Int64
  private var points: [Point] = []
  private var last: Double?
  private var total = 0.0

  init(_ length: Duration) {
    self.length = length.clamped.nanoseconds
    spacing = max(1, self.length / 60)
  }

  /// Takes in the counter's value.
  ///
  /// - Returns: How much it grew in the stretch that ends now: zero at the first value, from which the counting starts.
  mutating func grow(to value: Double, at now: Int64) -> Double {
    // A counter that fell was started again, and all it shows is new.
    if let last { total += value >= last ? value - last : max(0, value) }
    last = value
    let start = now.saturatingMinus(length)
    // The newest point that is not inside the stretch is where it begins.
    if let begin = points.lastIndex(where: { $0.time <= start }) { points.removeFirst(begin) }
    if points.last.map({ now.saturatingMinus($0.time) >= spacing }) ?? true {
      points.append(Point(time: now, total: total))
    }
    return total - points[0].total
  }
}

extension Int64 {
  func saturatingPlus(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  func saturatingMinus(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }
}
