/// Records how large values are (how long calls take, how big files are) and answers with quantiles.
///
///     let latency = Histogram("request_duration_seconds", help: "Time to answer a request")
///     latency.record(.milliseconds(12))
///     latency.record(.milliseconds(250))
///     let snapshot = latency.snapshot()
///     print(snapshot.quantile(0.99) ?? 0)  // within 0.8 % of 0.25
///
/// Values are kept in buckets that grow with the value, so every quantile is off by at most 1/128 (0.8 %) of itself,
/// from 2^-30 (in seconds: about a nanosecond) to 2^64; the count, the minimum and the maximum are exact. Every histogram has
/// the same buckets, so that snapshots of any two can be merged.
///
/// Recording is lock-free, allocates nothing and accepts every value. The address space taken is 48 KB for each stripe (at
/// most 8), of which the system provides only the pages that are written: some 12 KB for values within a factor of 200.
public final class Histogram: MetricsSource {
  // The words of a stripe: three figures, then the buckets from the next cache line on. Zero stands for "no value yet".
  private static let sumWord = 0
  private static let maximumWord = 1
  /// Holds the distance to ``highestBits``, so that it too only rises.
  private static let minimumWord = 2
  private static let firstBucketWord = 16
  /// More than the bits of any recorded value: none is negative.
  private static let highestBits = UInt64(Int64.max)

  private let identity: MetricIdentity
  private let bounds: [Double]
  private let stripes = StripedWords(
    words: firstBucketWord + HistogramLayout.bucketCount, maximumStripes: 8)

  /// Makes an empty histogram.
  ///
  /// A bad name, label or bound is a programmer's error and traps.
  ///
  /// - Parameters:
  ///   - name: Lower-case words joined by `_` with the base unit last (`_seconds`, `_bytes`, `_ratio`).
  ///   - help: One sentence that says what is measured.
  ///   - labels: Labels in a fixed order. Values come from a small, known set; never identifiers.
  ///   - bounds: The bounds of the few buckets that ``samples()`` shows, ascending, finite and above zero. They do not
  ///     limit what can be recorded and have no influence on quantiles.
  public init(
    _ name: String, help: String = "", labels: [(name: String, value: String)] = [],
    bounds: [Double] = Histogram.durationBounds
  ) {
    identity = MetricIdentity(name, help: help, labels: labels)
    self.bounds = bounds
    requireValid { () throws(ConfigurationError) in try Self.validate(bounds: bounds) }
  }

  static func validate(bounds: [Double]) throws(ConfigurationError) {
    try check(
      bounds.allSatisfy { $0 > 0 && $0.isFinite }, "bounds", "must be finite and above zero")
    try check(zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds", "must ascend")
  }

  /// Bounds in seconds for calls that take between a tenth of a millisecond and a minute.
  public static let durationBounds: [Double] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    30, 60,
  ]

  /// Bounds in bytes from 1 KiB to 1 GiB, by a factor of four.
  public static let byteBounds: [Double] = (0...10).map { 1024 * Double(1 << (2 * $0)) }

  /// Records a value in the unit that the histogram's name ends in.
  ///
  /// - Parameter value: Any value. Negative ones count as zero, those from 2^64 on (infinity too) as the largest value below
  ///   it; NaN is not a value and is not recorded.
  public func record(_ value: Double) {
    guard !value.isNaN else { return }
    let value = HistogramLayout.limit(value)
    let stripe = stripes.ownStripe
    // The extremes first, since a reader looks at the buckets between them only. The maximum before the minimum, since a
    // reader reads them the other way round and must never see the minimum above the maximum.
    stripe.raise(Self.maximumWord, to: value.bitPattern)
    stripe.raise(Self.minimumWord, to: Self.highestBits - value.bitPattern)
    stripe.addFloating(value, to: Self.sumWord)
    _ = stripe.add(1, to: Self.firstBucketWord + HistogramLayout.bucket(of: value))
  }

  /// Records a whole number, such as a size in bytes.
  ///
  /// Negative ones count as zero.
  @inlinable public func record(_ value: some BinaryInteger) {
    record(Double(value))
  }

  /// Records a duration, in seconds.
  ///
  /// Negative ones count as zero.
  public func record(_ duration: Duration) {
    record(duration.fractionalSeconds)
  }

  /// The values recorded so far.
  ///
  /// Includes every value recorded before the call. Of values that are recorded at the same time any may be missing; the
  /// snapshot itself is coherent as to its count and quantiles, while the sum may be ahead or behind by those values.
  ///
  /// - Complexity: O(stripes × buckets between minimum and maximum), some microseconds.
  public func snapshot() -> HistogramSnapshot {
    var result = HistogramSnapshot()
    for index in 0..<stripes.stripeCount {
      let stripe = stripes[stripe: index]
      let minimumDistance = stripe.load(Self.minimumWord)
      guard minimumDistance != 0 else { continue }
      let minimum = Double(bitPattern: Self.highestBits - minimumDistance)
      let maximum = Double(bitPattern: stripe.load(Self.maximumWord))
      let buckets = HistogramLayout.bucket(of: minimum)...HistogramLayout.bucket(of: maximum)
      result.merge(
        HistogramSnapshot(
          firstBucket: buckets.lowerBound,
          counts: buckets.map { stripe.load(Self.firstBucketWord + $0) },
          sum: Double(bitPattern: stripe.load(Self.sumWord)),
          minimum: minimum, maximum: maximum))
    }
    return result
  }

  /// One sample with the buckets that the histogram was made with.
  public func samples() -> [MetricSample] {
    [
      MetricSample(
        name: identity.name, labels: identity.labels,
        distribution: snapshot().distribution(bounds: bounds), help: identity.help)
    ]
  }
}

extension Duration {
  /// The duration in seconds, without the 128-bit division of `components`, which takes longer than the recording.
  fileprivate var fractionalSeconds: Double {
    let high = Int64(truncatingIfNeeded: attoseconds >> 64)
    let low = UInt64(truncatingIfNeeded: attoseconds)
    return (Double(high) * 0x1p64 + Double(low)) / 1e18
  }
}
