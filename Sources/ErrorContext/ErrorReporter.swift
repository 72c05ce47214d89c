/// Where reports go: a log file, a dead-letter queue, a monitoring service.
///
///     struct ConsoleSink: ErrorSink {
///       func receive(_ report: ErrorReport) { print(report.text()) }
///     }
public protocol ErrorSink: Sendable {
  /// Takes one report.
  ///
  /// Called on the thread that reports the error, which waits: hand slow work to somebody else, or read
  /// ``ErrorReporter/reports(keeping:)`` instead. Calls may come from several threads at once. What it throws is counted
  /// and disturbs nobody; what it reports to the same reporter, also by way of another one, is counted and dropped, for it
  /// would come back to it.
  func receive(_ report: ErrorReport) throws
}

/// Hands error reports to everybody who wants them.
///
/// Failures that are handled on the spot (a fallback, a skipped record) would be seen by nobody. They are reported here.
///
///     let reporter = ErrorReporter(sinks: [ConsoleSink()])
///     reporter.report(error)
///     let price = try await withFallback(0, reporter: reporter) { try await fetchPrice() }
///
/// Sinks are called one after the other in the order added, outside locks. No report is kept here.
public final class ErrorReporter: Sendable {
  /// The reporter that everything uses unless given another.
  ///
  /// It has no sinks until the program adds some.
  public static let shared = ErrorReporter()

  private static let deliveries = TaskLocal<Delivery?>(wrappedValue: nil)

  /// A delivery under way, and the one of another reporter out of which it came.
  private final class Delivery: Sendable {
    let reporter: ErrorReporter
    let outer: Delivery?

    init(by reporter: ErrorReporter, inside outer: Delivery?) {
      self.reporter = reporter
      self.outer = outer
    }

    func isInside(_ reporter: ErrorReporter) -> Bool {
      var delivery = Optional(self)
      while let current = delivery {
        if current.reporter === reporter { return true }
        delivery = current.outer
      }
      return false
    }
  }

  /// How reports are made.
  public let options: ErrorReport.Options

  private let state: Lock<State>

  fileprivate struct State {
    var sinks: [(id: Int, sink: any ErrorSink)] = []
    var readers: [Int: AsyncStream<ErrorReport>.Continuation] = [:]
    var nextID = 0
    var byCategory: [String: Int] = [:]
    var sinkFailures = 0
    var dropped = 0
  }

  /// Makes a reporter.
  ///
  /// - Parameters:
  ///   - options: How reports are made.
  ///   - sinks: Who gets them.
  public init(options: ErrorReport.Options = .init(), sinks: [any ErrorSink] = []) {
    self.options = options
    state = Lock(
      State(sinks: sinks.enumerated().map { ($0.offset, $0.element) }, nextID: sinks.count))
  }

  /// Makes a report and hands it to all sinks and readers.
  ///
  /// - Parameters:
  ///   - error: Any error. A cancellation is not a failure: a report is made, but nobody gets it.
  ///   - timeline: Moments to add to those found in the error's contexts.
  ///   - process: What is known of the child process that failed.
  ///   - download: What is known of the download that failed.
  /// - Returns: The report.
  @discardableResult public func report(
    _ error: any Error, timeline: [ErrorReport.TimelineEntry] = [],
    process: ErrorReport.ProcessDetails? = nil, download: ErrorReport.DownloadDetails? = nil
  ) -> ErrorReport {
    let report = ErrorReport(
      error, options: options, timeline: timeline, process: process, download: download)
    if report.category != .cancelled { deliver(report) }
    return report
  }

  /// Hands a report to all sinks and readers.
  public func deliver(_ report: ErrorReport) {
    let outer = Self.deliveries.get()
    if let outer, outer.isInside(self) {
      state.withLock { $0.dropped += 1 }
      return
    }
    let (sinks, readers) = state.withLock { state in
      state.count(report.category)
      return (state.sinks, state.readers.isEmpty ? [] : Array(state.readers.values))
    }
    var failures = 0
    if !sinks.isEmpty {
      Self.deliveries.withValue(Delivery(by: self, inside: outer)) {
        for (_, sink) in sinks {
          do { try sink.receive(report) } catch { failures += 1 }
        }
      }
    }
    var dropped = 0
    for reader in readers {
      if case .dropped = reader.yield(report) { dropped += 1 }
    }
    guard failures + dropped > 0 else { return }
    state.withLock { state in
      state.sinkFailures += failures
      state.dropped += dropped
    }
  }

