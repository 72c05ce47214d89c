/// Policies were nested in a way that does harm: seen while the program runs, told to the ``CompositionMonitor``.
///
///     CompositionMonitor.shared.observer = { event in
///       print(event)
///     }
///     // Crawler/Fetch.swift:31: the limit of 30.0 seconds can never pass: the outer one is 10.0 seconds
public struct CompositionEvent: Sendable, Hashable {
  /// Which trap it is.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    /// The trap as a word: low cardinality, fit for a metric label.
    public let rawValue: String

    /// Makes a kind from a word.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// A limit of time is longer than the whole of the limit around it, so that it can never pass: the two were
    /// meant the other way round, or one of them is superfluous.
    ///
    /// A limit that is only longer than what is *left* of the outer one is no event: the last attempts under a total
    /// limit are always like that.
    public static let limitLongerThanOuter = Self(rawValue: "limitLongerThanOuter")

    /// A call that was turned away here (``LocalRejection``: an open breaker, an empty rate limit) is tried again at
    /// once, or before the time it was told to come back: it will be turned away again.
    public static let rejectionRetriedTooSoon = Self(rawValue: "rejectionRetriedTooSoon")

    /// A call that was turned away here is hedged at once: the second attempt will be turned away too.
    public static let rejectionHedged = Self(rawValue: "rejectionHedged")

    /// An operation is tried again inside an attempt that is a repetition itself: attempts multiply.
    ///
    /// Three times three attempts are nine, and nine waits, where somebody meant three.
    public static let retryInsideRetry = Self(rawValue: "retryInsideRetry")
  }

  /// Which trap it is.
  public let kind: Kind
  /// The file of the inner policy's call, as `#fileID`.
  public let fileID: String
  /// The line of the inner policy's call.
  public let line: UInt
  /// What the inner policy does: its limit of time, its wait.
  ///
  /// `nil` where there is no such time.
  public let inner: Duration?
  /// What it should have kept to: the whole of the outer limit, the wait that the rejection asked for.
  ///
  /// `nil` where there is no such time.
  public let outer: Duration?

  package init(
    _ kind: Kind, at fileID: String, _ line: UInt, inner: Duration? = nil, outer: Duration? = nil
  ) {
    self.kind = kind
    self.fileID = fileID
    self.line = line
    self.inner = inner
    self.outer = outer
  }
}

extension CompositionEvent: CustomStringConvertible {
  /// The place and the trap, in one line.
  public var description: String {
    let inner = inner ?? .zero
    let trap =
      switch kind {
      case .limitLongerThanOuter:
        "the limit of \(inner) can never pass: the outer one is \(outer ?? .zero)"
      case .rejectionRetriedTooSoon:
        "a call that was turned away here is retried after \(inner)"
          + (outer.map { "; it was to come back after \($0)" } ?? "")
      case .rejectionHedged:
        "a call that was turned away here is hedged at once"
      case .retryInsideRetry:
        "a retry inside a repeated attempt: attempts multiply"
      default: kind.rawValue
      }
    return "\(fileID):\(line): \(trap)"
  }
}
