import ErrorContext
import Foundation

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
    options.randomness = .seeded(1)
    return options
  }
}

func members(_ bytes: [UInt8]) throws -> [String: Any] {
  try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] ?? [:]
}
