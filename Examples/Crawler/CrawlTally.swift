internal import Reliability

/// Counts what a crawl does.
final class CrawlTally: Sendable {
  struct Figures: Hashable, Sendable {
    var pages = 0
    var pagesFailed = 0
    var seedsFailed = 0
    var candidates = 0
    var committed = 0
    /// Candidates that the outputs had already.
    var known = 0
    var commitsFailed = 0
    var linksRefused = 0
    var rejected: [String: Int] = [:]
    var failedSteps: [String: Int] = [:]
    var errors: [String: Int] = [:]
    var breakerTransitions: [String: Int] = [:]
  }

  private let state = Lock((figures: Figures(), stateHasFailed: false))

  var figures: Figures { state.withLock { $0.figures } }

  func add(_ change: (inout Figures) -> Void) { state.withLock { change(&$0.figures) } }

  /// - Returns: Whether it is the first time.
  func stateFailed() -> Bool {
    state.withLock { state in
      defer { state.stateHasFailed = true }
      return !state.stateHasFailed
    }
  }

  /// The state of the crawl for error reports.
  var description: String {
    let figures = figures
    return
      "\(figures.pages) pages, \(figures.candidates) candidates, \(figures.committed) committed"
  }
}
