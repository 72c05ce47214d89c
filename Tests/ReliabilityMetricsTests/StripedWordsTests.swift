import Testing

@testable import ReliabilityMetrics

/// What counters and histograms rely on when there are more threads than stripes.
@Suite struct StripedWordsTests {
  private final class Shared: Sendable {
    let words: StripedWords

    init(maximumStripes: Int) {
      words = StripedWords(words: 3, maximumStripes: maximumStripes)
    }
  }

  /// Long enough for the tasks to run at the same time.
  private static let rounds = 50_000

  @Test func nothingIsLostWhenThreadsShareAStripe() async {
    let shared = Shared(maximumStripes: 1)
    await withTaskGroup { group in
      for task in 0..<4 {
        group.addTask {
          for round in 0..<Self.rounds {
            let stripe = shared.words.ownStripe
            _ = stripe.add(1, to: 0)
            stripe.addFloating(0.5, to: 1)
            stripe.raise(2, to: UInt64(round * 4 + task))
          }
        }
      }
    }
    let stripe = shared.words[stripe: 0]
    #expect(shared.words.stripeCount == 1)
    #expect(stripe.load(0) == UInt64(4 * Self.rounds))
    #expect(Double(bitPattern: stripe.load(1)) == 2 * Double(Self.rounds))
    #expect(stripe.load(2) == UInt64(Self.rounds * 4 - 1))
  }

  @Test func aNewBlockIsZeroAndItsStripesDoNotOverlap() {
    let words = StripedWords(words: 17, maximumStripes: 8)
    #expect(words.stripeCount >= 4 && words.stripeCount <= 8)
    for stripe in 0..<words.stripeCount {
      for word in 0..<17 {
        #expect(words[stripe: stripe].load(word) == 0)
        #expect(words[stripe: stripe].add(UInt64(stripe * 17 + word + 1), to: word) > 0)
      }
    }
    for stripe in 0..<words.stripeCount {
      for word in 0..<17 {
        #expect(words[stripe: stripe].load(word) == UInt64(stripe * 17 + word + 1))
      }
    }
  }

  @Test func aThreadStaysOnOneStripe() {
    let words = StripedWords(words: 1)
    for _ in 0..<1000 { _ = words.ownStripe.add(1, to: 0) }
    let counts = (0..<words.stripeCount).map { words[stripe: $0].load(0) }
    #expect(counts.filter { $0 > 0 } == [1000])
  }

  @Test func raisingToALowerValueChangesNothing() {
    let words = StripedWords(words: 1, maximumStripes: 1)
    words.ownStripe.raise(0, to: 1 << 62)
    words.ownStripe.raise(0, to: 5)
    #expect(words.ownStripe.load(0) == 1 << 62)
  }
}
