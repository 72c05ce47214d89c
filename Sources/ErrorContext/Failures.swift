/// The input is wrong: it would be wrong again.
///
///     guard let port = Int(text) else {
///       throw ValidationError("\(text) is not a number", field: "port")
///     }
public struct ValidationError: ClassifiedError, Hashable {
  /// What is wrong, as a sentence for the person who gave the input.
  public var message: String
  /// The field that holds the bad value, when there are fields.
  public var field: String?

  /// Makes the error.
  ///
  /// - Parameters:
  ///   - message: What is wrong, as a sentence for the person who gave the input.
  ///   - field: The field that holds the bad value.
  public init(_ message: String, field: String? = nil) {
    self.message = message
    self.field = field
  }

  /// Always `validation`.
  public var category: ErrorCategory { .validation }
  /// Never.
  public var retryability: Retryability { .notRetryable }
  /// The message.
  public var userMessage: String? { description }
  /// Suggests to correct the field.
  public var suggestedActions: [String] {
    field.map { ["Correct the value of \($0)."] } ?? []
  }
}

extension ValidationError: CustomStringConvertible {
  /// The field, if any, and the message.
  public var description: String { field.map { "\($0): \(message)" } ?? message }
}

/// The peer could not be reached, or the connection broke.
///
///     throw NetworkError("The server closed the connection", retryAfter: .seconds(5))
public struct NetworkError: ClassifiedError, ErrorWithCauses {
  /// What happened.
  public var message: String
  /// How long to wait at least before trying again, when known.
  public var retryAfter: Duration?
  /// The error that led to this one.
  public var cause: (any Error)?

  /// Makes the error.
  ///
  /// - Parameters:
  ///   - message: What happened.
  ///   - retryAfter: How long to wait at least before trying again.
  ///   - cause: The error that led to this one.
  public init(_ message: String, retryAfter: Duration? = nil, cause: (any Error)? = nil) {
    self.message = message
    self.retryAfter = retryAfter
    self.cause = cause
  }

  /// Always `network`.
  public var category: ErrorCategory { .network }
  /// Always retryable, after the given time if there is one.
  public var retryability: Retryability { .retryable(after: retryAfter) }
  /// The cause, if any.
  public var causes: [any Error] { cause.map { [$0] } ?? [] }
}

extension NetworkError: CustomStringConvertible {
  /// The message.
  public var description: String { message }
}

/// No task or job has this id: HTTP's 404.
///
///     guard let job = jobs[id] else { throw TaskNotFoundError(id) }
public struct TaskNotFoundError: ClassifiedError, Hashable {
  /// The id that was asked for.
  public var taskID: String

  /// Makes the error.
  ///
  /// - Parameter taskID: The id that was asked for.
  public init(_ taskID: String) {
    self.taskID = taskID
  }

  /// Always `validation`: the request names something that isn't there.
  public var category: ErrorCategory { .validation }
  /// Never.
  public var retryability: Retryability { .notRetryable }
  /// Names the id.
  public var userMessage: String? { "There is no task \"\(taskID)\"." }
  /// Suggests to check the id.
  public var suggestedActions: [String] {
    ["Check the task's id. Finished tasks are removed after a while."]
  }
}

extension TaskNotFoundError: CustomStringConvertible {
  /// Names the id.
  public var description: String { "There is no task \"\(taskID)\"" }
}

/// Something failed that is likely to work when tried again.
///
///     throw RetryableError("The index is being rebuilt", after: .seconds(2), category: .dependency)
public struct RetryableError: ClassifiedError, ErrorWithCauses {
  /// What happened.
  public var message: String
  /// How long to wait at least before trying again, when known.
  public var retryAfter: Duration?
  /// What kind of trouble it is.
  public var category: ErrorCategory
  /// The error that led to this one.
  public var cause: (any Error)?

  /// Makes the error.
  ///
  /// - Parameters:
  ///   - message: What happened.
  ///   - after: How long to wait at least before trying again.
  ///   - category: What kind of trouble it is, `dependency` by default.
  ///   - cause: The error that led to this one.
  public init(
    _ message: String, after: Duration? = nil, category: ErrorCategory = .dependency,
    cause: (any Error)? = nil
  ) {
    self.message = message
    self.retryAfter = after
    self.category = category
    self.cause = cause
  }

  /// Always retryable, after the given time if there is one.
  public var retryability: Retryability { .retryable(after: retryAfter) }
  /// The cause, if any.
  public var causes: [any Error] { cause.map { [$0] } ?? [] }
}

extension RetryableError: CustomStringConvertible {
  /// The message.
  public var description: String { message }
}
