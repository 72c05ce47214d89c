/// Whether memory grows steadily, and when it would reach its limit.
///
/// The slope is the median of the slopes between all pairs of the last samples (Theil and Sen), which a single jump does not move;
/// it counts only when memory grew in most steps.
struct MemoryTrend {
  private static let capacity = 12
  private static let minimum = 5

  private var samples: [(at: Int64, bytes: Int64)] = []

  mutating func record(_ bytes: Int64, at now: Int64) {
    if let last = samples.last, now <= last.at { return }
    if samples.count == Self.capacity { samples.removeFirst() }
    samples.append((now, bytes))
  }

  /// The growth over the last two samples, in bytes per second; zero when memory shrinks.
  var latestRate: Double {
    guard samples.count >= 2 else { return 0 }
    return max(0, Self.slope(samples[samples.count - 2], samples[samples.count - 1]))
  }

  /// Seconds until the limit is reached, `nil` when memory does not grow steadily.
  ///
  /// - Complexity: O(n²) for 12 samples at most.
  func seconds(to limit: Int64) -> Double? {
    guard samples.count >= Self.minimum, let last = samples.last else { return nil }
    let steps = zip(samples, samples.dropFirst())
    let growing = steps.count { $0.bytes < $1.bytes }
    guard growing * 4 >= (samples.count - 1) * 3 else { return nil }
    var slopes: [Double] = []
    for (index, earlier) in samples.enumerated() {
      for later in samples[(index + 1)...] { slopes.append(Self.slope(earlier, later)) }
    }
    slopes.sort()
    let median = slopes[slopes.count / 2]
    guard median > 0 else { return nil }
    return max(0, Double(limit - last.bytes)) / median
  }

  private static func slope(
    _ earlier: (at: Int64, bytes: Int64), _ later: (at: Int64, bytes: Int64)
  ) -> Double {
    Double(later.bytes - earlier.bytes) / (Double(later.at - earlier.at) / 1e9)
  }
}
