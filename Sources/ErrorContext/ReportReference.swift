/// The names of one report: an id for machines and a reference that a person can read out on the telephone.
enum ReportReference {
  /// `DL-20250115-143022-a1b2c3d4`: prefix, date and time in UTC, eight random hexadecimal digits.
  ///
  /// - Parameter prefix: ASCII letters and digits are kept, 16 at most; without any it is `ER`.
  static func reference(
    prefix: String, at time: WallTime, using generator: inout some RandomNumberGenerator
  ) -> String {
    let kept = prefix.unicodeScalars.lazy
      .filter { $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0)) }
      .prefix(16)
    let parts = CivilTime(time)
    let random = UInt32.random(in: .min ... .max, using: &generator)
    var text = kept.isEmpty ? "ER" : String(String.UnicodeScalarView(kept))
    text += "-\(parts.year.padded(4))\(parts.month.padded(2))\(parts.day.padded(2))"
    text += "-\(parts.hour.padded(2))\(parts.minute.padded(2))\(parts.second.padded(2))"
    return text + "-" + random.hexadecimal(digits: 8)
  }

  /// A random UUID (RFC 9562, version 4) in lower case.
  static func uuid(using generator: inout some RandomNumberGenerator) -> String {
    let high = generator.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
    let low = generator.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    let (first, second) = (high.hexadecimal(digits: 16), low.hexadecimal(digits: 16))
    return "\(first.prefix(8))-\(first.dropFirst(8).prefix(4))-\(first.suffix(4))"
      + "-\(second.prefix(4))-\(second.suffix(12))"
  }
}
