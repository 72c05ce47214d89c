/// RFC 3339 with nanoseconds, the form of every moment in a report.
enum Timestamp {
  /// `2025-01-15T14:30:22Z`, with a fraction of 3, 6 or 9 digits when there is one.
  static func string(_ time: WallTime) -> String {
    let whole = time.description
    var fraction = time.nanosecondsSince1970 % 1_000_000_000
    if fraction < 0 { fraction += 1_000_000_000 }
    if fraction == 0 { return whole }
    var digits = Int(fraction).padded(9)
    while digits.hasSuffix("000") { digits.removeLast(3) }
    return whole.dropLast() + ".\(digits)Z"
  }

  /// Reads what ``string(_:)`` writes, and any RFC 3339 moment in UTC.
  static func parse(_ text: String) -> WallTime? {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int? {
      var result = 0
      for byte in bytes[range] {
        guard (0x30...0x39).contains(byte) else { return nil }
        result = result * 10 + Int(byte - 0x30)
      }
      return result
    }
    guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z"), bytes.count <= 30,
      bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
      bytes[10] == UInt8(ascii: "T"), bytes[13] == UInt8(ascii: ":"),
      bytes[16] == UInt8(ascii: ":"),
      let year = number(0..<4), let month = number(5..<7), (1...12).contains(month),
      let day = number(8..<10), (1...31).contains(day), let hour = number(11..<13), hour < 24,
      let minute = number(14..<16), minute < 60, let second = number(17..<19), second < 61
    else { return nil }
    var nanoseconds: Int64 = 0
    if bytes.count > 20 {
      guard bytes[19] == UInt8(ascii: "."), bytes.count > 21,
        let fraction = number(20..<(bytes.count - 1))
      else { return nil }
      nanoseconds = Int64(fraction)
      for _ in (bytes.count - 21)..<9 { nanoseconds *= 10 }
    }
    let civil = CivilTime(
      year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    let whole = WallTime(secondsSince1970: civil.secondsSince1970)
    let (sum, overflow) = whole.nanosecondsSince1970.addingReportingOverflow(nanoseconds)
    return overflow ? whole : WallTime(nanosecondsSince1970: sum)
  }
}
