internal import ReliabilityCore

/// The whole of an adaptive timeout's arithmetic: pure, without a clock, and never surprised by a value.
///
/// Time is nanoseconds on the monitor's clock; one that runs backwards stands still.
struct ProgressStateMachine: Sendable {
  struct Rules: Sendable {
    var base: Int64
    var baseIsLearned = false
    var maximum: Int64
    var stall: Int64?
    var network: Int64?
    var isAdaptive: Bool
    var margin: Double
    var minimumSpeed: Double
    var fastTimeConstant: Double
    var slowTimeConstant: Double
  }

  enum Unit: Sendable {
    case bytes, fraction
  }

  /// The limits, by what they are about.
  enum Limit: Sendable {
    case total, network, stall, heartbeats
  }

  let rules: Rules
  let start: Int64
  private(set) var now: Int64
  private(set) var unit = Unit.bytes
  private(set) var completed: Double?
  private(set) var total: Double?
  private(set) var lastProgress: Int64?
  private(set) var fast = MovingSpeed()
  private(set) var slow = MovingSpeed()
  /// Progress since the averages were last brought up to date, and when that was.
  private var pending = 0.0
  private var averagedAt: Int64
  private var window: ProgressWindow?
  private(set) var heartbeats: PhiAccrualDetector?
  private(set) var pressure = 0.0
  /// The highest so far: time that was granted is not taken back.
  private var peakPressure = 0.0
  /// How long the work may take without pressure.
  private(set) var plainLimit: Int64
  private(set) var isEstimate = false

  init(_ rules: Rules, heartbeats: PhiAccrualDetector? = nil, start: Int64) {
    self.rules = rules
    self.start = start
    self.heartbeats = heartbeats
    now = start
    averagedAt = start
    plainLimit = min(rules.base, rules.maximum)
    if let stall = rules.stall, rules.minimumSpeed > 0 {
      window = ProgressWindow(length: stall, required: rules.minimumSpeed * Double(stall) / 1e9)
    }
  }

  /// How often the averages are brought up to date: a hundredth of the fast one's time constant.
  private var averagingInterval: Double { rules.fastTimeConstant / 100 }

  /// The work has come so far.
  ///
  /// NaN is no report, what is negative counts as zero. A step backwards is a new beginning and no progress.
  ///
  /// - Returns: Whether a limit may have come nearer by it.
  mutating func report(
    completed value: Double, of total: Double?, _ unit: Unit, at time: Int64
  ) -> Bool {
    advance(to: time)
    guard !value.isNaN else { return false }
    let value = min(max(0, value), .greatestFiniteMagnitude)
    if unit != self.unit {
      // Speeds of another unit say nothing, and neither does the way from one to the other.
      self.unit = unit
      self.total = nil
      (fast, slow, pending, averagedAt) = (MovingSpeed(), MovingSpeed(), 0, now)
      if completed != nil { completed = value }
    }
    if let total, total > 0, total.isFinite { self.total = total }
    let step = value - (completed ?? 0)
    completed = value
    if step < 0 {
      pending = 0
      return false
    }
    guard step > 0 else { return false }
    let isFirst = lastProgress == nil
    lastProgress = now
    pending += step
    let elapsed = elapsed
    window?.add(step, at: elapsed)
    let sinceAverage = Double(now.saturatingMinus(averagedAt)) / 1e9
    guard sinceAverage > 0, sinceAverage >= averagingInterval else { return isFirst }
    fast.add(pending / sinceAverage, over: sinceAverage, timeConstant: rules.fastTimeConstant)
    slow.add(pending / sinceAverage, over: sinceAverage, timeConstant: rules.slowTimeConstant)
    (pending, averagedAt) = (0, now)
    estimate()
    return true
  }

  /// The work has come so much further.
  mutating func advance(by step: Double, _ unit: Unit, at time: Int64) -> Bool {
    let present = unit == self.unit ? completed ?? 0 : 0
    return report(completed: present + max(0, step), of: nil, unit, at: time)
  }

  /// A sign of life that is no progress.
  mutating func heartbeat(at time: Int64) {
    advance(to: time)
    heartbeats?.heartbeat(at: .nanoseconds(now))
  }

  /// How busy the machine is; anything outside 0 to 1 is brought into it, NaN counts as 0.
  mutating func setPressure(_ value: Double, at time: Int64) {
    advance(to: time)
    pressure = value > 0 ? min(value, 1) : 0
    peakPressure = max(peakPressure, pressure)
  }

  mutating func advance(to time: Int64) { now = max(now, time) }

  /// How long the rest takes at the slower of the two speeds, in seconds; `nil` when nobody can know.
  var remaining: Double? {
    guard let completed, let total, let fast = fast.value, let slow = slow.value else { return nil }
    let speed = min(fast, slow)
    let left = max(0, total - completed)
    if left == 0 { return 0 }
    guard speed > 0 else { return nil }
    return left / speed
  }

