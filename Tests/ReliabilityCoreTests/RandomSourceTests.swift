import ReliabilityCore
import Testing

@Suite struct RandomSourceTests {
  @Test("SplitMix64 gives the numbers of the reference code")
  func referenceNumbers() {
    var generator = SeededGenerator(seed: 1_234_567)
    #expect(
      (0..<5).map { _ in generator.next() } == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
        4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
      ])
  }

  @Test("A generator goes on from its printed seed")
  func resumes() {
    var generator = SeededGenerator(seed: 5)
    _ = generator.next()
    var resumed = SeededGenerator(seed: generator.seed)
    #expect(generator.next() == resumed.next())
  }

  @Test("The n-th generator of a seeded source is always the same, and none is like another")
  func seededSource() {
    func numbers(_ source: RandomSource) -> [UInt64] {
      (0..<100).map { _ in
        var generator = source.makeGenerator()
        return generator.next()
      }
    }
    let once = numbers(.seeded(8))
    #expect(once == numbers(.seeded(8)))
    #expect(Set(once).count == 100)
    #expect(once != numbers(.seeded(9)))
  }

  @Test("A source makes its generators with the factory it was given, and the system's differ")
  func factories() {
    let source = RandomSource { SeededGenerator(seed: 1) }
    var (one, two) = (source.makeGenerator(), source.makeGenerator())
    #expect(one.next() == two.next())
    var (three, four) = (RandomSource.system.makeGenerator(), RandomSource.system.makeGenerator())
    #expect((three.next(), three.next()) != (four.next(), four.next()))
  }
}
