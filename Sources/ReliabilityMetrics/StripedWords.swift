internal import CReliability
internal import Synchronization

/// Zeroed 64-bit words, the same number for each stripe, stripes far enough apart never to share a cache line.
///
/// Two threads that add to one word take turns at its cache line (measured: twice as slow as one thread alone). So a
/// thread adds to the words of its own stripe, and a reader adds the stripes up. The memory comes zeroed from the
/// system: pages of it that nobody touches cost address space only.
@safe struct StripedWords: ~Copyable, @unchecked Sendable {
  /// Two cache lines of most machines, one of Apple's: processors fetch lines in pairs.
  private static let wordsPerLine = 16

  /// How many stripes there are: a power of two.
  let stripeCount: Int

  private let wordsPerStripe: Int
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  /// - Parameters:
  ///   - words: How many words each stripe has.
  ///   - maximumStripes: At most so many stripes; a power of two.
  init(words: Int, maximumStripes: Int = 64) {
    let lines = (words + Self.wordsPerLine - 1) / Self.wordsPerLine
    wordsPerStripe = lines * Self.wordsPerLine
    stripeCount = min(Int(creliability_stripe_count()), maximumStripes)
    // One line more, half of it in front, keeps other objects on the heap off the first and the last line.
    let total = wordsPerStripe * stripeCount + Self.wordsPerLine
    guard let memory = unsafe creliability_zeroed_alloc(total * MemoryLayout<UInt64>.stride) else {
      fatalError("out of memory for a metric of \(total * MemoryLayout<UInt64>.stride) bytes")
    }
    // An atomic of zero is eight zero bytes. Initializing them again would touch every page.
    unsafe self.words =
      memory.bindMemory(to: Atomic<UInt64>.self, capacity: total)
      + Self.wordsPerLine / 2
  }

  deinit {
    unsafe creliability_zeroed_free(words - Self.wordsPerLine / 2)
  }

  /// The stripe of the calling thread.
  var ownStripe: Stripe {
    self[stripe: Int(creliability_stripe()) & (stripeCount - 1)]
  }

  /// A stripe by its index.
  subscript(stripe index: Int) -> Stripe {
    unsafe Stripe(words: words + index * wordsPerStripe)
  }

  /// The words of one stripe.
  ///
  /// Must not outlive the `StripedWords`; indices are not checked.
  @safe struct Stripe {
    fileprivate let words: UnsafeMutablePointer<Atomic<UInt64>>

    /// Reads a word, and sees whatever was done before it was raised to what is read.
    func load(_ index: Int) -> UInt64 {
      unsafe words[index].load(ordering: .acquiring)
    }

    /// Adds, and returns the new value.
    func add(_ amount: UInt64, to index: Int) -> UInt64 {
      unsafe words[index].wrappingAdd(amount, ordering: .relaxed).newValue
    }

    /// Lowers the word to a limit.
    func limit(_ index: Int, to limit: UInt64) {
      _ = unsafe words[index].min(limit, ordering: .relaxed)
    }

    /// Raises the word to a value unless it is there already, which costs one load.
    ///
    /// Both must be below 2^63: `Atomic<UInt64>.max` compares them as signed numbers (Swift 6.3).
    func raise(_ index: Int, to value: UInt64) {
      if value > load(index) {
        _ = unsafe words[index].max(value, ordering: .releasing)
      }
    }

    /// Adds to a word that holds the bits of a `Double`.
    func addFloating(_ amount: Double, to index: Int) {
      unsafe words[index].addFloating(amount)
    }
  }
}

extension Atomic<UInt64> {
  /// Adds to the `Double` whose bits this holds.
  func addFloating(_ amount: Double) {
    var old = load(ordering: .relaxed)
    while true {
      let new = (Double(bitPattern: old) + amount).bitPattern
      let (exchanged, original) = weakCompareExchange(
        expected: old, desired: new, ordering: .relaxed)
      if exchanged { return }
      old = original
    }
  }
}
