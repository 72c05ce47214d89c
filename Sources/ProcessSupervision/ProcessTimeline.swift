internal import ErrorContext
internal import ReliabilityCore

/// What happened to a process: its beginning, its end, and some of the samples between them.
///
/// Samples and marks of progress are kept apart from the rest, so that a thousand of them do not push out what matters.
struct ProcessTimeline {
  private static let plainLimit = 24
  private static let busyFirst = 4
  private static let busyLast = 36

  private var plain: [ErrorReport.TimelineEntry] = []
  private var first: [ErrorReport.TimelineEntry] = []
  private var last: [ErrorReport.TimelineEntry] = []
  private(set) var dropped = 0

  mutating func add(_ event: ErrorReport.TimelineEntry.Event, at: WallTime, _ detail: String? = nil)
  {
    let entry = ErrorReport.TimelineEntry(event, at: at, detail: detail)
    guard event == .sample || event == .progress else {
      if plain.count < Self.plainLimit { plain.append(entry) } else { dropped += 1 }
      return
    }
    if first.count < Self.busyFirst {
      first.append(entry)
      return
    }
    if last.count == Self.busyLast {
      last.removeFirst()
      dropped += 1
    }
    last.append(entry)
  }

  /// All that is kept, oldest first.
  var entries: [ErrorReport.TimelineEntry] {
    (plain + first + last).enumerated()
      .sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
  }
}
