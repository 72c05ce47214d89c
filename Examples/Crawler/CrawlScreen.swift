internal import Reliability
internal import ReliabilityExampleSupport

/// Tells a person how a crawl goes: a line for each find and warning, and for the first failures.
final class CrawlScreen: Sendable {
  private static let shownFailures = 20

  private let terminal: Terminal
  private let isQuiet: Bool
  private let state = Lock((failures: 0, warnings: [String]()))

  init(_ terminal: Terminal, isQuiet: Bool) {
    self.terminal = terminal
    self.isQuiet = isQuiet
  }

  /// Every warning so far, for the summary.
  var warnings: [String] { state.withLock { $0.warnings } }

  func warn(_ text: String) {
    state.withLock { $0.warnings.append(text) }
    let target = Terminal(.error)
    target.write("\(target.styled("warning", .yellow))  \(plain(text))\n")
  }

  func show(_ news: CrawlNews) {
    switch news {
    case .found(let url, let voice, let language):
      guard !isQuiet else { return }
      let pitch = voice.hertz.map { " \(Int($0)) Hz" } ?? ""
      let tongue = language.map { ", \($0)" } ?? ""
      terminal.write(
        "\(terminal.styled("found", .green))  \(plain(url))  \(voice.name)\(pitch)\(tongue)\n")
    case .rejected: break
    case .failed(let url, let reason): failed(url, reason)
    case .warning(let text): warn(text)
    }
  }

  private func failed(_ url: String, _ reason: String) {
    let number = state.withLock { state in
      state.failures += 1
      return state.failures
    }
    guard number <= Self.shownFailures else { return }
    let target = isQuiet ? Terminal(.error) : terminal
    target.write("\(target.styled("failed", .red))  \(plain(url)): \(plain(reason))\n")
    if number == Self.shownFailures {
      target.write("Further failures are in \(FailureLog.name) only.\n")
    }
  }

  /// Without what could forge a terminal's lines, and not too long.
  private func plain(_ text: String) -> String {
    String(text.quotedForDisplay.dropFirst().dropLast())
  }
}
