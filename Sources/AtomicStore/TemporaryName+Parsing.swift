/// What the name of a temporary file of ours says.
struct LeftoverName: Hashable, Sendable {
  /// The name of the file it was for, cut where that was long.
  let base: Substring
  /// The process that made it, in that process's own namespace of numbers.
  let process: Int32

  /// Every ending that marks a file as ours.
  static let suffixes = [TemporaryName.suffix]

  /// Takes a name apart.
  ///
  /// - Returns: `nil` unless ``TemporaryName`` could have made it, letter by letter: what is not ours stays.
  init?(_ name: String) {
    guard let suffix = LeftoverName.suffixes.first(where: name.hasSuffix) else { return nil }
    let parts = name.dropLast(suffix.count).split(
      separator: ".", omittingEmptySubsequences: false)
    // A hidden name begins with an empty part, and the base may have dots of its own.
    guard parts.count >= 4, parts[0].isEmpty else { return nil }
    let random = parts[parts.count - 1]
    let process = parts[parts.count - 2]
    guard random.utf8.count == 16, random.utf8.allSatisfy(isDigit),
      process.utf8.allSatisfy(isDigit), let number = Int32(process, radix: 16), number > 0,
      String(number, radix: 16) == process
    else { return nil }
    let base = name[parts[1].startIndex..<parts[parts.count - 3].endIndex]
    guard !base.isEmpty, base.utf8.count <= TemporaryName.maximumBase else { return nil }
    self.base = base
    self.process = number
  }
}

/// A hexadecimal digit as `String(_:radix:)` writes it.
private func isDigit(_ byte: UInt8) -> Bool {
  UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte
}
