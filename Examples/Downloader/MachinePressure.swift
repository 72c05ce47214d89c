internal import FoundationEssentials
internal import Reliability

/// How much the machine holds its programs up, as the kernel says it (Linux, "pressure stall information").
///
/// A transfer that is slow because the machine is busy gets more time, up to twice as much, and never more than its longest.
enum MachinePressure {
  /// Where the kernel says it.
  private static let files = ["cpu", "memory", "io"].map { "/proc/pressure/\($0)" }

  private static let last = Lock<(at: ContinuousClock.Instant, value: Double)?>(nil)

  /// The share of the last ten seconds in which some program waited for a processor, for memory or for a disk; the largest counts.
  ///
  /// 0 to 1; 0 where the kernel doesn't say. Read at most once a second.
  static var now: Double {
    let now = ContinuousClock.now
    return last.withLock { last in
      if let last, now - last.at < .seconds(1) { return last.value }
      let value = files.compactMap(read).max() ?? 0
      last = (now, value)
      return value
    }
  }

  private static func read(_ path: String) -> Double? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    return share(in: String(decoding: data, as: UTF8.self))
  }

  /// What the kernel's words mean: `some avg10=12.50 avg60=…` is 0.125.
  static func share(in text: String) -> Double? {
    for line in text.split(separator: "\n") where line.hasPrefix("some ") {
      for word in line.split(separator: " ") where word.hasPrefix("avg10=") {
        guard let percent = Double(word.dropFirst(6)), percent >= 0 else { return nil }
        return min(percent / 100, 1)
      }
    }
    return nil
  }
}
