/// How the latest calls ended: the last so many, or those of the last so many seconds.
///
/// By count it is a ring of one byte a call. By time it is a ring of buckets that slides a bucket at a time, so that a
/// failure is forgotten after the window's length and at most a bucket less. Recording is O(1).
struct OutcomeWindow {
  /// So many calls, so many of which failed, and so many were slow.
  struct Tally: Hashable, Sendable {
    var calls = 0
    var failures = 0
    var slowCalls = 0
  }

  /// What the window holds now.
  private(set) var tally = Tally()

  // By count. Grows to its size as calls come.
  private let capacity: Int
  private var outcomes: [UInt8] = []
  private var oldest = 0

  // By time.
  private let bucketWidth: Int64
  private let bucketCount: Int
  private var buckets: [Tally] = []
  private var current = 0
  private var currentEnd = BreakerTime.distantPast

  private static let failed: UInt8 = 1
  private static let slow: UInt8 = 2

  init(_ shape: BreakerRules.WindowShape) {
    switch shape {
    case .none: (capacity, bucketWidth, bucketCount) = (0, 0, 0)
    case .count(let calls): (capacity, bucketWidth, bucketCount) = (calls, 0, 0)
    case .time(let width, let count): (capacity, bucketWidth, bucketCount) = (0, width, count)
    }
  }

  /// Counts a call that ended.
  mutating func record(failed: Bool, slow: Bool, at now: Int64) {
    if capacity > 0 {
      let outcome = (failed ? Self.failed : 0) | (slow ? Self.slow : 0)
      if outcomes.count < capacity {
        outcomes.append(outcome)
        tally.calls += 1
      } else {
        let forgotten = outcomes[oldest]
        outcomes[oldest] = outcome
        oldest = oldest + 1 == capacity ? 0 : oldest + 1
        if forgotten != 0 {
          if forgotten & Self.failed != 0 { tally.failures -= 1 }
          if forgotten & Self.slow != 0 { tally.slowCalls -= 1 }
        }
      }
    } else if bucketCount > 0 {
      advance(to: now)
      if buckets.isEmpty { buckets = Array(repeating: Tally(), count: bucketCount) }
      buckets[current].calls += 1
      if failed { buckets[current].failures += 1 }
      if slow { buckets[current].slowCalls += 1 }
      tally.calls += 1
    } else {
      return
    }
    if failed { tally.failures += 1 }
    if slow { tally.slowCalls += 1 }
  }

  /// Counts a call that succeeded in time; the same as ``record(failed:slow:at:)``, where that happens most.
  @inline(__always)
  mutating func recordSuccess(at now: Int64) {
    if capacity > 0, outcomes.count == capacity, outcomes[oldest] == 0 {
      oldest = oldest + 1 == capacity ? 0 : oldest + 1
    } else if bucketCount > 0, now < currentEnd, !buckets.isEmpty {
      buckets[current].calls += 1
      tally.calls += 1
    } else if capacity + bucketCount > 0 {
      record(failed: false, slow: false, at: now)
    }
  }

  /// Forgets what is older than the window.
  mutating func advance(to now: Int64) {
    guard bucketCount > 0, now >= currentEnd else { return }
    let steps = (now - currentEnd) / bucketWidth + 1
    currentEnd += steps * bucketWidth
    guard !buckets.isEmpty else { return }
    for _ in 0..<min(steps, Int64(bucketCount)) {
      current = current + 1 == bucketCount ? 0 : current + 1
      tally.calls -= buckets[current].calls
      tally.failures -= buckets[current].failures
      tally.slowCalls -= buckets[current].slowCalls
      buckets[current] = Tally()
    }
  }

  /// Forgets everything.
  mutating func clear() {
    tally = Tally()
    outcomes.removeAll(keepingCapacity: true)
    oldest = 0
    for index in buckets.indices { buckets[index] = Tally() }
  }
}

extension OutcomeWindow {
  /// The outcomes of a window by count, oldest first: bit 0 for failed, bit 1 for slow.
  var history: [UInt8] { Array(outcomes[oldest...] + outcomes[..<oldest]) }

  /// The buckets of a window by time, oldest first, and how much of the youngest one's time is over.
  func ages(at now: Int64) -> (buckets: [Tally], intoCurrent: Int64) {
    var copy = self
    copy.advance(to: now)
    guard !copy.buckets.isEmpty else { return ([], 0) }
    let ordered = copy.buckets[(copy.current + 1)...] + copy.buckets[...copy.current]
    return (Array(ordered), copy.bucketWidth - max(0, copy.currentEnd - now))
  }

  /// Takes over what another window by count held; the latest calls when it was larger.
  mutating func restore(history: [UInt8]) {
    clear()
    guard capacity > 0 else { return }
    for outcome in history.suffix(capacity) {
      record(failed: outcome & Self.failed != 0, slow: outcome & Self.slow != 0, at: 0)
    }
  }

  /// Takes over what another window by time held.
  ///
  /// - Parameters:
  ///   - old: Its buckets, oldest first; one of another shape is not taken over.
  ///   - age: How long ago the youngest of them began.
  mutating func restore(buckets old: [Tally], age: Int64, at now: Int64) {
    clear()
    guard bucketCount > 0, old.count == bucketCount else { return }
    buckets = old
    current = bucketCount - 1
    for bucket in old {
      tally.calls += bucket.calls
      tally.failures += bucket.failures
      tally.slowCalls += bucket.slowCalls
    }
    currentEnd = now - age + bucketWidth
    advance(to: now)
  }
}
