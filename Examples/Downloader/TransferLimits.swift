internal import Reliability

/// How long one attempt at a file may take: as long as it gets on, and no longer than that.
///
/// An attempt begins with ``base``, or with what files of the same kind from the same server have taken. Progress moves that to
/// `remaining / speed x 1.5`, never beyond ``timeout``. What has stopped ends after ``stall``.
struct TransferLimits: Sendable {
  /// What no attempt takes longer than.
  var timeout = Duration.seconds(3600)
  /// How long an attempt may take while nothing better is known.
  var base = AdaptiveTimeout.downloads.base
  /// How long it may go without a byte.
  var stall = Duration.seconds(30)
  /// How long the first byte may take; `nil`: as long as any other.
  var network = AdaptiveTimeout.downloads.network
  /// How long a tool may go without output or growth of its file.
  var toolStall = AdaptiveTimeout.downloads.stall ?? .seconds(300)
  /// Limits for kinds of files, by the extension of their names in lower case.
  var timeouts: [String: Duration] = [:]
  /// What is known about how long kinds of files take; shared by all attempts of a run.
  var learned = LearnedTimeouts()
  /// How busy the machine is, 0 to 1: up to twice as much time for what is slow because of it.
  var pressure: (@Sendable () -> Double)?

  /// What no attempt at a file of this name takes longer than.
  func timeout(of name: String) -> Duration {
    guard !timeouts.isEmpty, let special = timeouts[Self.fileExtension(of: name)] else {
      return timeout
    }
    return min(timeout, special)
  }

  /// The limits of one attempt.
  ///
  /// - Parameters:
  ///   - name: The file's name.
  ///   - learns: Whether what was learned about the kind of file counts.
  func adaptive(for name: String, learns: Bool = true) -> AdaptiveTimeout {
    let longest = timeout(of: name)
    var limits = AdaptiveTimeout(
      base: min(base, longest), maximum: longest, stall: stall, network: network,
      minimum: min(base, longest, Self.leastLearned))
    if learns { limits.learned = learned }
    limits.pressure = pressure
    return limits
  }

  /// The limits of one run of a tool.
  ///
  /// - Parameter total: What the run may take in all: the whole of it, or a rung's share.
  func tool(for name: String, total: Duration, learns: Bool = true) -> AdaptiveTimeout {
    let longest = max(total, .milliseconds(1))
    let share = min(1, longest / max(timeout(of: name), .milliseconds(1)))
    let base = min(longest, max(.milliseconds(1), base * share))
    var limits = AdaptiveTimeout(
      base: base, maximum: longest, stall: toolStall, minimum: min(base, Self.leastLearned))
    if learns { limits.learned = learned }
    limits.pressure = pressure
    return limits
  }

  /// The kind of a file: what is learned from one counts for the others of its kind.
  func kind(of item: DownloadItem) -> String {
    let suffix = Self.fileExtension(of: item.name)
    // Names without one may have anything behind a dot.
    let isUsual = (1...5).contains(suffix.count) && suffix.contains(where: \.isLetter)
    return isUsual ? "\(item.address.server) \(suffix)" : item.address.server
  }

  /// After how long without a byte a connection gives up by itself, should nobody have told it to.
  var silence: Duration { max(stall, network ?? stall) * 3 }

  /// What a learned limit is never below: files of a kind may differ by orders of magnitude.
  private static let leastLearned = Duration.seconds(300)

  private static func fileExtension(of name: String) -> String {
    name.lastIndex(of: ".").map { name[name.index(after: $0)...].lowercased() } ?? ""
  }
}
