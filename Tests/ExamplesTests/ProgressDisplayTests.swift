import Testing

@testable import ReliabilityExampleSupport

@Suite struct ProgressDisplayTests {
  private let display = ProgressDisplay(terminal: Terminal(.error), total: 1)

  @Test func whatIsContinuedIsNotCountedAgain() {
    display.begin(worker: 0, "a")
    display.advance(worker: 0, bytes: 100, of: 200)
    display.end(worker: 0, nil, isGood: false)
    display.begin(worker: 1, "a", isContinued: true)
    display.advance(worker: 1, bytes: 100, of: 200)
    #expect(display.bytes == 100)
    display.advance(worker: 1, bytes: 150, of: 200)
    #expect(display.bytes == 150)
  }

  @Test func whatIsStartedAnewIsCountedAnew() {
    display.begin(worker: 0, "a")
    display.advance(worker: 0, bytes: 100, of: nil)
    display.advance(worker: 0, bytes: 0, of: nil)
    display.advance(worker: 0, bytes: 30, of: nil)
    #expect(display.bytes == 130)
  }

  @Test func aWorkerThatIsDoneAddsNothing() {
    display.advance(worker: 7, bytes: 1000, of: nil)
    display.begin(worker: 0, "a")
    display.end(worker: 0, nil, isGood: false)
    display.advance(worker: 0, bytes: 1000, of: nil)
    #expect(display.bytes == 0)
  }
}
