internal import Synchronization

/// Shows how much of something there is at the moment: goes up and down.
///
///     let open = Gauge("pool_resources", help: "Resources by state", labels: [("state", "lent")])
///     open.increment()
///     open.set(to: 4)
///     open.decrement(by: 2)
///     print(open.value)  // 2.0
public final class Gauge: MetricsSource {
  private let identity: MetricIdentity
  // A gauge is set as a whole, which stripes cannot do.
  private let bits = Atomic<UInt64>(0)

  /// Makes a gauge that stands at zero.
  ///
  /// A bad name or label is a programmer's error and traps.
  ///
  /// - Parameters:
  ///   - name: Lower-case words joined by `_` with the base unit last (`_seconds`, `_bytes`, `_ratio`).
  ///   - help: One sentence that says what is shown.
  ///   - labels: Labels in a fixed order. Values come from a small, known set; never identifiers.
  public init(_ name: String, help: String = "", labels: [(name: String, value: String)] = []) {
    identity = MetricIdentity(name, help: help, labels: labels)
  }

  /// Puts the gauge to a value.
  ///
  /// Any value is shown as it is, also NaN and infinity.
  public func set(to value: Double) {
    bits.store(value.bitPattern, ordering: .relaxed)
  }

  /// Adds to the gauge.
  ///
  /// Lock-free, allocates nothing, and no addition is lost.
  ///
  /// - Parameter amount: How much; negative amounts subtract.
  public func increment(by amount: Double = 1) {
    bits.addFloating(amount)
  }

  /// Subtracts from the gauge.
  ///
  /// - Parameter amount: How much; negative amounts add.
  public func decrement(by amount: Double = 1) {
    bits.addFloating(-amount)
  }

  /// What the gauge shows.
  public var value: Double {
    Double(bitPattern: bits.load(ordering: .relaxed))
  }

  /// The gauge's one figure.
  public func samples() -> [MetricSample] {
    [
      MetricSample(
        name: identity.name, kind: .gauge, labels: identity.labels, value: value,
        help: identity.help)
    ]
  }
}