  /// Moves the limit to where the estimate puts it.
  private mutating func estimate() {
    guard rules.isAdaptive, let remaining else { return }
    // Work that has come so far gets at least the patience that a pause would get: what is left may be small, and the bytes
    // are not all of it.
    let grace = min(rules.stall ?? rules.base, rules.base)
    let left = max(Int64(clampedSeconds: remaining * rules.margin), grace)
    let wanted = elapsed.saturatingPlus(left)
    let limit = min(max(wanted, rules.base), rules.maximum)
    // A trickle earns no time, but keeps what it has.
    if unit == .bytes, let speed = fast.value, speed < rules.minimumSpeed, limit > plainLimit {
      return
    }
    plainLimit = limit
    isEstimate = wanted > rules.base
  }

  var elapsed: Int64 { max(0, now.saturatingMinus(start)) }

  /// How long the work may take, from its start.
  var limit: Int64 { stretched(plainLimit, by: peakPressure) }

  /// How long the work may go on without progress.
  var stallLimit: Int64? { rules.stall.map { stretched($0, by: pressure) } }

  /// How long the first progress may take.
  var networkLimit: Int64? { rules.network.map { stretched($0, by: pressure) } }

  /// A limit made longer by pressure, and no longer than the maximum.
  private func stretched(_ limit: Int64, by pressure: Double) -> Int64 {
    guard pressure > 0 else { return min(limit, rules.maximum) }
    let more = Int64(clampedSeconds: Double(limit) / 1e9 * pressure)
    return min(limit.saturatingPlus(more), rules.maximum)
  }

  /// The limit that passes first unless there is progress, and when: nanoseconds on the clock.
  var next: (limit: Limit, at: Int64) {
    var first = (limit: Limit.total, at: start.saturatingPlus(limit))
    func consider(_ limit: Limit, _ at: Int64) {
      if at < first.at { first = (limit, at) }
    }
    if let lastProgress {
      if let stallLimit, let stall = rules.stall {
        let end = window.map { start.saturatingPlus($0.end) } ?? lastProgress.saturatingPlus(stall)
        consider(.stall, end.saturatingPlus(max(0, stallLimit.saturatingMinus(stall))))
      }
    } else if let networkLimit {
      consider(.network, start.saturatingPlus(networkLimit))
    } else if let stallLimit {
      consider(.stall, start.saturatingPlus(stallLimit))
    }
    if let silent = heartbeats?.silentSinceOrigin { consider(.heartbeats, silent.nanoseconds) }
    return first
  }

  /// Which limit has passed; `nil` while none has.
  var passed: Limit? {
    let next = next
    return next.at <= now ? next.limit : nil
  }
}

/// A speed, averaged over time and not over samples: what happened long ago counts less, however many samples there were.
///
/// Source: the exponentially weighted moving average for samples at irregular times, a = 1 - exp(-dt / tau).
struct MovingSpeed: Hashable, Sendable {
  private(set) var value: Double?

  mutating func add(_ sample: Double, over elapsed: Double, timeConstant: Double) {
    guard sample.isFinite else { return }
    guard let value else {
      self.value = sample
      return
    }
    let weight = 1 - exponential(-elapsed / timeConstant)
    self.value = value + weight * (sample - value)
  }
}

/// How much was done in the last stretch of time, in sixteen buckets that slide.
///
/// Time is nanoseconds since the start of the work.
struct ProgressWindow: Sendable {
  private static let bucketCount: Int64 = 16

  private let length: Int64
  private let width: Int64
  private let required: Double
  /// The newest last: number of the bucket and what was done in it.
  private var buckets: [(number: Int64, amount: Double)] = []

  init(length: Int64, required: Double) {
    self.length = length
    width = max(1, length / Self.bucketCount)
    self.required = required
  }

  mutating func add(_ amount: Double, at time: Int64) {
    let number = time / width
    if buckets.last?.number == number {
      buckets[buckets.count - 1].amount += amount
    } else {
      buckets.append((number, amount))
      if buckets.count > Int(Self.bucketCount) + 1 { buckets.removeFirst() }
    }
  }

  /// When too little will have been done in the last stretch, unless more is done.
  ///
  /// Before a whole stretch has passed nobody is judged.
  var end: Int64 {
    var sum = 0.0
    for bucket in buckets.reversed() {
      sum += bucket.amount
      if sum >= required {
        let end = bucket.number.saturatingPlus(1).multipliedReportingOverflow(by: width)
        return (end.overflow ? .max : end.partialValue).saturatingPlus(length)
      }
    }
    return length
  }
}

extension Int64 {
  /// Nanoseconds of so many seconds, between zero and the most there is; NaN counts as zero.
  init(clampedSeconds seconds: Double) {
    guard seconds > 0 else {
      self = 0
      return
    }
    self = seconds < 9e9 ? Int64(seconds * 1e9) : .max
  }

  func saturatingPlus(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }

  func saturatingMinus(_ other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }
}
