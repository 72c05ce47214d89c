/// The figures of a registry at one moment, grouped by name.
///
///     for family in registry.snapshot().families {
///       print(family.name, family.kind, family.samples.map(\.value))
///     }
///
/// It keeps the promises that a collector relies on: every name has one kind, no two samples of a name have the same
/// labels, names and labels are valid, and the order is always the same.
public struct MetricsSnapshot: Hashable, Sendable {
  /// All samples of one name.
  public struct Family: Hashable, Sendable {
    /// The name.
    public let name: String
    /// How its figures behave.
    public let kind: MetricSample.Kind
    /// One sentence that says what is measured; may be empty.
    public let help: String
    /// The samples, by label values.
    public let samples: [MetricSample]
  }

  /// Figures that could not be shown.
  public struct Rejection: Hashable, Sendable {
    /// The name they came with.
    public let name: String
    /// Why they are left out.
    public let reason: String
  }

  /// The families, by name.
  public let families: [Family]

  /// What was left out because it contradicts something that is shown, by name.
  ///
  /// A collector would refuse the whole document otherwise.
  public let rejections: [Rejection]

  /// The samples of one name.
  ///
  /// - Complexity: O(families).
  public subscript(name: String) -> [MetricSample] {
    families.first { $0.name == name }?.samples ?? []
  }
}

/// Sorts samples into families and settles what sources disagree about.
struct MetricsSnapshotBuilder {
  private struct Draft {
    var kind: MetricSample.Kind
    var help: String
    /// By the labels' text, so that a repeated label set is found.
    var samples: [String: MetricSample] = [:]
  }

  private static let overflowValue = "other"

  private let maximumSeries: Int
  private var drafts: [String: Draft] = [:]
  private var rejections: [MetricsSnapshot.Rejection] = []

  init(maximumSeries: Int) { self.maximumSeries = maximumSeries }

  /// Adds a sample.
  ///
  /// Of two with the same labels, counters, gauges and histograms are added up: two pools of one name are shown as one.
  mutating func add(_ original: MetricSample) {
    var sample = MetricNames.cleaned(original)
    let name = sample.name
    // Taken out: a second reference would have every sample copied for the next.
    var draft = drafts.removeValue(forKey: name) ?? Draft(kind: sample.kind, help: sample.help)
    defer { drafts[name] = draft }
    guard draft.kind == sample.kind else {
      reject(sample.name, "it is a \(draft.kind.rawValue) and a \(sample.kind.rawValue)")
      return
    }
    if draft.help.isEmpty { draft.help = sample.help }
    var key = MetricNames.key(of: sample.labels)
    if draft.samples[key] == nil, draft.samples.count >= maximumSeries {
      sample.labels = sample.labels.map { ($0.name, Self.overflowValue) }
      key = MetricNames.key(of: sample.labels)
    }
    if let present = draft.samples[key] {
      guard let sum = Self.sum(present, sample) else {
        reject(sample.name, "two histograms with the same labels have different bounds")
        return
      }
      sample = sum
    }
    draft.samples[key] = sample
  }

  private mutating func reject(_ name: String, _ reason: String) {
    let rejection = MetricsSnapshot.Rejection(name: name, reason: reason)
    if !rejections.contains(rejection) { rejections.append(rejection) }
  }

  private static func sum(_ first: MetricSample, _ second: MetricSample) -> MetricSample? {
    guard first.kind == .histogram else {
      var result = first
      result.value += second.value
      return result
    }
    guard let a = first.distribution, let b = second.distribution,
      a.buckets.map(\.upperBound) == b.buckets.map(\.upperBound)
    else { return nil }
    let buckets = zip(a.buckets, b.buckets).map {
      MetricDistribution.Bucket(upperBound: $0.upperBound, count: $0.count + $1.count)
    }
    return MetricSample(
      name: first.name, labels: first.labels,
      distribution: MetricDistribution(
        buckets: buckets, count: a.count + b.count, sum: a.sum + b.sum),
      help: first.help)
  }

  /// The snapshot.
  ///
  /// A family whose lines would carry the name of another family's lines (a gauge `x_count` beside a histogram `x`) is left
  /// out; the first by name stays.
  consuming func finish() -> MetricsSnapshot {
    var families: [MetricsSnapshot.Family] = []
    var owners: [String: String] = [:]
    for (name, draft) in drafts.sorted(by: { $0.key < $1.key }) {
      let used = MetricNames.namesInDocuments(of: name, kind: draft.kind)
      if let owner = used.compactMap({ owners[$0] }).first {
        reject(name, "its lines would be mistaken for those of \(owner)")
        continue
      }
      for line in used { owners[line] = name }
      families.append(
        .init(
          name: name, kind: draft.kind, help: draft.help,
          samples: draft.samples.sorted { $0.key < $1.key }.map(\.value)))
    }
    return MetricsSnapshot(
      families: families, rejections: rejections.sorted { $0.name < $1.name })
  }
}
