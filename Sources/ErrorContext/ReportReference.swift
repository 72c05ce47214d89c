/// The names of one report: an id for machines and a reference that a person can read out on the telephone.
enum ReportReference {
  /// `DL-20250115-143022-a1b2c3d4`: prefix, date and time in UTC, eight random hexadecimal digits.
  ///
  /// - Parameters:
  ///   - prefix: ASCII letters and digits are kept, 16 at most; without any it is `ER`.
  ///   - time: When the report was made.
  ///   - random: Its lower half becomes the digits.
  static func reference(
    prefix: String, at time: WallTime, random: UInt64
  ) -> String {
    let kept = prefix.unicodeScalars.lazy
      .filter { $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0)) }
      .prefix(16)
    let parts = CivilTime(time)
    var text = kept.isEmpty ? "ER" : String(String.UnicodeScalarView(kept))
    text += "-\(parts.year.padded(4))\(parts.month.padded(2))\(parts.day.padded(2))"
    text += "-\(parts.hour.padded(2))\(parts.minute.padded(2))\(parts.second.padded(2))"
    return text + "-" + UInt32(truncatingIfNeeded: random).hexadecimal(digits: 8)
  }

  /// A random UUID (RFC 9562, version 4) in lower case.
  static func uuid(random: (UInt64, UInt64)) -> String {
    let high = random.0 & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
    let low = random.1 & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    let (first, second) = (high.hexadecimal(digits: 16), low.hexadecimal(digits: 16))
    return "\(first.prefix(8))-\(first.dropFirst(8).prefix(4))-\(first.suffix(4))"
      + "-\(second.prefix(4))-\(second.suffix(12))"
  }
}
