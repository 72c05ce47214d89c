internal import ReliabilityExampleSupport

/// The `Content-Range` of an answer (RFC 9110, section 14.4): `bytes 100-199/200` or `bytes */200`.
struct ContentRange: Hashable {
  /// The position of the first byte, or `nil` when no part is being sent.
  let first: Int?
  /// The length of the whole, when the server knows it.
  let total: Int?

  init?(_ value: String) {
    guard value.hasPrefix("bytes ") else { return nil }
    let parts = value.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return nil }
    total = Self.number(parts[1])
    if parts[0] == "*" {
      first = nil
    } else {
      let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
      guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]),
        first <= last
      else { return nil }
      self.first = first
    }
  }

  /// A number of bytes: digits alone, no sign; `nil` also of one that is too large for this machine.
  static func number(_ text: some StringProtocol) -> Int? {
    text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
  }

  init?(_ response: HTTPResponseHead) {
    guard let value = response.header("Content-Range") else { return nil }
    self.init(value)
  }
}
