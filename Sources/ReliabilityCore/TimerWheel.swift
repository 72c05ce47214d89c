/// A hierarchical timing wheel of alarms: insert and remove in constant time, whatever the number of alarms.
///
/// Eight levels of 64 slots. An alarm stands at the level of the highest bit in which its tick differs from the
/// present one; when time reaches a slot of a higher level, its alarms move down ("cascade"), at most once a level.
/// Removing an alarm, by far the commonest end of a timeout, unlinks it and touches nothing else.
///
/// Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 7.
///
/// The wheel knows no clock and no lock; ``DeadlineScheduler`` gives it both. It holds one reference to each alarm
/// that waits.
@safe package struct TimerWheel: ~Copyable {
  private static let bitsPerLevel: UInt64 = 6
  private static let slotsPerLevel = 64
  private static let levels = 8

  /// The largest tick a wheel can hold: 48 bits, 600 years of the scheduler's 70 µs ticks.
  package static let lastTick: UInt64 = 1 << (bitsPerLevel * UInt64(levels)) - 1

  /// Every tick up to this one has been processed.
  package private(set) var tick: UInt64 = 0
  /// How many alarms wait.
  package private(set) var count = 0

  // First alarm of each slot, whose `previous` is the last one; and for each level a bit for each slot that is not empty. The bits are changed through
  // `pointee`: with the thread sanitizer, Swift 6.3 crashes on a subscript of this pointer as the target of `&=`.
  private let slots: UnsafeMutablePointer<Unmanaged<Alarm>?>
  private let occupied: UnsafeMutablePointer<UInt64>

  package init() {
    unsafe slots = .allocate(capacity: Self.levels * Self.slotsPerLevel)
    unsafe slots.initialize(repeating: nil, count: Self.levels * Self.slotsPerLevel)
    unsafe occupied = .allocate(capacity: Self.levels)
    unsafe occupied.initialize(repeating: 0, count: Self.levels)
  }

  deinit {
    for slot in 0..<Self.levels * Self.slotsPerLevel {
      var next = unsafe slots[slot]
      while let reference = unsafe next {
        unsafe next = reference._withUnsafeGuaranteedRef { unsafe $0.link.next }
        unsafe reference.release()
      }
    }
    unsafe slots.deallocate()
    unsafe occupied.deallocate()
  }

  /// Adds an alarm that goes off at a tick; a tick that has passed means the next one.
  ///
  /// - Returns: The tick it stands at.
  package mutating func insert(_ alarm: Alarm, at wanted: UInt64) -> UInt64 {
    precondition(alarm.link.state == .idle, "an alarm is scheduled once in its life")
    alarm.link.state = .waiting
    alarm.link.tick = min(max(wanted, tick + 1), Self.lastTick)
    count += 1
    unsafe link(Unmanaged.passRetained(alarm))
    return alarm.link.tick
  }

  /// Takes an alarm out.
  ///
  /// - Returns: Whether it was waiting. When it was, the caller owns the reference the wheel held, and releases it
  ///   outside its lock.
  package mutating func remove(_ alarm: Alarm) -> Bool {
    guard alarm.link.state == .waiting else {
      // Marks one that was never scheduled too: the work is over before it began to wait.
      return false
    }
    alarm.link.state = .done
    count -= 1
    let slot = Int(alarm.link.slot)
    let (next, previous) = unsafe (alarm.link.next, alarm.link.previous!)
    let first = unsafe slots[slot]!
    if unsafe first.toOpaque() == Unmanaged.passUnretained(alarm).toOpaque() {
      unsafe slots[slot] = next
      unsafe next?._withUnsafeGuaranteedRef { unsafe $0.link.previous = previous }
      if unsafe next == nil {
        unsafe (occupied + slot / Self.slotsPerLevel).pointee &=
          ~(1 << UInt64(slot % Self.slotsPerLevel))
      }
    } else {
      unsafe previous._withUnsafeGuaranteedRef { unsafe $0.link.next = next }
      unsafe (next ?? first)._withUnsafeGuaranteedRef { unsafe $0.link.previous = previous }
    }
    unsafe alarm.link.next = nil
    unsafe alarm.link.previous = nil
    return true
  }

  /// The tick at which ``advance(to:)`` has something to do next, or `nil` when no alarm waits.
  ///
  /// Never later than the earliest alarm; earlier when alarms must move down a level first.
  package var nextTick: UInt64? {
    nextSlot.map { $0.start }
  }

  /// Moves time forward and takes out every alarm that is due.
  ///
  /// - Returns: The due alarms in the order of their ticks, and of one tick in the order in which they were added: of
  ///   nested limits that end together the outer one goes off first. The caller owns them.
  package mutating func advance(to now: UInt64) -> DueAlarms {
    var due = DueAlarms()
    while let (slot, start) = nextSlot, start <= now {
      tick = max(tick, start)
      var next = unsafe slots[slot]
      unsafe slots[slot] = nil
      unsafe (occupied + slot / Self.slotsPerLevel).pointee &=
        ~(1 << UInt64(slot % Self.slotsPerLevel))
      while let reference = unsafe next {
        let alarm = unsafe reference.takeUnretainedValue()
        unsafe next = alarm.link.next
        unsafe alarm.link.next = nil
        unsafe alarm.link.previous = nil
        if alarm.link.tick <= tick {
          alarm.link.state = .done
          count -= 1
          unsafe due.append(reference)
        } else {
          unsafe link(reference)
        }
      }
    }
    tick = max(tick, now)
    return due
  }

  /// Puts an alarm behind the others in the slot of its tick.
  private mutating func link(_ reference: Unmanaged<Alarm>) {
    unsafe reference._withUnsafeGuaranteedRef { alarm in
      let difference = (alarm.link.tick ^ tick) | (UInt64(Self.slotsPerLevel) - 1)
      let level = (63 - difference.leadingZeroBitCount) / Int(Self.bitsPerLevel)
      let position = Int(
        (alarm.link.tick >> (Self.bitsPerLevel * UInt64(level))) & UInt64(Self.slotsPerLevel - 1))
      let slot = level * Self.slotsPerLevel + position
      alarm.link.slot = UInt16(slot)
      unsafe alarm.link.next = nil
      if let first = unsafe slots[slot] {
        let last = unsafe first._withUnsafeGuaranteedRef { first in
          let last = unsafe first.link.previous!
          unsafe first.link.previous = reference
          return unsafe last
        }
        unsafe last._withUnsafeGuaranteedRef { unsafe $0.link.next = reference }
        unsafe alarm.link.previous = last
      } else {
        unsafe slots[slot] = reference
        unsafe alarm.link.previous = reference
      }
      unsafe (occupied + level).pointee |= 1 << UInt64(position)
    }
  }

  /// The slot that comes next, and the first tick it covers.
  ///
  /// A lower level always comes before a higher one.
  private var nextSlot: (slot: Int, start: UInt64)? {
    guard count > 0 else { return nil }
    for level in 0..<Self.levels {
      let bits = unsafe occupied[level]
      guard bits != 0 else { continue }
      let shift = Self.bitsPerLevel * UInt64(level)
      let present = (tick >> shift) & UInt64(Self.slotsPerLevel - 1)
      // Nothing stands before the present position: it would have been processed.
      let position = UInt64((bits & (~0 << present)).trailingZeroBitCount)
      let above = (tick >> shift) & ~UInt64(Self.slotsPerLevel - 1)
      return (level * Self.slotsPerLevel + Int(position), (above | position) << shift)
    }
    return nil
  }
}

/// Alarms that are due, in order, each to be fired once outside the lock.
@safe package struct DueAlarms: ~Copyable {
  private var first: Unmanaged<Alarm>?
  private var last: Unmanaged<Alarm>?

  fileprivate init() {}

  fileprivate mutating func append(_ reference: Unmanaged<Alarm>) {
    if let last = unsafe last {
      unsafe last._withUnsafeGuaranteedRef { unsafe $0.link.next = reference }
    } else {
      unsafe first = reference
    }
    unsafe last = reference
  }

  /// Fires every alarm and gives up its reference.
  package consuming func fire() {
    var next = unsafe first
    while let reference = unsafe next {
      let alarm = unsafe reference.takeRetainedValue()
      unsafe next = alarm.link.next
      unsafe alarm.link.next = nil
      alarm.fire()
    }
  }
}