  /// Adds a sink.
  ///
  /// - Returns: What ``remove(_:)`` takes.
  @discardableResult public func add(_ sink: any ErrorSink) -> SinkID {
    state.withLock { state in
      state.nextID += 1
      state.sinks.append((state.nextID, sink))
      return SinkID(value: state.nextID)
    }
  }

  /// Adds a closure as a sink.
  ///
  /// - Parameter receive: Called on the thread that reports the error; see ``ErrorSink/receive(_:)``.
  /// - Returns: What ``remove(_:)`` takes.
  @discardableResult public func add(
    _ receive: @escaping @Sendable (ErrorReport) throws -> Void
  ) -> SinkID {
    add(ClosureSink(body: receive))
  }

  /// Removes a sink.
  ///
  /// A delivery that is under way may still reach it.
  public func remove(_ id: SinkID) {
    // Taken out under the lock and released after it: releasing may run the sink's code.
    _ = state.withLock { state in
      state.sinks.firstIndex { $0.id == id.value }.map { state.sinks.remove(at: $0) }
    }
  }

  /// The reports from now on, for a reader that takes its time without slowing anybody down.
  ///
  ///     for await report in reporter.reports() { try await upload(report) }
  ///
  /// - Parameter limit: How many unread reports are kept, at least 1. When more come, the oldest are dropped and counted.
  /// - Returns: A sequence for one reader. It ends when the reader's task is cancelled.
  public func reports(keeping limit: Int = 256) -> AsyncStream<ErrorReport> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: ErrorReport.self, bufferingPolicy: .bufferingNewest(max(1, limit)))
    let id = state.withLock { state in
      state.nextID += 1
      state.readers[state.nextID] = continuation
      return state.nextID
    }
    continuation.onTermination = { [weak self] _ in
      // Taken out under the lock and released after it: releasing may run the reader's code.
      _ = self?.state.withLock { $0.readers.removeValue(forKey: id) }
    }
    return stream
  }

  /// Names an added sink.
  public struct SinkID: Hashable, Sendable {
    fileprivate let value: Int
  }

  private struct ClosureSink: ErrorSink {
    let body: @Sendable (ErrorReport) throws -> Void
    func receive(_ report: ErrorReport) throws { try body(report) }
  }
}

extension ErrorReporter.State {
  /// Categories are an open set: past 32 of them the rest counts as "other", so that memory and labels stay bounded.
  fileprivate mutating func count(_ category: ErrorCategory) {
    let isKnown = byCategory[category.rawValue] != nil || byCategory.count < 32
    byCategory[isKnown ? category.rawValue : "other", default: 0] += 1
  }
}

extension ErrorReporter: MetricsSource {
  /// `errors_reported_total` by category, `error_sink_failures_total` and `error_reports_dropped_total`.
  public func samples() -> [MetricSample] {
    let (byCategory, sinkFailures, dropped) = state.withLock {
      ($0.byCategory, $0.sinkFailures, $0.dropped)
    }
    var samples = byCategory.sorted { $0.key < $1.key }.map { category, count in
      MetricSample(
        name: "errors_reported_total", kind: .counter,
        labels: [(name: "category", value: category)], value: Double(count),
        help: "Errors reported")
    }
    samples.append(
      MetricSample(
        name: "error_sink_failures_total", kind: .counter, value: Double(sinkFailures),
        help: "Reports that a sink failed to take"))
    samples.append(
      MetricSample(
        name: "error_reports_dropped_total", kind: .counter, value: Double(dropped),
        help: "Reports dropped because too many waited"))
    return samples
  }
}
