/// Counts things that happen.
///
/// Only grows.
///
///     let downloads = Counter("downloads_total", help: "Files downloaded", labels: [("outcome", "ok")])
///     downloads.increment()
///     downloads.increment(by: 3)
///     print(downloads.value)  // 4
///
/// Each thread adds to a cache line of its own (a stripe), so threads that count the same thing do not slow each
/// other down, and reading adds the stripes up. That costs about 128 bytes times twice the number of processors; where a
/// program keeps thousands of counts behind a lock it holds anyway, plain integers are the better choice.
public final class Counter: MetricsSource {
  /// Where one stripe stops: 2^56.
  ///
  /// Far from overflow for any number of threads between an addition and its limiting.
  private static let stripeLimit: UInt64 = 1 << 56

  private let identity: MetricIdentity
  private let stripes = StripedWords(words: 1)

  /// Makes a counter that stands at zero.
  ///
  /// A bad name or label is a programmer's error and traps.
  ///
  /// - Parameters:
  ///   - name: Lower-case words joined by `_`, ending in `_total`.
  ///   - help: One sentence that says what is counted.
  ///   - labels: Labels in a fixed order. Values come from a small, known set; never identifiers.
  public init(_ name: String, help: String = "", labels: [(name: String, value: String)] = []) {
    identity = MetricIdentity(name, help: help, labels: labels, isCounter: true)
  }

  /// Counts one, or several at once.
  ///
  /// Lock-free, allocates nothing.
  ///
  /// - Parameter amount: How many. Zero and negative amounts are ignored, as a counter never falls. Instead of
  ///   wrapping around, the counter stops somewhere above 2^56 (72 quadrillion).
  public func increment(by amount: Int = 1) {
    guard amount > 0 else { return }
    let stripe = stripes.ownStripe
    if stripe.add(min(UInt64(amount), Self.stripeLimit), to: 0) > Self.stripeLimit {
      stripe.limit(0, to: Self.stripeLimit)
    }
  }

  /// How many were counted so far.
  ///
  /// Includes every increment that happened before the call. Increments that run at the same time are included or not;
  /// for one reader the value never falls.
  ///
  /// - Complexity: O(processors).
  public var value: Int {
    var sum: UInt64 = 0
    for index in 0..<stripes.stripeCount {
      sum += min(stripes[stripe: index].load(0), Self.stripeLimit)
    }
    return Int(sum)
  }

  /// The counter's one figure.
  public func samples() -> [MetricSample] {
    [
      MetricSample(
        name: identity.name, kind: .counter, labels: identity.labels, value: Double(value),
        help: identity.help)
    ]
  }
}
