import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import RetryKit
import Testing

@Suite struct RetryBudgetTests {
  let clock = ManualClock()

  func drain(_ budget: RetryBudget) -> Int {
    var count = 0
    while budget.withdraw() { count += 1 }
    return count
  }

  @Test("P14: the recommended preset has a budget and gives unclassified errors fewer tries")
  func preset() async {
    #expect(RetryPolicy.recommended.budget != nil)
    #expect(RetryPolicy.default.budget == nil)
    let policy = RetryPolicy.recommended(budget: RetryBudget(clock: clock))
    #expect(await story(policy) { _ in Flaky() }.attempts == 2)
    #expect(await story(policy) { _ in Classified() }.attempts == 3)
  }

  @Test("P14: in a total outage retries are bound to the floor and a fifth of the calls")
  func outage() async throws {
    let budget = RetryBudget(clock: clock)
    var policy = RetryPolicy(maxAttempts: 3, backoff: .none, budget: budget)
    policy.clock = clock
    let attempts = Log<Int>()
    let reasons = Log<RetryStopReason>()
    policy.observer = { event in
      if case .stopped(let reason) = event.kind { reasons.append(reason) }
    }
    for _ in 0..<1_000 {
      // P15: the last real error, not one about the budget.
      let error = await failure {
        try await retry(policy) { attempt in
          attempts.append(attempt)
          throw Flaky()
        }
      }
      #expect(error is Flaky)
    }
    #expect(attempts.count == 1_000 + 100 + 200)
    #expect(reasons.all.contains(.budgetExhausted))
    #expect(reasons.all.contains(.attemptsExhausted))
  }

  @Test("A new budget holds the floor of one window, and a call adds a fifth")
  func startsWithFloor() {
    let budget = RetryBudget(clock: clock)
    #expect(budget.balance == 100)
    #expect(drain(budget) == 100)
    for _ in 0..<5 { budget.deposit() }
    #expect(budget.withdraw())
    #expect(!budget.withdraw())
  }

  @Test(
    "P15: fractions are not lost (tower #857): a thousand deposits of a thousandth make one token")
  func noFractionIsLost() {
    let budget = RetryBudget(ratio: 0.001, minimumPerSecond: 0, clock: clock)
    for _ in 0..<999 { budget.deposit() }
    #expect(!budget.withdraw())
    budget.deposit()
    #expect(budget.withdraw())
    #expect(!budget.withdraw())
  }

  @Test("The floor comes back with time (aws-sdk-go #3550): ten a second, all of it after calm")
  func floorRefills() {
    let budget = RetryBudget(clock: clock)
    _ = drain(budget)
    var granted = 0
    for _ in 0..<100 {
      clock.advance(by: .milliseconds(1_000))
      granted += drain(budget)
    }
    // A little less than ten a second at this pace, because the rest of a window's floor grows more slowly.
    #expect((900...1_010).contains(granted), "\(granted)")
    clock.advance(by: .seconds(600))
    #expect(drain(budget) == 100)
  }

  @Test("The floor comes back however often the budget is looked at in between")
  func refillsUnderPolling() {
    let budget = RetryBudget(clock: clock)
    _ = drain(budget)
    for _ in 0..<600_000 {
      clock.advance(by: .milliseconds(1))
      budget.deposit()
      _ = budget.balance
    }
    // 1,000 calls a second for far longer than the window: 20 % of ten seconds' calls, and the floor.
    #expect((2_050...2_150).contains(budget.balance), "\(budget.balance)")
  }

  @Test("Calls fade: after several windows of silence only the floor is left")
  func callsFade() {
    let budget = RetryBudget(clock: clock)
    for _ in 0..<100_000 { budget.deposit() }
    #expect((20_000...20_101).contains(budget.balance))
    clock.advance(by: .seconds(10))
    #expect((7_000...7_700).contains(budget.balance), "about 1/e after one window")
    clock.advance(by: .seconds(200))
    #expect(budget.balance == 100)
  }

  @Test("Model: grants never exceed floor plus ratio, and the balance never goes below zero")
  func conservation() {
    var generator = SeededGenerator(seed: 77)
    for round in 0..<20 {
      let budget = RetryBudget(clock: clock)
      let start = clock.now
      var (deposits, grants, refunds) = (0, 0, 0)
      for _ in 0..<5_000 {
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<4:
          budget.deposit()
          deposits += 1
        case 4..<8: if budget.withdraw() { grants += 1 }
        case 8:
          if grants > refunds {
            budget.refund()
            refunds += 1
          }
        default: clock.advance(by: .milliseconds(Int.random(in: 0...50, using: &generator)))
        }
        #expect(budget.balance >= 0, "seed 77, round \(round)")
      }
      let seconds = (clock.now - start) / .seconds(1)
      let limit = 100 + 10.1 * seconds + 0.2 * Double(deposits) + Double(refunds)
      #expect(Double(grants) <= limit, "seed 77, round \(round)")
    }
  }

  @Test("P15: racing withdrawals never grant more tokens than there are")
  func racingWithdrawals() async {
    let budget = RetryBudget(ratio: 1, minimumPerSecond: 0, clock: clock)
    let granted = await withTaskGroup(of: Int.self) { group in
      for worker in 0..<8 {
        group.addTask {
          var granted = 0
          for turn in 0..<20_000 {
            if (turn + worker).isMultiple(of: 4) { budget.deposit() }
            if budget.withdraw() { granted += 1 }
          }
          return granted
        }
      }
      return await group.reduce(0, +)
    }
    let deposits = 8 * 20_000 / 4
    #expect(Double(granted) + budget.balance == Double(deposits))
  }

  @Test("Nobody's clock makes it empty: a year of silence, a clock that stands still")
  func silence() {
    let budget = RetryBudget(clock: clock)
    clock.advance(by: .seconds(365 * 86_400))
    #expect(budget.balance == 100)
    _ = drain(budget)
    clock.advance(by: .seconds(365 * 86_400))
    #expect(budget.balance > 90)
  }

  @Test("Its figures count grants, refusals and refunds")
  func figures() {
    let budget = RetryBudget(name: "search", minimumPerSecond: 1, clock: clock)
    _ = drain(budget)
    budget.refund()
    let samples = budget.samples()
    #expect(samples.map(\.value) == [10, 1, 1, 1])
    #expect(samples.allSatisfy { $0.labels.first?.value == "search" })
  }

  @Test("Values from outside are refused by field")
  func validation() {
    func field(_ ratio: Double = 0.2, _ floor: Int = 10, _ window: Duration = .seconds(10))
      -> String?
    {
      do {
        try RetryBudget.validate(ratio: ratio, minimumPerSecond: floor, window: window)
        return nil
      } catch {
        return error.field
      }
    }
    #expect(field() == nil)
    #expect(field(.nan) == "ratio")
    #expect(field(-0.1) == "ratio")
    #expect(field(0.0001) == "ratio")
    #expect(field(.infinity) == "ratio")
    #expect(field(0.2, -1) == "minimumPerSecond")
    #expect(field(0.2, .max) == "minimumPerSecond")
    #expect(field(0.2, 10, .zero) == "window")
    #expect(field(0.2, 10, .seconds(Int64.max)) == "window")
  }
}
