/// What is kept of the samples of one measurement.
struct Summary: Sendable, Equatable {
  var min: Double
  var median: Double
  var p99: Double
  var samples: Int

  /// - Parameter values: At least one.
  init(_ values: [Double]) {
    let sorted = values.sorted()
    samples = sorted.count
    min = sorted[0]
    let middle = samples / 2
    median = samples.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
    // Nearest rank: the smallest value that at least 99 % of all do not exceed.
    p99 = sorted[Int((0.99 * Double(samples)).rounded(.up)) - 1]
  }
}
