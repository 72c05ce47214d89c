import ReliabilityCore
import Testing

@testable import RetryKit

@Suite struct HedgeStateMachineTests {
  typealias Failure = HedgeStateMachine.Failure
  let now = ContinuousClock.now

  func machine(_ maxAttempts: Int = 3, started: Int = 1) -> HedgeStateMachine {
    var machine = HedgeStateMachine(maxAttempts: maxAttempts)
    for _ in 0..<started { machine.attemptStarted() }
    return machine
  }

  @Test("A retryable failure starts the next attempt at once and leaves the others alone")
  func retryable() {
    var machine = machine(started: 2)
    #expect(machine.attemptFailed(Failure(), now: now, deadline: nil) == .start(.failure))
    #expect(!machine.isDecided)
  }

  @Test("A failure that is the answer to all ends the call, also while others run")
  func fatal() {
    var machine = machine(started: 2)
    let failure = Failure(retryability: .notRetryable)
    #expect(machine.attemptFailed(failure, now: now, deadline: nil) == .end)
  }

  @Test("A cancellation of the body's own ends the call, whatever the opinion")
  func cancellation() {
    var machine = machine(started: 2)
    let failure = Failure(isCancellation: true, opinion: true)
    #expect(machine.attemptFailed(failure, now: now, deadline: nil) == .end)
  }

  @Test("Retry-After leaves the others alone and starts no more in this call")
  func pushback() {
    var machine = machine(started: 2)
    let failure = Failure(retryability: .retryable(after: .seconds(1)))
    #expect(machine.attemptFailed(failure, now: now, deadline: nil) == .wait)
    #expect(machine.stopReason == .pushback)
    #expect(machine.delayPassed(now: now, deadline: nil) == .wait)
    #expect(machine.nextDue(.zero, from: now, deadline: nil) == nil)
    #expect(machine.attemptFailed(Failure(), now: now, deadline: nil) == .end)
  }

  @Test("A call turned away here never ends one that has reached the other side")
  func rejection() {
    for retryability in [Retryability.retryable(), .notRetryable, .retryable(after: .seconds(1))] {
      var machine = machine(started: 2)
      let failure = Failure(retryability: retryability, isRejection: true)
      #expect(machine.attemptFailed(failure, now: now, deadline: nil) == .wait)
      #expect(machine.stopReason == .rejected)
    }
    var alone = machine()
    let failure = Failure(isRejection: true)
    #expect(alone.attemptFailed(failure, now: now, deadline: nil) == .end)
  }

  @Test("The caller's opinion goes before what the error says, both ways")
  func opinion() {
    var machine = machine()
    var failure = Failure(retryability: .notRetryable, opinion: true)
    #expect(machine.attemptFailed(failure, now: now, deadline: nil) == .start(.failure))
    var other = self.machine(started: 2)
    failure = Failure(retryability: .retryable(), opinion: false)
    #expect(other.attemptFailed(failure, now: now, deadline: nil) == .end)
    var rejected = self.machine()
    failure = Failure(isRejection: true, opinion: true)
    #expect(rejected.attemptFailed(failure, now: now, deadline: nil) == .start(.failure))
  }

  @Test("P15: an empty budget stops further attempts and disturbs nothing in flight")
  func budget() {
    var machine = machine()
    #expect(machine.delayPassed(now: now, deadline: nil) == .start(.delay))
    #expect(machine.startRefused() == .wait)
    #expect(machine.stopReason == .budgetExhausted)
    #expect(machine.running == 1)
    #expect(machine.attemptFailed(Failure(), now: now, deadline: nil) == .end)
  }

  @Test("P13: no attempt is due that could not start before the deadline")
  func deadline() {
    var machine = machine()
    let deadline = Deadline(now.advanced(by: .seconds(1)))
    let due = now.advanced(by: .milliseconds(999))
    #expect(machine.nextDue(.milliseconds(999), from: now, deadline: deadline) == due)
    #expect(machine.nextDue(.seconds(1), from: now, deadline: deadline) == nil)
    // The delay comes too late; a failure in time does not.
    #expect(machine.stopReason == nil)
    var late = self.machine(started: 2)
    let action = late.attemptFailed(Failure(), now: deadline.instant, deadline: deadline)
    #expect(action == .wait)
    #expect(late.stopReason == .deadline)
  }

  @Test("No more attempts than allowed, by delay or failure")
  func limit() {
    var machine = machine(2, started: 2)
    #expect(machine.delayPassed(now: now, deadline: nil) == .wait)
    #expect(machine.attemptFailed(Failure(), now: now, deadline: nil) == .wait)
    #expect(machine.attemptFailed(Failure(), now: now, deadline: nil) == .end)
    #expect(machine.stopReason == nil, "reaching the limit is no reason to tell")
  }

  @Test("Huge and zero delays neither trap nor pass for another")
  func extremes() {
    var machine = machine()
    #expect(machine.nextDue(.zero, from: now, deadline: nil) == now)
    let far = machine.nextDue(.seconds(Int64.max), from: now, deadline: nil)
    #expect(far! > now.advanced(by: .seconds(400 * 365 * 86_400)))
  }
}
