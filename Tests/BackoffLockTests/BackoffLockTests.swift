import BackoffLock
import ReliabilityTestSupport
import Testing

@Suite(.offThePool) struct FencingTokenTests {
  @Test func aTokenOfALaterEpochIsHigher() {
    #expect(FencingToken(epoch: 1, turn: 9) < FencingToken(epoch: 2, turn: 0))
  }
}
