/// Which bucket a value falls into: the same log-linear layout for every histogram, so that any two can be merged.
///
/// Each power of two is cut into 64 buckets of equal width, from 2^-30 (about a nanosecond, in seconds) to 2^64. The bits
/// of a `Double` are such a scale already: exponent, then the first six bits of the significand, is the bucket's number.
/// A bucket is at most 1/64 as wide as its values are large, so its middle is off by at most 1/128, which is 0.8 %.
///
/// Source: G. Tene's HdrHistogram, with floating-point numbers for the scale as in Circllhist (H. Hartmann, "Circllhist",
/// arXiv:2001.06561).
enum HistogramLayout {
  /// How many values can be told apart within a power of two, as a number of bits.
  private static let precision: UInt64 = 6
  private static let shift = UInt64(Double.significandBitCount) - precision

  /// The first value that is told from zero: 2^-30.
  static let smallest = 0x1p-30
  /// The last value: the largest `Double` below 2^64.
  static let largest = 0x1.fffffffffffffp63

  /// The number, among all `Double`s, of the bucket that begins at ``smallest``.
  private static let base = smallest.bitPattern >> shift

  /// One for values below ``smallest``, then 64 for each of 94 powers of two.
  static let bucketCount = 1 + Int(largest.bitPattern >> shift - base + 1)

  /// Brings a value into the range of the scale: negative ones become zero, too large ones ``largest``.
  ///
  /// - Parameter value: Anything but NaN.
  static func limit(_ value: Double) -> Double {
    // In this order: `max(-0.0, 0)` may keep the sign, which the bucket's number would inherit.
    value > 0 ? min(value, largest) : 0
  }

  /// The bucket of a value that is in range.
  static func bucket(of value: Double) -> Int {
    let number = value.bitPattern >> shift
    return number < base ? 0 : Int(number - base) + 1
  }

  /// Where a bucket begins.
  ///
  /// The end of one is the beginning of the next.
  static func lowerBound(of bucket: Int) -> Double {
    bucket == 0 ? 0 : Double(bitPattern: (UInt64(bucket - 1) + base) << shift)
  }

  /// The value that stands for all values of a bucket.
  static func middle(of bucket: Int) -> Double {
    bucket == 0 ? 0 : (lowerBound(of: bucket) + lowerBound(of: bucket + 1)) / 2
  }
}
