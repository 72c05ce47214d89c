import Reliability

/// One piece of work of the mix, and what goes wrong with it: a function of its number, so that every run of a seed meets
/// the same troubles.
struct MixJob: DurableJob {
  static let kind = "mix"
  var number: Int

  /// What goes wrong, and in how many attempts.
  enum Trouble: Hashable, Sendable, CaseIterable {
    case none
    /// The line breaks.
    case network
    /// The other side is busy and says so.
    case busy
    /// It hangs until its time is over.
    case hang
    /// It needs more memory than the best quality may take.
    case memory
    /// It breaks between the pieces of its file.
    case brokenFile
    /// The input is wrong: no attempt helps.
    case refused
  }

  /// Of a thousand: about 120 lines break, 40 are busy, 10 hang, 50 need too much memory, 40 files break; one is refused
  /// and one needs too much memory on every rung, always the same ones.
  func trouble(seed: UInt64) -> Trouble {
    switch number % 1000 {
    case 500: return .refused
    case 700: return .memory
    default: break
    }
    switch chance(seed) % 1000 {
    case 0..<120: return .network
    case 120..<160: return .busy
    case 160..<170: return .hang
    case 170..<220: return .memory
    case 220..<260: return .brokenFile
    default: return .none
    }
  }

  /// Whether no rung of the ladder takes little enough memory.
  var isTooLarge: Bool { number % 1000 == 700 }

  /// In how many attempts it goes wrong: one to three, of four.
  func bad(seed: UInt64) -> Int { 1 + Int((chance(seed) >> 32) % 3) }

  private func chance(_ seed: UInt64) -> UInt64 {
    var generator = SeededGenerator(seed: seed &+ UInt64(number) &* 0x9E37_79B9)
    return generator.next() >> 1
  }
}
