/// A dead-letter queue that did not take or do what it was asked to.
///
///     do {
///       try await queue.add(order, kind: "charge", error: error)
///     } catch let refusal as DeadLetterError where refusal.code == .full {
///       try await keepElsewhere(order)
///     }
///
/// Failures of the disk are `StoreError`s.
public struct DeadLetterError: ClassifiedError, Hashable {
  /// What stood in the way.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// There is no room, and the policy is to refuse, or all that could leave is being redriven.
    public static let full = Code(rawValue: "full")
    /// The payload is larger than the queue takes.
    public static let payloadTooLarge = Code(rawValue: "payloadTooLarge")
    /// The queue was closed.
    public static let closed = Code(rawValue: "closed")
  }

  /// What stood in the way.
  public let code: Code
  /// The queue's name.
  public let queue: String
  /// The limit that was met: letters or bytes.
  public let limit: Int?

  /// Describes a refusal.
  ///
  /// - Parameters:
  ///   - code: What stood in the way.
  ///   - queue: The queue's name.
  ///   - limit: The limit that was met.
  public init(_ code: Code, queue: String, limit: Int? = nil) {
    (self.code, self.queue, self.limit) = (code, queue, limit)
  }

  /// `ErrorCategory.overload` for a full queue, else `ErrorCategory.validation`.
  public var category: ErrorCategory { code == .full ? .overload : .validation }

  /// Never: somebody must decide about the letters first.
  public var retryability: Retryability { .notRetryable }

  /// One sentence with the queue's name.
  public var userMessage: String? {
    switch code {
    case .full: "The dead-letter queue \"\(queue)\" is full."
    case .payloadTooLarge: "The work is too large for the dead-letter queue \"\(queue)\"."
    case .closed: "The dead-letter queue \"\(queue)\" is closed."
    default: nil
    }
  }

  /// What to do about it.
  public var suggestedActions: [String] {
    switch code {
    case .full:
      ["Redrive or discard dead letters.", "Choose another overflow policy or a larger capacity."]
    case .payloadTooLarge:
      ["Keep large content in a file of its own and its name in the payload."]
    default: []
    }
  }
}

extension DeadLetterError: CustomStringConvertible {
  /// Code, queue and limit in one line.
  public var description: String {
    "\(code.rawValue): dead-letter queue \"\(queue)\"" + (limit.map { " (limit \($0))" } ?? "")
  }
}
