/// Work that failed for good, with its whole story.
///
///     let page = try await queue.letters(matching: .kind("charge"))
///     for letter in page.letters {
///       print(letter.id, letter.reason, letter.attempts.count, letter.redriveCount)
///       let order = try letter.payload(as: Order.self)  // throws when it no longer decodes; the bytes stay
///     }
///
/// A copy of what the queue keeps at that moment. Times are those of the wall clock, for people.
public struct DeadLetter: Sendable, Identifiable {
  /// The name of a letter in its queue: a number that only grows and is never used again.
  ///
  ///     let id = try await queue.add(order, kind: "charge", error: error)
  ///     print(id)  // 17
  public struct ID: Hashable, Sendable, Comparable, Codable, CustomStringConvertible,
    LosslessStringConvertible
  {
    /// The number.
    public let rawValue: UInt64

    /// Names a letter by its number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads what ``description`` says.
    public init?(_ description: String) {
      guard let number = UInt64(description) else { return nil }
      rawValue = number
    }

    /// Reads a number.
    public init(from decoder: any Decoder) throws {
      rawValue = try decoder.singleValueContainer().decode(UInt64.self)
    }

    /// Writes a number.
    public func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      try container.encode(rawValue)
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }

    /// Whether this letter came before the other one.
    public static func < (lhs: ID, rhs: ID) -> Bool { lhs.rawValue < rhs.rawValue }
  }

  /// One redrive that failed again.
  public struct Redrive: Hashable, Sendable {
    /// Which one it was, from 1.
    ///
    /// A number is missing when the program ended in the middle, and when the log of redrives was cut.
    public let number: Int
    /// When it failed.
    public let at: WallTime
    /// The error's type and message, secrets taken out.
    public let error: String
    /// What kind of trouble it was.
    public let category: ErrorCategory
  }

  /// Its name in the queue.
  public let id: ID
  /// What kind of work it was: a small set of words.
  public let kind: String
  /// What kind of trouble ended it.
  public let category: ErrorCategory
  /// Groups letters with the same trouble; that of the report.
  public let fingerprint: String
  /// Why it is here, in one sentence.
  public let reason: String
  /// Who gave it up: a queue, a job.
  public let source: String?
  /// The letter that this one once was, when it was redriven by way of another queue and died again.
  public let previous: ID?
  /// When it failed for the first time.
  public let firstFailure: WallTime
  /// When it failed last.
  public let lastFailure: WallTime
  /// When it came, or came back from a redrive.
  public let arrivedAt: WallTime
  /// How often a redrive of it has begun, those included that the program's end interrupted.
  public internal(set) var redriveCount: Int
  /// The redrives that failed, the last 16.
  public let redrives: [Redrive]
  /// The failed attempts, redrives included: the first 20 and the last 80.
  public let attempts: [AttemptRecord]
  /// How many attempts between those were left out.
  public let attemptsDropped: Int
  /// The payload as it was given, byte for byte.
  public let payload: [UInt8]

  let reportBytes: [UInt8]

  /// The payload as a value.
  ///
  /// - Parameter type: What it is to be.
  /// - Returns: The value.
  /// - Throws: `DecodingError` when the bytes are no such value. The letter stays as it is.
  /// - Complexity: O(size of the payload).
  public func payload<Value: Decodable>(as type: Value.Type) throws -> Value {
    try PayloadCoding.decode(type, from: payload)
  }

  /// The report of the last failure.
  ///
  /// Decoded each time it is asked for: keep it in a variable. A report that can't be read any more, for it was written
  /// by another version, is replaced by one that says no more than ``reason``.
  public var report: ErrorReport {
    if let report = try? PayloadCoding.decode(ErrorReport.self, from: reportBytes) {
      return report
    }
    return ErrorReport(UnreadableReport(category: category, message: reason))
  }

  /// The report of the last failure as it is stored: a problem document (RFC 9457).
  public var reportJSON: [UInt8] { reportBytes }
}

/// Stands for a failure whose own report is lost.
private struct UnreadableReport: ClassifiedError, CustomStringConvertible {
  let category: ErrorCategory
  let message: String
  var retryability: Retryability { .notRetryable }
  var description: String { message }
}

extension DeadLetter {
  /// What is known of work that failed for good, for `DeadLetterQueue.add(_:as:)`.
  ///
  ///     var draft = DeadLetter.Draft(kind: "charge", error: error)
  ///     draft.attempts = history
  ///     draft.source = "orders/4711"
  ///     try await queue.add(order, as: draft)
  public struct Draft: Sendable {
    /// What kind of work it was.
    ///
    /// One of a small set of words. Cut to 128 bytes; empty counts as `unknown`.
    public var kind: String
    /// The report of the last failure.
    ///
    /// Category and fingerprint of the letter are the report's.
    public var report: ErrorReport
    /// Why it is given up, in one sentence; `nil` takes the error's message.
    ///
    /// Cut to 1,024 bytes.
    public var reason: String?
    /// The failed attempts, oldest first; when there are none, those of the report.
    ///
    /// The first 20 and the last 80 are kept.
    public var attempts: [AttemptRecord] = []
    /// When it failed for the first time; `nil` takes the first attempt.
    public var firstFailure: WallTime?
    /// Who gave it up: a queue, a job.
    ///
    /// Cut to 256 bytes.
    public var source: String?
    /// The letter that it was before it was redriven by way of another queue.
    public var previous: ID?
    /// How often it was redriven by way of another queue, 0 or more.
    public var redriveCount = 0

    /// Makes a draft from an error.
    ///
    /// - Parameters:
    ///   - kind: What kind of work it was.
    ///   - error: What ended it.
    ///   - options: How the report is made.
    public init(
      kind: String, error: any Error, options: ErrorReport.Options = ErrorReport.Options()
    ) {
      self.init(kind: kind, report: ErrorReport(error, options: options))
    }

    /// Makes a draft from a report.
    ///
    /// - Parameters:
    ///   - kind: What kind of work it was.
    ///   - report: The report of the last failure.
    public init(kind: String, report: ErrorReport) {
      self.kind = kind
      self.report = report
    }
  }
}
