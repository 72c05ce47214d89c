internal import CReliability

/// A moment as it is written to a file: still good for measuring after a restart of the program or of the machine.
///
/// Until the machine starts again, two moments are as far apart as its own clock says, whatever became of the wall clock.
/// After that only the wall clock is left, and it is believed within bounds.
package struct PersistedMoment: Hashable, Sendable, Codable {
  /// Nanoseconds on the wall clock since 1970.
  package var wall: Int64

  /// The kernel's name for this start of the machine; empty where it has none.
  package var bootID: String

  /// Nanoseconds since the machine started, suspended time included.
  package var sinceBoot: Int64

  /// Makes a moment from its parts.
  package init(wall: Int64, bootID: String, sinceBoot: Int64) {
    (self.wall, self.bootID, self.sinceBoot) = (wall, bootID, sinceBoot)
  }

  /// The moment now.
  package static var now: PersistedMoment {
    PersistedMoment(
      wall: creliability_wall_nanoseconds(), bootID: currentBoot,
      sinceBoot: creliability_boot_nanoseconds())
  }

  /// How much time passed from this moment to a later one.
  ///
  /// - Parameter limit: The longest answer: the length of what was being waited for.
  /// - Returns: Between zero and the limit.
  package func elapsed(until later: PersistedMoment, atMost limit: Duration) -> Duration {
    let isSameBoot = !bootID.isEmpty && bootID == later.bootID
    let (difference, overflow) =
      isSameBoot
      ? later.sinceBoot.subtractingReportingOverflow(sinceBoot)
      : later.wall.subtractingReportingOverflow(wall)
    if overflow { return (isSameBoot ? sinceBoot : wall) < 0 ? limit.clamped : .zero }
    return min(.nanoseconds(max(0, difference)), limit.clamped)
  }

  private static let currentBoot: String = {
    var text = [CChar](repeating: 0, count: 64)
    unsafe text.withUnsafeMutableBufferPointer {
      unsafe creliability_boot_id($0.baseAddress!, $0.count)
    }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }()
}
