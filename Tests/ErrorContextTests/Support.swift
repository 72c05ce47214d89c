import ErrorContext
import Foundation

/// A small seeded generator (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

struct Plain: Error, Equatable {
  var number = 0
}

struct Described: Error, CustomStringConvertible {
  var description: String
}

struct Group: ErrorWithCauses {
  var causes: [any Error]
}

struct Classified: ClassifiedError {
  var category: ErrorCategory = .database
  var retryability: Retryability = .notRetryable
  var userMessage: String?
  var suggestedActions: [String] = []
}

extension ErrorReport.Options {
  /// Options whose time and chance are fixed.
  static var fixed: ErrorReport.Options {
    var options = ErrorReport.Options()
    options.wallTime = { WallTime(secondsSince1970: 1_736_951_422) }
    options.generator = { SeededGenerator(seed: 1) }
    return options
  }
}

func members(_ bytes: [UInt8]) throws -> [String: Any] {
  try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] ?? [:]
}
