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
  public var value: Double

  private var labelPairs: [Label]

  private struct Label: Hashable, Sendable {
    var name: String
    var value: String
  }

  /// Makes a sample.
  ///
  /// - Parameters:
  ///   - name: The metric's name.
  ///   - kind: Counter or gauge.
  ///   - labels: Labels in a fixed order.
  ///   - value: The figure.
  public init(
    name: String, kind: Kind, labels: [(name: String, value: String)] = [], value: Double
  ) {
    self.name = name
    self.kind = kind
    self.value = value
    self.labelPairs = labels.map { Label(name: $0.name, value: $0.value) }
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
