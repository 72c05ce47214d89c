public import ReliabilityCore

/// Answers questions about the recent past: how many, how large, in the last five minutes or the last hour.
///
///     let durations = WindowedHistogram()
///     durations.record(.milliseconds(120))
///     let lastHour = durations.snapshot(over: .seconds(3600))
///     print(lastHour.count, lastHour.quantile(0.95) ?? 0)
///
/// Values go into slots of equal length, each a histogram of its own; a question about a stretch of time adds up the slots
/// that it touches. Two rings are kept, one fine and one coarse, so that an hour is answered to the minute and a day to the
/// hour in little memory: a slot takes a few hundred bytes to a few kilobytes, and only if something was recorded in it.
///
/// Time is monotonic: a jump of the wall clock moves nothing.
public final class WindowedHistogram: Sendable {
  /// How long the slots of a ring are, and how many there are.
  public struct Resolution: Hashable, Sendable {
    /// The length of a slot.
    public var slot: Duration
    /// How many slots are kept.
    public var count: Int

    /// Makes a resolution.
    ///
    /// - Parameters:
    ///   - slot: The length of a slot, greater than zero.
    ///   - count: How many slots are kept, 1 to 10,000.
    public init(slot: Duration, count: Int) {
      self.slot = slot
      self.count = count
    }

    /// Sixty minutes.
    public static let minutes = Resolution(slot: .seconds(60), count: 60)
    /// Twenty-four hours.
    public static let hours = Resolution(slot: .seconds(3600), count: 24)
  }

  private let clock: any TimeSource
  private let rings: Lock<(fine: SlotRing, coarse: SlotRing)>

  /// Makes an empty histogram.
  ///
  /// A bad resolution is a programmer's error and traps.
  ///
  /// - Parameters:
  ///   - fine: The resolution for short stretches; 60 minutes unless given.
  ///   - coarse: The resolution for long ones; 24 hours unless given. Its slots are at least as long as the fine ones.
  ///   - clock: The time.
  public init(
    fine: Resolution = .minutes, coarse: Resolution = .hours,
    clock: any TimeSource = ContinuousClock()
  ) {
    requireValid { () throws(ConfigurationError) in
      for (name, ring) in [("fine", fine), ("coarse", coarse)] {
        try check(ring.slot > .zero, "\(name).slot", "must be greater than zero")
        try check((1...10_000).contains(ring.count), "\(name).count", "must be 1 to 10,000")
      }
      try check(coarse.slot >= fine.slot, "coarse.slot", "must be no shorter than fine.slot")
    }
    self.clock = clock
    rings = Lock((SlotRing(fine), SlotRing(coarse)))
  }

  /// Records a value.
  ///
  /// - Parameter value: Any value; see ``HistogramSnapshot/record(_:)``.
  public func record(_ value: Double) {
    let now = clock.now.sinceOrigin
    rings.withLock { rings in
      rings.fine.record(value, at: now)
      rings.coarse.record(value, at: now)
    }
  }

  /// Records a duration, in seconds.
  public func record(_ duration: Duration) {
    record(duration / .seconds(1))
  }

  /// The values of the last stretch of time.
  ///
  /// Answered by the ring that reaches back so far, the fine one if it can. Values are included from the beginning of the slot
  /// in which the stretch begins, so it may be longer than asked by up to a slot.
  ///
  /// - Parameter stretch: How far back. Zero and less mean the present slot; more than is kept means all that is kept.
  /// - Complexity: O(slots of the ring).
  public func snapshot(over stretch: Duration) -> HistogramSnapshot {
    let now = clock.now.sinceOrigin
    return rings.withLock { rings in
      rings.fine.reach >= stretch
        ? rings.fine.sum(of: stretch, at: now) : rings.coarse.sum(of: stretch, at: now)
    }
  }
}

/// A ring of slots, each for one stretch of time, made empty when its turn comes again.
struct SlotRing: Sendable {
  private struct Slot: Sendable {
    var number: Int64 = .min
    var values = HistogramSnapshot()
  }

  private let length: Int64
  private var slots: [Slot]

  init(_ resolution: WindowedHistogram.Resolution) {
    length = max(1, resolution.slot.nanoseconds)
    // One more than asked for: the present slot is never whole.
    slots = Array(repeating: Slot(), count: resolution.count + 1)
  }

  /// How far back every question is answered in full.
  var reach: Duration {
    let (reach, overflow) = length.multipliedReportingOverflow(by: Int64(slots.count - 1))
    return .nanoseconds(overflow ? .max : reach)
  }

  mutating func record(_ value: Double, at now: Duration) {
    let number = slotNumber(atNanosecond: now.nanoseconds)
    let index = self.index(of: number)
    // A slot of the future can't be: time is monotonic. One of the past gives way.
    if slots[index].number != number { slots[index] = Slot(number: number) }
    slots[index].values.record(value)
  }

  func sum(of stretch: Duration, at now: Duration) -> HistogramSnapshot {
    let last = slotNumber(atNanosecond: now.nanoseconds)
    // What was not overwritten since may be older than the ring says it keeps.
    let oldest = last - Int64(slots.count - 1)
    // In nanoseconds, since instants may lie before the origin.
    let (begin, overflow) = now.nanoseconds.subtractingReportingOverflow(
      max(stretch, .zero).nanoseconds)
    let first = overflow ? oldest : max(oldest, slotNumber(atNanosecond: begin))
    var result = HistogramSnapshot()
    for slot in slots where slot.number >= first && slot.number <= last {
      result.merge(slot.values)
    }
    return result
  }

  private func slotNumber(atNanosecond time: Int64) -> Int64 {
    let (quotient, remainder) = time.quotientAndRemainder(dividingBy: length)
    return remainder < 0 ? quotient - 1 : quotient
  }

  private func index(of number: Int64) -> Int {
    let remainder = Int(number % Int64(slots.count))
    return remainder < 0 ? remainder + slots.count : remainder
  }
}
