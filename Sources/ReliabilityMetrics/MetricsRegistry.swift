/// Gathers the figures of many sources into one snapshot.
///
///     let registry = MetricsRegistry(prefix: "downloader")
///     registry.register(downloads)                             // a Counter
///     registry.register(breaker, labels: [("host", "origin")])  // anything that is a MetricsSource
///     let document = registry.snapshot().rendered(as: .prometheus)
///
/// A registry keeps its sources alive until they are removed. Sources are asked only when a snapshot is taken, outside the
/// registry's lock, so a source may register others.
public final class MetricsRegistry: Sendable {
  private struct Entry: Sendable {
    var source: any MetricsSource
    var labels: [(name: String, value: String)]
  }

  private let prefix: String
  private let labels: [(name: String, value: String)]
  private let maximumSeries: Int
  private let entries = Lock<[Entry]>([])

  /// Makes an empty registry.
  ///
  /// A bad prefix, label or limit is a programmer's error and traps.
  ///
  /// - Parameters:
  ///   - prefix: Goes before every name, joined by `_`; empty for none. Letters, digits, `_` and `:`.
  ///   - labels: Labels for every figure, such as the instance; a source's own label of the same name wins.
  ///   - maximumSeries: How many label sets a name may have, at least 1; what is beyond goes into one series whose label
  ///     values are all `other`. Guards the collector against a label that turned out to be an identifier.
  public init(
    prefix: String = "", labels: [(name: String, value: String)] = [], maximumSeries: Int = 1_000
  ) {
    requireValid { () throws(ConfigurationError) in
      try check(maximumSeries >= 1, "maximumSeries", "must be at least 1")
    }
    if !prefix.isEmpty || !labels.isEmpty {
      // The rules are those of a metric with this name and these labels.
      _ = MetricIdentity(prefix.isEmpty ? "metric" : prefix, help: "", labels: labels)
    }
    self.prefix = prefix
    self.labels = labels
    self.maximumSeries = maximumSeries
  }

  /// Adds a source; its figures are in every snapshot from now on.
  ///
  /// A source that is added twice is shown once.
  ///
  /// - Parameters:
  ///   - source: What to ask.
  ///   - labels: Labels for its figures, which tell it from others of its kind; its own labels win.
  public func register(
    _ source: any MetricsSource, labels: [(name: String, value: String)] = []
  ) {
    entries.withLock { entries in
      if let object = Self.identity(of: source) {
        entries.removeAll { Self.identity(of: $0.source) == object }
      }
      entries.append(Entry(source: source, labels: labels))
    }
  }

  /// Removes a source that is an object.
  ///
  /// Does nothing when it is not there.
  ///
  /// - Parameter source: The object that was added.
  /// - Complexity: O(sources).
  public func unregister(_ source: any MetricsSource & AnyObject) {
    entries.withLock { entries in
      entries.removeAll { Self.identity(of: $0.source) == ObjectIdentifier(source) }
    }
  }

  /// Asks every source for its figures.
  ///
  /// - Returns: The figures, by name, without duplicates, in an order that does not change from one snapshot to the next.
  /// - Complexity: O(n log n) in the number of samples.
  public func snapshot() -> MetricsSnapshot {
    let entries = entries.withLock { $0 }
    var builder = MetricsSnapshotBuilder(maximumSeries: maximumSeries)
    for entry in entries {
      for sample in entry.source.samples() {
        var sample = sample
        if !prefix.isEmpty { sample.name = "\(prefix)_\(sample.name)" }
        sample.labels = Self.join(sample.labels, entry.labels, labels)
        builder.add(sample)
      }
    }
    return builder.finish()
  }

  private static func identity(of source: any MetricsSource) -> ObjectIdentifier? {
    guard type(of: source) is AnyClass else { return nil }
    return ObjectIdentifier(source as AnyObject)
  }

  /// The labels of the first list, then those of the others whose names are new.
  private static func join(
    _ lists: [(name: String, value: String)]...
  ) -> [(name: String, value: String)] {
    var result = lists[0]
    for label in lists.dropFirst().joined()
    where !result.contains(where: { $0.name == label.name }) {
      result.append(label)
    }
    return result
  }
}
