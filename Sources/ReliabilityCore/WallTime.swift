internal import CReliability

/// A moment on the wall clock: shown to people and written to files, never used to decide how long to wait.
///
/// A wall clock jumps (NTP, a person, a resumed virtual machine), so every decision in this package is made on
/// the monotonic clock. Whole nanoseconds since 1970-01-01 00:00 UTC, leap seconds not counted; years 1678 to
/// 2262.
///
///     print(WallTime(secondsSince1970: 1_736_951_422))  // 2025-01-15T14:30:22Z
public struct WallTime: Hashable, Sendable, Comparable {
  /// Nanoseconds since 1970-01-01 00:00 UTC.
  public var nanosecondsSince1970: Int64

  /// Makes a moment from nanoseconds since 1970.
  public init(nanosecondsSince1970: Int64) {
    self.nanosecondsSince1970 = nanosecondsSince1970
  }

  /// Makes a moment from seconds since 1970, limited to the years that can be shown.
  public init(secondsSince1970: Int64) {
    let (product, overflow) = secondsSince1970.multipliedReportingOverflow(by: 1_000_000_000)
    nanosecondsSince1970 = overflow ? (secondsSince1970 < 0 ? .min : .max) : product
  }

  /// The moment now, by the system's wall clock.
  public static var now: WallTime {
    WallTime(nanosecondsSince1970: creliability_wall_nanoseconds())
  }

  /// Whole seconds since 1970-01-01 00:00 UTC, rounded down.
  public var secondsSince1970: Int64 {
    let (quotient, remainder) = nanosecondsSince1970.quotientAndRemainder(dividingBy: 1_000_000_000)
    return remainder < 0 ? quotient - 1 : quotient
  }

  /// Whether this moment is before the other.
  public static func < (lhs: WallTime, rhs: WallTime) -> Bool {
    lhs.nanosecondsSince1970 < rhs.nanosecondsSince1970
  }

  /// How long from the other moment to this one; negative when the other is later.
  public func duration(since other: WallTime) -> Duration {
    .nanoseconds(nanosecondsSince1970) - .nanoseconds(other.nanosecondsSince1970)
  }
}

extension WallTime: CustomStringConvertible {
  /// RFC 3339 in UTC, to the second: `2025-01-15T14:30:22Z`.
  public var description: String {
    let parts = CivilTime(self)
    return
      "\(parts.year.padded(4))-\(parts.month.padded(2))-\(parts.day.padded(2))T"
      + "\(parts.hour.padded(2)):\(parts.minute.padded(2)):\(parts.second.padded(2))Z"
  }
}

/// Year, month, day, hour, minute, second in UTC, in the proleptic Gregorian calendar.
package struct CivilTime: Hashable, Sendable {
  package var year: Int
  package var month: Int
  package var day: Int
  package var hour: Int
  package var minute: Int
  package var second: Int

  package init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
    (self.year, self.month, self.day) = (year, month, day)
    (self.hour, self.minute, self.second) = (hour, minute, second)
  }

  /// Source of the formula: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
  package init(_ time: WallTime) {
    let seconds = time.secondsSince1970
    var days = seconds / 86_400
    var rest = seconds % 86_400
    if rest < 0 {
      days -= 1
      rest += 86_400
    }
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
    year = Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0))
    hour = Int(rest / 3600)
    minute = Int(rest % 3600 / 60)
    second = Int(rest % 60)
  }

  /// Seconds since 1970.
  ///
  /// Source of the formula: Howard Hinnant, as above, `days_from_civil`.
  package var secondsSince1970: Int64 {
    let shiftedYear = Int64(year) - (month <= 2 ? 1 : 0)
    let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
    let yearOfEra = shiftedYear - era * 400
    let monthFromMarch = Int64(month > 2 ? month - 3 : month + 9)
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + Int64(day) - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    let days = era * 146_097 + dayOfEra - 719_468
    return days * 86_400 + Int64(hour) * 3600 + Int64(minute) * 60 + Int64(second)
  }
}

extension Int {
  /// The number in decimal with leading zeros.
  package func padded(_ width: Int) -> String {
    let digits = String(self)
    return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
  }
}
