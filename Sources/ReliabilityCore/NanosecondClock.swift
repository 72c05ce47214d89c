public import CReliability

/// A time source read as whole nanoseconds, for code that reads it on every call.
///
/// An instant has a layout of the system library's own, and a `Duration` is 128 bits wide: to read, subtract and convert
/// one costs twice what the kernel's clock costs. `ContinuousClock` is read directly here; any other source as it is.
@usableFromInline package struct NanosecondClock: Sendable {
  /// The time source behind it.
  package let source: any TimeSource

  @usableFromInline let isContinuous: Bool
  @usableFromInline let offset: Int64

  /// Makes a reader of a time source.
  package init(_ source: any TimeSource) {
    self.source = source
    #if os(Linux)
      isContinuous = source is ContinuousClock
    #else
      isContinuous = false
    #endif
    offset = Self.bootToOrigin
  }

  /// Nanoseconds since the origin of instants; negative before it.
  @inlinable package var now: Int64 {
    isContinuous ? creliability_boot_nanoseconds() &+ offset : sourceNow
  }

  @inline(never) @usableFromInline var sourceNow: Int64 { Self.nanoseconds(of: source.now) }

  /// The nanoseconds of an instant, on the same scale as ``now``.
  package static func nanoseconds(of instant: ContinuousClock.Instant) -> Int64 {
    instant.sinceOrigin.nanoseconds
  }

  /// What to add to the time since the start of the machine.
  ///
  /// Both clocks are the same one, read one after the other; of several pairs the closest counts.
  private static let bootToOrigin: Int64 = {
    var closest = Int64.min
    for _ in 0..<8 {
      let sinceOrigin = nanoseconds(of: ContinuousClock.now)
      closest = max(closest, sinceOrigin - creliability_boot_nanoseconds())
    }
    return closest
  }()
}
