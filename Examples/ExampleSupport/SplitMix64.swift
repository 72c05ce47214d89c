/// A small seeded generator (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
///
///     var chance = SplitMix64(seed: 7)
///     print([1, 2, 3, 4].shuffled(using: &chance))  // the same order every time
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// Makes a generator whose numbers depend on the seed alone.
  public init(seed: UInt64) { state = seed }

  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    return Self.mix(state)
  }

  /// Scatters the bits of a number; neighbours in give strangers out.
  @inline(__always) public static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z &>> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z &>> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z &>> 31)
  }
}
