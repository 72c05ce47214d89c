/// A limit of time passed before the work was done.
///
///     do {
///       try await withTimeout(.seconds(10)) { try await fetch(url) }
///     } catch let error as TimeoutError {
///       print("gave up after \(error.elapsed)")
///     }
public struct TimeoutError: ClassifiedError, ErrorWithCauses {
  /// Which limit it was.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    /// The word for the limit, as it appears in reports.
    public let rawValue: String

    /// Makes a kind from a word.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The limit for the whole of the work.
    public static let total = Kind(rawValue: "total")
    /// The limit for one attempt of several.
    public static let attempt = Kind(rawValue: "attempt")
    /// The limit for an answer of the network.
    public static let network = Kind(rawValue: "network")
    /// The limit for going on without progress.
    public static let stall = Kind(rawValue: "stall")
  }

  /// Which limit passed.
  public let kind: Kind

  /// The limit in force: the one asked for, or what an outer deadline left of it.
  public let limit: Duration

  /// How long the work really took, until its end or until it was abandoned.
  ///
  /// Far above ``limit`` means that the work does not listen to cancellation.
  public let elapsed: Duration

  /// What the work threw when it was cancelled.
  ///
  /// `nil` for a plain `CancellationError`, for work that was abandoned and for work that never
  /// began because no time was left.
  public let cause: (any Error)?

  /// What an adaptive limit was computed from, at its end; `nil` for a plain one.
  public var decision: TimeoutDecision? { kept?.decision }

  /// Apart from the error, which is thrown and copied more often than anybody reads this.
  private let kept: Kept?

  private final class Kept: Sendable {
    let decision: TimeoutDecision
    init(_ decision: TimeoutDecision) { self.decision = decision }
  }

  /// Makes an error for a limit that passed.
  ///
  /// - Parameters:
  ///   - kind: Which limit.
  ///   - limit: The limit in force.
  ///   - elapsed: How long the work took.
  ///   - cause: What it threw, when that says more than "cancelled".
  ///   - decision: What an adaptive limit was computed from.
  public init(
    kind: Kind = .total, limit: Duration, elapsed: Duration, cause: (any Error)? = nil,
    decision: TimeoutDecision? = nil
  ) {
    self.kind = kind
    self.limit = limit
    self.elapsed = elapsed
    self.cause = cause
    kept = decision.map(Kept.init)
  }

  /// The cause, when there is one.
  public var causes: [any Error] { cause.map { [$0] } ?? [] }

  /// Always `ErrorCategory.timeout`.
  public var category: ErrorCategory { .timeout }

  /// Retryable: the next attempt may be faster.
  public var retryability: Retryability { .retryable() }

  /// Says which limit passed.
  public var userMessage: String? {
    switch kind {
    case .stall: "Nothing arrived for \(limit.rounded); the work was stopped."
    default: "It took longer than the limit of \(limit.rounded) and was stopped."
    }
  }

  /// Suggests to try again, or to raise the limit.
  public var suggestedActions: [String] { ["Try again later, or allow more time."] }
}

extension TimeoutError: CustomStringConvertible {
  /// The limit, how long it took, the cause when there is one, and what an adaptive limit was computed from.
  public var description: String {
    "\(kind.rawValue) timeout: limit \(limit.rounded), ended after \(elapsed.rounded)"
      + (cause.map { "; \($0)" } ?? "") + (decision.map { "; \($0)" } ?? "")
  }
}

extension Duration {
  /// Seconds with three digits at most, for people; below one millisecond, microseconds.
  fileprivate var rounded: String {
    let microseconds = self.nanoseconds / 1000
    let milliseconds = microseconds / 1000
    if milliseconds == 0, microseconds != 0 { return "\(microseconds) µs" }
    if milliseconds % 1000 == 0 { return "\(milliseconds / 1000) s" }
    if milliseconds < 1000 { return "\(milliseconds) ms" }
    return "\(milliseconds / 1000).\(Int(milliseconds % 1000).padded(3)) s"
  }
}
