/// Where chance comes from: the system, a seed, or a factory of your own.
///
/// Every type that draws random numbers takes one, so that a test or a replayed run can fix them all. A source
/// hands out one generator for each use (a call of `retry`, a cache, a breaker), so that concurrent users never
/// share a generator.
///
///     let random = RandomSource.seeded(42)
///     var policy = RetryPolicy.default
///     policy.randomness = random
public struct RandomSource: Sendable {
  private let factory: @Sendable () -> any RandomNumberGenerator & Sendable

  /// Makes a source from a factory.
  ///
  /// - Parameter makeGenerator: Called once for each use, possibly from several threads at once.
  public init(_ makeGenerator: @escaping @Sendable () -> any RandomNumberGenerator & Sendable) {
    factory = makeGenerator
  }

  /// The system's generator: the default everywhere.
  public static let system = RandomSource { SystemRandomNumberGenerator() }

  /// A source whose n-th generator is always the same one.
  ///
  /// Its generators differ from each other: a thousand calls that share a seeded policy do not back off in step.
  /// A run is reproducible as far as the order of its uses is.
  ///
  /// - Parameter seed: Any number.
  public static func seeded(_ seed: UInt64) -> RandomSource {
    let seeds = SeedSequence(seed: seed)
    return RandomSource { SeededGenerator(seed: seeds.next()) }
  }

  /// A generator for one use.
  public func makeGenerator() -> any RandomNumberGenerator & Sendable { factory() }
}

/// Deals out the seeds of a seeded source's generators.
private final class SeedSequence: Sendable {
  private let generator: Lock<SeededGenerator>

  init(seed: UInt64) {
    generator = Lock(SeededGenerator(seed: seed))
  }

  func next() -> UInt64 { generator.withLock { $0.next() } }
}
