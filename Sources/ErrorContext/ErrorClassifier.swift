/// Says what kind of trouble any error is, and whether trying again can help.
///
/// `retry`, reports and fallbacks ask ``default``. A program teaches it about foreign errors once, at its start:
///
///     ErrorClassifier.install([
///       .init(DriverError.self) { error in
///         error.isDeadlock ? Classification(.database, .retryable()) : nil
///       }
///     ])
///
/// The first answer wins, in this order:
/// 1. `CancellationError` is a cancellation; a ``ContextualError`` is what it wraps.
/// 2. The rule for exactly the error's type, found by one dictionary look-up.
/// 3. What a `ClassifiedError` says of itself.
/// 4. The rules for any error, newest first.
/// 5. `DecodingError` and `EncodingError`: validation, not retryable.
/// 6. The causes of an `ErrorWithCauses`. With several, the whole is retryable only if each is, after the longest wait
///    any asks for; it is a cancellation only if all are; and its category is that of the first cause that is not a
///    cancellation.
/// 7. ``Classification/unknown``.
public struct ErrorClassifier: Sendable {
  private var rulesByType: [ObjectIdentifier: Rule] = [:]
  private var openRules: [Rule] = []

  /// How many wrappers deep an error is followed; whatever is deeper counts as unknown.
  static let depthLimit = 16

  /// How many errors are looked at to classify one; the rest counts as unknown.
  ///
  /// Causes that are each other's causes would else take 16 to the power of 16 steps.
  private static let countLimit = 256

  /// Makes a classifier with the built-in rules and these before them.
  ///
  /// - Parameter rules: Among rules for any error an earlier one goes first.
  public init(_ rules: [Rule] = []) {
    for rule in rules.reversed() { add(rule) }
  }

  /// A classifier that asks these rules first, then this classifier's own.
  ///
  /// A rule takes the place of one with the same name, so that adding twice is the same as adding once.
  public func adding(_ rules: [Rule]) -> ErrorClassifier {
    var result = self
    for rule in rules.reversed() { result.add(rule) }
    return result
  }

  private mutating func add(_ rule: Rule) {
    if let type = rule.type {
      rulesByType[type] = rule
    } else if let place = openRules.firstIndex(where: { $0.name == rule.name }) {
      openRules[place] = rule
    } else {
      openRules.insert(rule, at: 0)
    }
  }

  /// What kind of trouble the error is and whether trying again can help.
  ///
  /// - Complexity: Constant for errors with a rule for their type; else O(number of rules for any error), times the
  ///   number of causes for errors with causes (16 levels deep, 16 wide and 256 in all at most).
  public func classify(_ error: any Error) -> Classification {
    var left = Self.countLimit
    return classify(error, depth: 0, left: &left)
  }

  /// Whether the error means that the caller gave up, also when it is wrapped.
  ///
  /// A `ClassifiedError` decides for itself: a timeout whose cause is a cancellation is a timeout.
  public func isCancellation(_ error: any Error) -> Bool {
    error is CancellationError || classify(error).category == .cancelled
  }

  private func classify(_ error: any Error, depth: Int, left: inout Int) -> Classification {
    if error is CancellationError { return .cancelled }
    if depth >= Self.depthLimit || left <= 0 { return .unknown }
    left -= 1
    if let contextual = error as? ContextualError {
      return classify(contextual.underlying, depth: depth + 1, left: &left)
    }
    if !rulesByType.isEmpty, let rule = rulesByType[ObjectIdentifier(type(of: error))],
      let answer = rule.classify(error)
    {
      return answer
    }
    if let classified = error as? any ClassifiedError {
      return Classification(classified.category, classified.retryability)
    }
    for rule in openRules {
      if let answer = rule.classify(error) { return answer }
    }
    if error is DecodingError || error is EncodingError {
      return Classification(.validation, .notRetryable)
    }
    let causes = causes(of: error)
    return causes.isEmpty ? .unknown : classify(causes, depth: depth + 1, left: &left)
  }

  private func classify(
    _ causes: ArraySlice<any Error>, depth: Int, left: inout Int
  ) -> Classification {
    var result: Classification?
    for cause in causes {
      let answer = classify(cause, depth: depth, left: &left)
      if answer.category == .cancelled { continue }
      guard var merged = result else {
        result = answer
        continue
      }
      merged.retryability = merged.retryability.merged(with: answer.retryability)
      result = merged
    }
    return result ?? .cancelled
  }

  /// The errors that led to this one, 16 at most.
  ///
  /// Those an `ErrorWithCauses` or a ``ContextualError`` names, the underlying error of a `DecodingError` or an
  /// `EncodingError`, and those a rule finds.
  public func causes(of error: any Error) -> ArraySlice<any Error> {
    if let contextual = error as? ContextualError { return [contextual.underlying] }
    if let rule = rulesByType[ObjectIdentifier(type(of: error))], let find = rule.causes {
      return find(error).prefix(Self.depthLimit)
    }
    if let compound = error as? any ErrorWithCauses {
      return compound.causes.prefix(Self.depthLimit)
    }
    if let decoding = error as? DecodingError {
      return decoding.underlying.map { [$0] } ?? []
    }
    if case .invalidValue(_, let context)? = error as? EncodingError {
      return context.underlyingError.map { [$0] } ?? []
    }
    for rule in openRules {
      if let find = rule.causes, case let found = find(error), !found.isEmpty {
        return found.prefix(Self.depthLimit)
      }
    }
    return []
  }

  /// A better text for the error than its own description, when a rule has one.
  func message(of error: any Error) -> String? {
    if let rule = rulesByType[ObjectIdentifier(type(of: error))], let message = rule.message {
      return message(error)
    }
    for rule in openRules {
      if let message = rule.message, let text = message(error) { return text }
    }
    return nil
  }
}

extension DecodingError {
  fileprivate var underlying: (any Error)? {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context),
      .keyNotFound(_, let context), .dataCorrupted(let context):
      context.underlyingError
    @unknown default: nil
    }
  }
}

extension Retryability {
  /// Retryable only when both are, after the longer wait.
  fileprivate func merged(with other: Retryability) -> Retryability {
    guard case .retryable(let wait) = self, case .retryable(let otherWait) = other else {
      return .notRetryable
    }
    guard let wait else { return .retryable(after: otherWait) }
    return .retryable(after: max(wait, otherWait ?? .zero))
  }
}
