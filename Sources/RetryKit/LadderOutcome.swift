public import ReliabilityCore

/// What a rung of a ladder did not do, and why.
///
///     for step in outcome.passed { print(step) }  // 720p: memoryExhaustion: out of memory
public struct PassedRung<Rung: Sendable>: Sendable {
  /// Why the rung did not serve.
  public enum Reason: Sendable {
    /// It was tried and failed with an error on which it steps down.
    case failed(any Error, ErrorCategory)
    /// It needs more memory than there is; in bytes.
    case memory(needed: Int, available: Int)
    /// Calls for the same key were lately served by a lower one.
    case remembered
    /// The time was up before it could be tried.
    case deadline
  }

  /// The rung.
  public let rung: Rung
  /// Its name.
  public let name: String
  /// Why it did not serve.
  public let reason: Reason

  /// The error of a rung that was tried.
  public var error: (any Error)? {
    if case .failed(let error, _) = reason { error } else { nil }
  }
}

extension PassedRung: CustomStringConvertible {
  /// The rung and the reason, without the error's own text, which may say more than a log should.
  public var description: String {
    switch reason {
    case .failed(_, let category): "\(name): failed (\(category))"
    case .memory(let needed, let available):
      "\(name): needs \(needed >> 20) MB of memory, \(max(0, available) >> 20) MB are free"
    case .remembered: "\(name): did not serve lately"
    case .deadline: "\(name): no time left"
    }
  }
}

/// What a ladder came to: the value, the rung that served, and why those above it did not.
///
///     let outcome = try await ladder.run(key: host) { attempt in try await fetch(attempt.rung) }
///     print(outcome.name, outcome.passed)  // 480p [720p: failed (memoryExhaustion)]
public struct LadderOutcome<Rung: Sendable, Value: ~Copyable>: ~Copyable {
  /// What the body returned.
  public var value: Value
  /// The rung that served.
  public let rung: Rung
  /// Its name.
  public let name: String
  /// Its place in the ladder, from 0.
  public let index: Int
  /// The rungs above it, highest first, and why they did not serve.
  public let passed: [PassedRung<Rung>]
}

extension LadderOutcome: Copyable where Value: Copyable {}
extension LadderOutcome: Sendable where Value: Sendable & ~Copyable {}

/// Every rung of a ladder that was tried failed with an error on which it steps down.
///
///     } catch let error as LadderError<MediaQuality> {
///       print(error)  // no rung of quality served: 720p: failed (memoryExhaustion); 480p: …
///     }
///
/// It is classified as the error of the lowest rung that was tried: with everything else reduced, that is what stood in
/// the way. `error.underlying(as:)` finds the error of any rung, the lowest one's first.
public struct LadderError<Rung: Sendable>: ClassifiedError, ErrorWithCauses {
  /// The name of the ladder.
  public let ladder: String
  /// Every rung, highest first, and why it did not serve.
  public let passed: [PassedRung<Rung>]
  /// The category of the lowest rung's error.
  public let category: ErrorCategory
  /// The retryability of the lowest rung's error.
  public let retryability: Retryability

  /// The errors of the rungs that were tried, the lowest rung's first.
  public var causes: [any Error] { passed.reversed().compactMap(\.error) }

  /// What the lowest rung's error says to a person.
  public var userMessage: String? { (causes.first as? any ClassifiedError)?.userMessage }

  /// What the lowest rung's error suggests.
  public var suggestedActions: [String] {
    (causes.first as? any ClassifiedError)?.suggestedActions ?? []
  }
}

extension LadderError: CustomStringConvertible {
  /// The ladder, and each rung with its reason.
  public var description: String {
    "no rung of \(ladder) served: " + passed.map(\.description).joined(separator: "; ")
  }
}
