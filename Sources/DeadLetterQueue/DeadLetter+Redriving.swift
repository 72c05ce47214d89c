extension DeadLetter {
  /// How letters are redriven.
  ///
  ///     var options = DeadLetter.RedriveOptions()
  ///     options.limiter = RateLimiter(RateLimit(50, per: .seconds(1)))
  ///     options.budget = paymentsBudget   // shared with all who call payments
  ///     options.retry = RetryPolicy(maxAttempts: 3)
  public struct RedriveOptions: Sendable {
    /// Whether only to look: which letters there are and which of them decode.
    ///
    /// Changes nothing, takes no permit and no token.
    public var isDryRun = false
    /// The most letters to try.
    public var maximumCount = Int.max
    /// Which letter is first.
    public var order = Order.oldestFirst
    /// Paces the letters; each takes one permit.
    public var limiter: RateLimiter?
    /// Pays for the letters, a token each; when it is empty, the redrive ends with the rest untouched.
    public var budget: RetryBudget?
    /// How often each letter is tried in this redrive, counted anew; `nil` for once.
    public var retry: RetryPolicy?
    /// Ends the redrive after so many letters in a row that failed; `nil` for no such limit.
    public var maximumFailuresInARow: Int?

    /// All that match, oldest first, as fast as they go.
    public init() {}
  }

  /// What became of a redrive.
  public struct RedriveReport: Hashable, Sendable {
    /// Why a redrive ended.
    public enum Ending: Hashable, Sendable {
      /// Every letter of the snapshot was looked at.
      case completed
      /// The shared budget was empty.
      case budgetSpent
      /// The other side can't be reached just now (an open circuit, a full limiter): a rejection that says nothing about the
      /// letter.
      case turnedAway
      /// Too many letters in a row failed.
      case failing
      /// The task was cancelled; the call threw.
      case cancelled
      /// The limiter or the disk refused; the call threw.
      case stopped
    }

    /// Letters that matched when it began: no other one is touched, whatever comes meanwhile.
    public internal(set) var selected = 0
    /// Letters that were redriven and left; in a dry run those that would be tried.
    public internal(set) var succeeded = 0
    /// Letters that failed again and stay.
    public internal(set) var failed = 0
    /// Letters whose payload does not decode; they stay as they are.
    public internal(set) var undecodable = 0
    /// Letters whose redrive was cancelled or turned away; they stay as they are.
    public internal(set) var cancelled = 0
    /// Letters that had gone, or that another redrive had.
    public internal(set) var skipped = 0
    /// Whether it was a dry run.
    public internal(set) var isDryRun = false
    /// Why it ended.
    public internal(set) var ending = Ending.completed

    /// Letters of the snapshot that were not looked at.
    public var untried: Int {
      selected - succeeded - failed - undecodable - cancelled - skipped
    }
  }
}
