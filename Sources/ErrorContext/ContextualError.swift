/// An error with the story of how it came about: what was being done, where, with what, and what was tried.
///
/// Only `withErrorContext` makes one. Contexts further out extend it, so that there is never one inside another:
///
///     do {
///       try withErrorContext("download", ["video_id": .public(id)]) { try fetch(id) }
///     } catch let error as ContextualError {
///       print(error)  // timed out, in download [video_id=42] (Crawler/Fetch.swift:12)
///     }
///
/// It has the classification of the error inside, and `error.underlying(as:)` looks through it.
public struct ContextualError: ClassifiedError, ErrorWithCauses, TransparentError {
  /// The error itself, as the body threw it.
  public let underlying: any Error

  /// The contexts it passed through, innermost first.
  ///
  /// The first 16 and the last 16 are kept.
  public var frames: [ContextFrame] { frameTrail.elements }

  /// The failed attempts of retries inside those contexts, oldest first.
  ///
  /// The first 5 and the last 5 are kept.
  public var attempts: [AttemptRecord] { attemptTrail.elements }

  /// The remarks left inside those contexts, innermost context first.
  ///
  /// The first 8 and the last 24 are kept.
  public var breadcrumbs: [Breadcrumb] { breadcrumbTrail.elements }

  /// How many frames, attempts and remarks were dropped to bound the size.
  public var dropped: (frames: Int, attempts: Int, breadcrumbs: Int) {
    (frameTrail.dropped, attemptTrail.dropped, breadcrumbTrail.dropped)
  }

  private var frameTrail = BoundedTrail<ContextFrame>(first: 16, last: 16)
  var attemptTrail = BoundedTrail<AttemptRecord>(first: 5, last: 5)
  var breadcrumbTrail = BoundedTrail<Breadcrumb>(first: 8, last: 24)

  init(underlying: any Error) {
    self.underlying = underlying
  }

  mutating func append(_ frame: ContextFrame) {
    frameTrail.append(frame)
  }

  /// The category of the error inside, by ``ErrorClassifier/default``.
  public var category: ErrorCategory { ErrorClassifier.default.classify(underlying).category }

  /// The retryability of the error inside, by ``ErrorClassifier/default``.
  public var retryability: Retryability {
    ErrorClassifier.default.classify(underlying).retryability
  }

  /// What the error inside says to a person.
  public var userMessage: String? {
    if let classified = underlying as? any ClassifiedError { return classified.userMessage }
    return ErrorClassifier.default.classify(underlying).userMessage
  }

  /// What the error inside suggests.
  public var suggestedActions: [String] {
    if let classified = underlying as? any ClassifiedError { return classified.suggestedActions }
    return ErrorClassifier.default.classify(underlying).suggestedActions
  }

  /// The error inside, alone.
  public var causes: [any Error] { [underlying] }
}

extension ContextualError: CustomStringConvertible {
  /// The error's message and the frames, innermost first.
  ///
  /// Private values are masked.
  public var description: String {
    let message = ReportText.message(of: underlying, limit: 4096)
    if frames.isEmpty { return message }
    return message + ", in " + frames.map(\.description).joined(separator: ", in ")
  }
}

extension Error {
  /// This error or the first one inside it that is of a type.
  ///
  /// Looks through ``ContextualError`` and every `ErrorWithCauses`, outside in, causes in their order.
  ///
  ///     if let status = error.underlying(as: HTTPStatusError.self) { print(status.statusCode) }
  ///
  /// - Parameter type: A concrete error type, or a protocol as in `(any ClassifiedError).self`.
  /// - Returns: The error as that type, or `nil` when none of the first 64 errors looked at is one.
  public func underlying<Wanted>(as type: Wanted.Type) -> Wanted? {
    if let match = self as? Wanted,
      !(match is ContextualError) || Wanted.self == ContextualError.self
    {
      return match
    }
    var waiting: [any Error] = [self]
    var seen = 0
    while seen < waiting.count, seen < 64 {
      let error = waiting[seen]
      seen += 1
      if let contextual = error as? ContextualError {
        if Wanted.self == ContextualError.self { return contextual as? Wanted }
        waiting.append(contextual.underlying)
      } else if let match = error as? Wanted {
        return match
      } else if let compound = error as? any ErrorWithCauses {
        waiting += compound.causes.prefix(64)
      }
    }
    return nil
  }
}
