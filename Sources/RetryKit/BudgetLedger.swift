internal import ReliabilityCore

/// The arithmetic of a ``RetryBudget``: pure, on one 64-bit word, in thousandths of a token.
struct BudgetLedger {
  /// What a call pays in.
  let deposit: UInt64
  /// What the balance fades toward: the retries of one window that are always possible.
  let reserve: Int64
  /// A 64th of the window.
  let tickNanoseconds: Int64

  init(ratio: Double, minimumPerSecond: Int, window: Duration) {
    deposit = UInt64((ratio * 1000).rounded())
    reserve = (window * minimumPerSecond).nanoseconds / 1_000_000
    tickNanoseconds = max(1, window.nanoseconds / 64)
  }

  /// A new budget's word.
  var full: Word { Word(tick: 0, unclocked: 0, balance: UInt64(reserve)) }

  /// The number of a moment, modulo 2^24 (a month with the default window).
  ///
  /// A budget that nobody touches for exactly that long fades less than it should, once.
  func tick(after elapsed: Duration) -> UInt64 {
    UInt64(max(0, elapsed.nanoseconds) / tickNanoseconds) & Word.lastTick
  }

  /// When the balance was right, how many deposits came since without looking at the clock, and the balance.
  struct Word {
    static let lastTick: UInt64 = (1 << 24) - 1
    static let largestBalance: UInt64 = (1 << 36) - 1

    var bits: UInt64

    init(bits: UInt64) {
      self.bits = bits
    }

    init(tick: UInt64, unclocked: UInt64, balance: UInt64) {
      bits = tick << 40 | unclocked << 36 | min(balance, Self.largestBalance)
    }

    var tick: UInt64 { bits >> 40 }
    var unclocked: UInt64 { bits >> 36 & 15 }
    var balance: UInt64 { bits & Self.largestBalance }
  }

  /// A word being changed.
  struct Account {
    let ledger: BudgetLedger
    private(set) var word: Word

    init(ledger: BudgetLedger, word: UInt64) {
      self.ledger = ledger
      self.word = Word(bits: word)
    }

    /// - Parameter now: Called for every sixteenth deposit only: reading a clock costs more than all the rest.
    mutating func deposit(now: () -> UInt64) {
      var unclocked = word.unclocked + 1
      if unclocked == 16 {
        advance(to: now())
        unclocked = 0
      }
      word = Word(
        tick: word.tick, unclocked: unclocked, balance: word.balance + ledger.deposit)
    }

    mutating func withdraw(at tick: UInt64) -> Bool {
      advance(to: tick)
      guard word.balance >= 1000 else { return false }
      word = Word(tick: word.tick, unclocked: 0, balance: word.balance - 1000)
      return true
    }

    mutating func refund() {
      word = Word(tick: word.tick, unclocked: word.unclocked, balance: word.balance + 1000)
    }

    /// Lets the balance fade toward the reserve, by a 64th of the distance each tick: (63/64)^64 is 1/e, nearly.
    ///
    /// Each step rounds away from zero, so that it always arrives, and no fraction is lost for ever.
    mutating func advance(to tick: UInt64) {
      var distance = Int64(word.balance) - ledger.reserve
      // After 2,048 ticks nothing is left even of the largest balance.
      for _ in 0..<min(2048, (tick &- word.tick) & Word.lastTick) where distance != 0 {
        distance -= distance > 0 ? (distance + 63) / 64 : (distance - 63) / 64
      }
      word = Word(
        tick: tick, unclocked: word.unclocked, balance: UInt64(max(0, ledger.reserve + distance)))
    }
  }
}
