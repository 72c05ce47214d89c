/// A random number generator that gives the same numbers for the same seed: for tests and reproducible runs.
///
/// SplitMix64, which passes BigCrush and is eight bytes large. Not for secrets: the next number follows from the
/// last one.
///
///     var generator = SeededGenerator(seed: 42)
///     let roll = Int.random(in: 1...6, using: &generator)
///     print("seed \(generator.seed), rolled \(roll)")
///
/// Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with the constants of
/// Vigna's reference code (prng.di.unimi.it/splitmix64.c).
public struct SeededGenerator: RandomNumberGenerator, Hashable, Sendable {
  /// The seed that would continue the sequence from here: what to print when a test fails.
  public private(set) var seed: UInt64

  /// Makes a generator.
  ///
  /// - Parameter seed: Any number. Neighbouring seeds give unrelated sequences.
  public init(seed: UInt64) {
    self.seed = seed
  }

  /// The next number, each of the 2^64 values equally likely.
  public mutating func next() -> UInt64 {
    seed &+= 0x9E37_79B9_7F4A_7C15
    var mixed = seed
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
