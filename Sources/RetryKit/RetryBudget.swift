public import ReliabilityCore
internal import Synchronization

/// Bounds how much load retries may add: a fifth of the calls, and ten a second, by default.
///
/// When everything fails, three attempts a call are three times the load, exactly when the other side can bear it
/// least. Calls pay in a part of a token, every retry takes a whole one, and an empty budget means that the last real
/// error is thrown without another try. Make one for each thing that can be overloaded and share it among all who
/// call that thing, hedged and redelivered calls included:
///
///     let budget = RetryBudget(name: "search")
///     let policy = RetryPolicy.recommended(budget: budget)
///     let hits = try await retry(policy) { try await search(query) }
///     print(budget.balance)  // 100.2 or less
///
/// The tokens of a call fade with the window as their time constant: in the long run there are as many as a sliding
/// window of that length would hold (`ratio` of its calls), and `minimumPerSecond × window` beside them, which is
/// also what a new budget starts with. While everything fails, retries are bound to `ratio` of the calls plus
/// `minimumPerSecond`. Nothing in flight is ever disturbed; only a retry that would start now is refused.
///
/// Source of the semantics and of the numbers: Finagle's `RetryBudget` and tower's `TpsBudget` (20 %, 10 a second,
/// 10 seconds). Theirs counts in slots; one that fades fits into one atomic word, so that no check can be separated from
/// its act. Tokens are counted in thousandths, never rounded to zero.
public final class RetryBudget: MetricsSource {
  /// The name that its figures carry as a label.
  public let name: String

  private let word: Atomic<UInt64>
  private let ledger: BudgetLedger
  private let clock: any TimeSource
  private let origin: ContinuousClock.Instant
  private let granted = Atomic<Int>(0)
  private let refused = Atomic<Int>(0)
  private let refunded = Atomic<Int>(0)

  /// Makes a full budget.
  ///
  /// - Parameters:
  ///   - name: The label of its figures: what is being protected. One of a small set of words, never an identifier.
  ///   - ratio: Tokens that each call pays in: retries per call. Zero, or 0.001 to 1,000, in steps of 0.001.
  ///   - minimumPerSecond: Retries a second that are always possible, 0 to 10,000. Without them a rarely called
  ///     service could never be retried.
  ///   - window: How long a call counts, 64 ns to an hour.
  ///   - clock: The clock by which tokens fade.
  /// - Precondition: The values are in their ranges; ``validate(ratio:minimumPerSecond:window:)`` tells.
  public init(
    name: String = "default", ratio: Double = 0.2, minimumPerSecond: Int = 10,
    window: Duration = .seconds(10), clock: any TimeSource = ContinuousClock()
  ) {
    requireValid { () throws(ConfigurationError) in
      try Self.validate(ratio: ratio, minimumPerSecond: minimumPerSecond, window: window)
    }
    self.name = name
    self.clock = clock
    origin = clock.now
    ledger = BudgetLedger(ratio: ratio, minimumPerSecond: minimumPerSecond, window: window)
    word = Atomic(ledger.full.bits)
  }

  /// Checks values that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public static func validate(
    ratio: Double, minimumPerSecond: Int, window: Duration
  ) throws(ConfigurationError) {
    try check(
      ratio == 0 || (ratio >= 0.001 && ratio <= 1000), "ratio",
      "must be 0 or between 0.001 and 1000")
    try check(
      (0...10_000).contains(minimumPerSecond), "minimumPerSecond", "must be between 0 and 10000")
    try check(
      window >= .nanoseconds(64) && window <= .seconds(3600), "window",
      "must be between 64 nanoseconds and one hour")
  }

  /// Pays in for one call.
  ///
  /// `retry` does it once for every call, whatever becomes of it.
  ///
  /// Costs one compare-and-swap; only every sixteenth deposit reads the clock.
  public func deposit() {
    update { $0.deposit(now: now) }
  }

  /// Takes one token for one retry.
  ///
  /// - Returns: Whether there was one. When `false`, the retry must not happen.
  public func withdraw() -> Bool {
    let isGranted = update { $0.withdraw(at: now()) }
    if isGranted {
      granted.add(1, ordering: .relaxed)
    } else {
      refused.add(1, ordering: .relaxed)
    }
    return isGranted
  }

  /// Gives back a token whose retry did not happen, because the caller was cancelled before it.
  public func refund() {
    update { $0.refund() }
    refunded.add(1, ordering: .relaxed)
  }

  /// The tokens there are now, zero at least.
  ///
  /// A retry needs a whole one.
  public var balance: Double {
    var account = Account(ledger: ledger, word: word.load(ordering: .acquiring))
    account.advance(to: now())
    return Double(account.word.balance) / 1000
  }

  /// Retries granted, refused and refunded, and the tokens left.
  public func samples() -> [MetricSample] {
    func counter(_ name: String, _ value: Int, _ help: String) -> MetricSample {
      MetricSample(
        name: name, kind: .counter, labels: [(name: "budget", value: self.name)],
        value: Double(value), help: help)
    }
    return [
      counter(
        "retry_budget_granted_total", granted.load(ordering: .relaxed),
        "Retries paid for"),
      counter(
        "retry_budget_refused_total", refused.load(ordering: .relaxed),
        "Retries not paid for"),
      counter(
        "retry_budget_refunded_total", refunded.load(ordering: .relaxed), "Tokens given back"),
      MetricSample(
        name: "retry_budget_tokens", kind: .gauge, labels: [(name: "budget", value: name)],
        value: balance, help: "Retries that could be paid for now"),
    ]
  }

  private typealias Account = BudgetLedger.Account

  /// Applies a change to the one word.
  ///
  /// The change reads the clock only after the word was loaded, so that its time is never before the one in the word.
  @discardableResult
  private func update<Result>(_ change: (inout Account) -> Result) -> Result {
    var seen = word.load(ordering: .acquiring)
    while true {
      var account = Account(ledger: ledger, word: seen)
      let result = change(&account)
      let (exchanged, original) = word.weakCompareExchange(
        expected: seen, desired: account.word.bits, ordering: .acquiringAndReleasing)
      if exchanged { return result }
      seen = original
    }
  }

  private func now() -> UInt64 {
    ledger.tick(after: origin.duration(to: clock.now))
  }
}
