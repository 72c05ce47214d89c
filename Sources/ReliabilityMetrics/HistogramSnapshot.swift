/// The values of a histogram at one moment: count, sum, extremes, quantiles.
///
/// A value type that can be kept, compared and merged with snapshots of other histograms:
///
///     var all = histograms[0].snapshot()
///     all.merge(histograms[1].snapshot())
///     print(all.count, all.quantile(0.5) ?? 0, all.quantile(0.99) ?? 0)
public struct HistogramSnapshot: Hashable, Sendable {
  /// How many values there are.
  public private(set) var count = 0
  /// The sum of the values, up to the rounding of `Double`.
  public private(set) var sum = 0.0
  /// The smallest value, exactly; `nil` when there is none.
  public private(set) var minimum: Double?
  /// The largest value, exactly; `nil` when there is none.
  public private(set) var maximum: Double?

  // The counts of the buckets from `firstBucket` on; the first and the last are not zero.
  private var firstBucket = 0
  private var counts: [UInt64] = []

  /// Makes a snapshot without values.
  public init() {}

  /// - Parameter counts: Of the buckets from `firstBucket` on; zeros at either end are cut off.
  init(firstBucket: Int, counts: [UInt64], sum: Double, minimum: Double, maximum: Double) {
    // Nothing but zeros: a value that is just being recorded and has reached no bucket yet.
    guard let first = counts.firstIndex(where: { $0 != 0 }),
      let last = counts.lastIndex(where: { $0 != 0 })
    else { return }
    self.firstBucket = firstBucket + first
    self.counts = Array(counts[first...last])
    self.count = self.counts.reduce(0) { $0 + Int($1) }
    (self.sum, self.minimum, self.maximum) = (sum, minimum, maximum)
  }

  /// The mean of the values; `nil` when there are none.
  public var mean: Double? { count == 0 ? nil : sum / Double(count) }

  /// The value below or at which the given part of all values lies.
  ///
  /// The nearest-rank definition: of `n` values in ascending order, the one at position `⌈fraction × n⌉`. Off by at most
  /// 1/128 of that value, or by 2^-30 when it is smaller than that; exact for 0 and 1.
  ///
  /// - Parameter fraction: From 0 (the minimum) through 0.5 (the median) to 1 (the maximum). Values outside count as the
  ///   nearer end, NaN as 1.
  /// - Returns: The value, or `nil` when there are no values.
  /// - Complexity: O(buckets between minimum and maximum).
  public func quantile(_ fraction: Double) -> Double? {
    guard let minimum, let maximum else { return nil }
    if fraction <= 0 { return minimum }
    guard fraction < 1 else { return maximum }
    // One step down, as in HdrHistogram: 0.07 × 100 is a little more than 7 in `Double`, and means the 7th.
    let rank = max(1, Int((fraction * Double(count)).nextDown.rounded(.up)))
    if rank >= count { return maximum }
    var passed = 0
    for (offset, bucketCount) in counts.enumerated() {
      passed += Int(bucketCount)
      if passed >= rank {
        return min(max(HistogramLayout.middle(of: firstBucket + offset), minimum), maximum)
      }
    }
    return maximum
  }

  /// How many values are at most as large as a bound.
  ///
  /// Values equal to the bound are always included; values above it by up to 1/64 may be.
  ///
  /// - Complexity: O(buckets between minimum and maximum).
  public func count(upTo bound: Double) -> Int {
    guard let minimum, let maximum, bound >= minimum else { return 0 }
    if bound >= maximum { return count }
    let end = HistogramLayout.bucket(of: HistogramLayout.limit(bound)) - firstBucket + 1
    return counts.prefix(max(0, end)).reduce(0) { $0 + Int($1) }
  }

  /// Adds one value, as `Histogram.record` would.
  ///
  /// - Parameter value: Any value. Negative ones count as zero, too large ones as the largest below 2^64; NaN is not
  ///   recorded.
  /// - Complexity: Amortized O(1) once the smallest and the largest value were seen.
  public mutating func record(_ value: Double) {
    guard !value.isNaN else { return }
    let value = HistogramLayout.limit(value)
    let bucket = HistogramLayout.bucket(of: value)
    if counts.isEmpty {
      firstBucket = bucket
      counts = [0]
    } else if bucket < firstBucket {
      counts.insert(contentsOf: repeatElement(0, count: firstBucket - bucket), at: 0)
      firstBucket = bucket
    } else if bucket >= firstBucket + counts.count {
      counts.append(
        contentsOf: repeatElement(0, count: bucket - firstBucket - counts.count + 1))
    }
    counts[bucket - firstBucket] += 1
    count += 1
    sum += value
    minimum = Swift.min(minimum ?? value, value)
    maximum = Swift.max(maximum ?? value, value)
  }

  /// Adds the values of another snapshot, of whichever histogram.
  ///
  /// - Complexity: O(buckets between minimum and maximum of both).
  public mutating func merge(_ other: HistogramSnapshot) {
    guard let otherMinimum = other.minimum, let otherMaximum = other.maximum else { return }
    guard let minimum, let maximum else {
      self = other
      return
    }
    let first = min(firstBucket, other.firstBucket)
    let end = max(firstBucket + counts.count, other.firstBucket + other.counts.count)
    var merged = [UInt64](repeating: 0, count: end - first)
    for (offset, bucketCount) in counts.enumerated() {
      merged[firstBucket - first + offset] = bucketCount
    }
    for (offset, bucketCount) in other.counts.enumerated() {
      merged[other.firstBucket - first + offset] += bucketCount
    }
    (firstBucket, counts) = (first, merged)
    count += other.count
    sum += other.sum
    self.minimum = Swift.min(minimum, otherMinimum)
    self.maximum = Swift.max(maximum, otherMaximum)
  }

  /// The spread over a few cumulative buckets, as a metric sample carries it.
  ///
  /// - Parameter bounds: Ascending bounds.
  /// - Complexity: O(bounds × buckets between minimum and maximum).
  public func distribution(bounds: [Double]) -> MetricDistribution {
    MetricDistribution(
      buckets: bounds.map { .init(upperBound: $0, count: count(upTo: $0)) }, count: count, sum: sum)
  }
}
