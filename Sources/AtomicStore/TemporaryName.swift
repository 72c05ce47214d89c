/// The name of a temporary file: `.<base>.<process, hex>.<64 random bits, hex>.rtmp`.
///
/// Hidden, in the target's own directory, unique for each save (not only for each process), and exact enough for a
/// sweeper to know our files from others. The base is cut to 180 bytes of whole UTF-8 characters, so the whole
/// stays below the 255 bytes that file systems allow.
enum TemporaryName {
  static let suffix = ".rtmp"
  static let maximumBase = 180

  static func make(for base: String, process: Int32, random: UInt64) -> String {
    let digits = String(random, radix: 16)
    let padding = String(repeating: "0", count: 16 - digits.utf8.count)
    return ".\(cut(base)).\(String(process, radix: 16)).\(padding)\(digits)\(suffix)"
  }

  /// As many whole characters of a name as fit.
  static func cut(_ base: String) -> Substring {
    guard base.utf8.count > maximumBase else { return base[...] }
    var end = base.utf8.index(base.startIndex, offsetBy: maximumBase)
    // A continuation byte is 0b10xxxxxx: step back to where a scalar begins.
    while base.utf8[end] & 0b1100_0000 == 0b1000_0000 { end = base.utf8.index(before: end) }
    return base[..<end]
  }
}
