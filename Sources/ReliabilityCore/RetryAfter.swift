/// The value of an HTTP `Retry-After` header: seconds, or a date (RFC 9110, section 10.2.3).
public enum RetryAfter {
  /// Reads a header's value.
  ///
  /// - Parameters:
  ///   - value: The header's value. Leading and trailing blanks are ignored.
  ///   - now: The wall time that a date is compared with.
  /// - Returns: The wait, zero for a date that has passed and five hundred years at most; `nil` when the value is neither a
  ///   number of whole seconds nor one of the three forms of an HTTP date.
  /// - Complexity: O(length of the value).
  public static func parse(_ value: String, now: WallTime = .now) -> Duration? {
    let bytes = value.utf8.drop { $0 == 0x20 || $0 == 0x09 }
    var text = Substring(bytes)
    while let last = text.utf8.last, last == 0x20 || last == 0x09 { text.removeLast() }
    if let first = text.utf8.first, (0x30...0x39).contains(first),
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    {
      // Digits that overflow are a number all the same, and a very long wait.
      return min(.seconds(Int64(text) ?? .max), .farAway)
    }
    return HTTPDate.parse(text, now: now).map { date in
      let wait = date.duration(since: now)
      return wait > .zero ? min(wait, .farAway) : .zero
    }
  }
}

/// The three forms of a date in HTTP (RFC 9110, section 5.6.7).
enum HTTPDate {
  static func parse(_ text: Substring, now: WallTime) -> WallTime? {
    let fields = text.split { $0 == " " || $0 == "," || $0 == "-" }
    // Sun, 06 Nov 1994 08:49:37 GMT
    if fields.count == 6, fields[5] == "GMT", fields[3].utf8.count == 4, text.contains(",") {
      return time(day: fields[1], month: fields[2], year: number(fields[3]), clock: fields[4])
    }
    // Sunday, 06-Nov-94 08:49:37 GMT
    if fields.count == 6, fields[5] == "GMT", let year = number(fields[3]),
      fields[3].utf8.count == 2
    {
      return time(
        day: fields[1], month: fields[2], year: century(of: year, now: now), clock: fields[4])
    }
    // Sun Nov  6 08:49:37 1994
    if fields.count == 5, fields[4].utf8.count == 4 {
      return time(day: fields[2], month: fields[1], year: number(fields[4]), clock: fields[3])
    }
    return nil
  }

  /// A year of two digits that would lie more than 50 years ahead is in the past.
  private static func century(of year: Int, now: WallTime) -> Int {
    let present = CivilTime(now).year
    let candidate = present - present % 100 + year
    return candidate > present + 50 ? candidate - 100 : candidate
  }

  private static func time(
    day: Substring, month: Substring, year: Int?, clock: Substring
  ) -> WallTime? {
    let months = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    let parts = clock.split(separator: ":", omittingEmptySubsequences: false)
    guard let year, let day = number(day), (1...31).contains(day),
      let month = months.firstIndex(of: String(month)), parts.count == 3,
      parts.allSatisfy({ $0.utf8.count == 2 }),
      let hour = number(parts[0]), hour < 24, let minute = number(parts[1]), minute < 60,
      // 60 is a leap second.
      let second = number(parts[2]), second <= 60
    else { return nil }
    let civil = CivilTime(
      year: year, month: month + 1, day: day, hour: hour, minute: minute, second: second)
    return WallTime(secondsSince1970: civil.secondsSince1970)
  }

  /// One to four digits.
  private static func number(_ text: Substring) -> Int? {
    guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) })
    else { return nil }
    return Int(text)
  }
}
