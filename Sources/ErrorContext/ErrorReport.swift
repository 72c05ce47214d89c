/// Everything worth knowing about one failure, ready to be shown, logged, sent and stored.
///
/// It is an RFC 9457 problem document with more members; making one never throws, whatever the error.
///
///     let report = ErrorReport(error)
///     print(report.text())                       // for a person
///     try send(report.json(), as: ErrorReport.mediaType)  // for a machine
///
/// A report is a value without the error in it: texts are redacted (``Redaction``) and clipped when it is made.
/// Title, detail and category are never empty. Its JSON has at most ``defaultJSONLimit`` bytes unless asked otherwise,
/// and never more than 512 KiB through any encoder.
public struct ErrorReport: Hashable, Sendable {
  /// The media type of ``json(pretty:limit:)``: `application/problem+json`.
  public static let mediaType = "application/problem+json"

  /// The largest JSON document ``json(pretty:limit:)`` makes unless asked otherwise: 65,536 bytes.
  public static let defaultJSONLimit = 65_536

  /// A URI that names the kind of problem: the type base of the options and the category.
  public let type: String
  /// A short summary of the kind of problem, the same for each of its kind.
  ///
  /// Never empty.
  public let title: String
  /// The HTTP status of the response the report is sent with, if it is.
  public let status: Int?
  /// What went wrong this time.
  ///
  /// Never empty; 4,096 bytes at most.
  public let detail: String
  /// What kind of trouble it is.
  ///
  /// Never empty.
  public let category: ErrorCategory
  /// One sentence for the person who uses the program.
  ///
  /// Never empty; 1,024 bytes at most.
  public let userMessage: String
  /// What that person can do about it, most useful first; 8 at most.
  public let suggestedActions: [String]
  /// Whether trying again can help.
  public let isRetryable: Bool
  /// How long to wait at least before trying again, when the error says so.
  public let retryAfter: Duration?
  /// What a person quotes to support: `DL-20250115-143022-a1b2c3d4`.
  public let reference: String
  /// Sixteen hexadecimal digits that are the same for the same trouble, to group reports by.
  public let fingerprint: String
  /// A random UUID.
  public let errorID: String
  /// The error's type with its module.
  public let errorType: String
  /// The error's own text, redacted.
  ///
  /// Never empty; 4,096 bytes at most.
  public let errorMessage: String
  /// When the report was made.
  public let occurredAt: WallTime
  /// The errors that led to this one, nearest first; 8 at most.
  public let causes: [Cause]
  /// The failed attempts of retries, the first 5 and the last 5.
  public let attempts: [AttemptRecord]
  /// How many attempts between those were left out.
  public let attemptsDropped: Int
  /// The contexts the error passed through, innermost first; 32 at most.
  public let context: [Frame]
  /// What happened on the way, oldest first; 64 entries at most, the first 16 and the last 48.
  public let timeline: [TimelineEntry]
  /// What is known of the child process that failed.
  public let process: ProcessDetails?
  /// What is known of the download that failed.
  public let download: DownloadDetails?

  /// Makes a report of an error.
  ///
  /// Inside `withErrorContext` the contexts that the error has not left yet are part of it.
  ///
  /// - Parameters:
  ///   - error: Any error.
  ///   - options: Names, rules, and where time and chance come from.
  ///   - status: The HTTP status of the response the report is sent with.
  ///   - timeline: Moments to add to those found in the error's contexts and in an ``ErrorWithReportDetails``.
  ///   - process: What is known of the child process that failed; `nil` takes what an ``ErrorWithReportDetails`` knows.
  ///   - download: What is known of the download that failed.
  public init(
    _ error: any Error, options: Options = Options(), status: Int? = nil,
    timeline: [TimelineEntry] = [], process: ProcessDetails? = nil,
    download: DownloadDetails? = nil
  ) {
    let contextual = ContextScope.addingCurrent(to: error)
    let inner = contextual.underlying
    let facts = ReportFacts(inner, options: options)
    let frames = contextual.frames
    let details = contextual.underlying(as: (any ErrorWithReportDetails).self)
    let now = options.now()
    var generator = options.randomness.makeGenerator()

    category = facts.category
    title = facts.title
    type = options.typeURI(for: facts.category)
    self.status = status
    detail = facts.detail
    userMessage = facts.userMessage
    suggestedActions = facts.suggestedActions(recommendedQuality: download?.recommendedQuality)
    isRetryable = facts.retryability.isRetryable
    retryAfter = facts.retryability.retryAfter?.inReport
    errorType = facts.type
    errorMessage = facts.message
    causes = facts.causes
    reference = ReportReference.reference(
      prefix: options.referencePrefix, at: now, random: generator.next())
    errorID = ReportReference.uuid(random: (generator.next(), generator.next()))
    fingerprint = Fingerprint.make(
      type: facts.type, category: facts.category.rawValue, message: facts.message,
      causes: facts.causes.map(\.type),
      place: frames.first.map { "\(Fingerprint.normalized($0.name)) \($0.fileID)" } ?? "")
    occurredAt = now
    attempts = contextual.attempts.map { $0.redacted(by: options.redaction) }
    attemptsDropped = contextual.dropped.attempts
    context = frames.map { Frame($0, redaction: options.redaction) }
    self.timeline = Self.timeline(of: contextual, adding: timeline + (details?.timeline ?? []))
      .map { $0.redacted(by: options.redaction) }
    self.process = (process ?? details?.processDetails)?.redacted(by: options.redaction)
    self.download = download?.redacted(by: options.redaction)
  }

  private static func timeline(
    of error: ContextualError, adding given: [TimelineEntry]
  ) -> [TimelineEntry] {
    let breadcrumbs = error.breadcrumbs
    let attempts = error.attempts
    if given.isEmpty, breadcrumbs.isEmpty, attempts.isEmpty { return [] }
    // The given entries are bounded before they are sorted: there may be any number of them.
    var trail = BoundedTrail<TimelineEntry>(first: 16, last: 48)
    for entry in given { trail.append(entry) }
    var all = trail.elements
    for breadcrumb in breadcrumbs {
      all.append(TimelineEntry(.breadcrumb, at: breadcrumb.at, detail: breadcrumb.message))
    }
    for attempt in attempts {
      all.append(
        TimelineEntry(.attemptFailed, at: attempt.at, detail: "\(attempt.number): \(attempt.error)")
      )
    }
    return clipped(
      all.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
        .map(\.element))
  }

  static func clipped(_ timeline: [TimelineEntry]) -> [TimelineEntry] {
    var trail = BoundedTrail<TimelineEntry>(first: 16, last: 48)
    for entry in timeline { trail.append(entry) }
    return trail.elements
  }
}
