/// One measured figure at one moment.
///
///     MetricSample(name: "retry_attempts_total", kind: .counter, value: 12)
public struct MetricSample: Hashable, Sendable {
  /// How a figure behaves over time.
  public enum Kind: String, Hashable, Sendable {
    /// Only grows while the process lives. Its name ends in `_total`.
    case counter
    /// Goes up and down.
    case gauge
    /// How many values fell below each of several bounds; see ``MetricSample/distribution``.
    case histogram
  }

  /// The metric's name: lower-case words joined by `_`, base units (`_seconds`, `_bytes`), `_total` on counters.
  public var name: String
  /// How the figure behaves.
  public var kind: Kind
  /// Labels in a fixed order.
  ///
  /// The set of values of each is small and known; never an identifier.
  public var labels: [(name: String, value: String)] {
    get { labelPairs.map { (name: $0.name, value: $0.value) } }
    set { labelPairs = newValue.map { Label(name: $0.name, value: $0.value) } }
  }
  /// The figure.
  ///
  /// Of a histogram, the sum of its values.
  public var value: Double
  /// One sentence that says what is measured, without a full stop; may be empty.
  public var help: String
  /// How the values of a histogram are spread, `nil` for the other kinds.
  public private(set) var distribution: MetricDistribution?

  private var labelPairs: [Label]

  private struct Label: Hashable, Sendable {
    var name: String
    var value: String
  }

  /// Makes the sample of a counter or gauge.
  ///
  /// - Parameters:
  ///   - name: The metric's name.
  ///   - kind: Counter or gauge.
  ///   - labels: Labels in a fixed order.
  ///   - value: The figure.
  ///   - help: One sentence that says what is measured.
  public init(
    name: String, kind: Kind, labels: [(name: String, value: String)] = [], value: Double,
    help: String = ""
  ) {
    self.name = name
    self.kind = kind
    self.value = value
    self.help = help
    self.labelPairs = labels.map { Label(name: $0.name, value: $0.value) }
  }

  /// Makes the sample of a histogram.
  ///
  /// - Parameters:
  ///   - name: The metric's name.
  ///   - labels: Labels in a fixed order, without `le`.
  ///   - distribution: How the values are spread.
  ///   - help: One sentence that says what is measured.
  public init(
    name: String, labels: [(name: String, value: String)] = [],
    distribution: MetricDistribution, help: String = ""
  ) {
    self.init(
      name: name, kind: .histogram, labels: labels, value: distribution.sum, help: help)
    self.distribution = distribution
  }
}

/// How the values of a histogram are spread: so many of them at most this large, for several bounds.
///
///     let spread = MetricDistribution(
///       buckets: [.init(upperBound: 0.1, count: 8), .init(upperBound: 1, count: 9)],
///       count: 10, sum: 4.2)  // one of the ten took longer than a second
public struct MetricDistribution: Hashable, Sendable {
  /// How many values are at most as large as a bound.
  public struct Bucket: Hashable, Sendable {
    /// The bound, which belongs to the bucket (`le`).
    public var upperBound: Double
    /// How many values of the whole histogram are no larger.
    ///
    /// Cumulative: it never falls from one bucket to the next.
    public var count: Int

    /// Makes a bucket.
    public init(upperBound: Double, count: Int) {
      self.upperBound = upperBound
      self.count = count
    }
  }

  /// The buckets, by ascending finite bound.
  ///
  /// The one without a bound is ``count``.
  public var buckets: [Bucket]
  /// How many values there are.
  public var count: Int
  /// The sum of the values.
  public var sum: Double

  /// Makes a distribution.
  ///
  /// - Parameters:
  ///   - buckets: Cumulative buckets by ascending finite bound.
  ///   - count: How many values there are.
  ///   - sum: The sum of the values.
  public init(buckets: [Bucket], count: Int, sum: Double) {
    self.buckets = buckets
    self.count = count
    self.sum = sum
  }
}

/// Something that counts, and shows its figures when asked.
///
/// Every type of this package with figures of its own conforms. Reading must be cheap, must not block and must
/// not disturb the work that is being counted: it is called on every scrape.
public protocol MetricsSource: Sendable {
  /// The figures now.
  ///
  /// - Complexity: O(number of samples).
  func samples() -> [MetricSample]
}
