public import ReliabilityIO

/// A lease that could not be had.
///
///     do {
///       try await lease.withLease { _ in try await publish() }
///     } catch let error as LeaseError where error.code == .timedOut {
///       print(error.userMessage ?? "")  // "/mnt/share/build is held by process 4242 on alpha."
///     }
public struct LeaseError: ClassifiedError, Hashable {
  /// What stood in the way.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String
    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Someone else held it all the time.
    public static let timedOut = Code(rawValue: "timedOut")
    /// The holder uses another duration: its claim can't be judged, and all parties must agree.
    public static let otherDuration = Code(rawValue: "otherDuration")
    /// The claim was written by a later version, whose rules are not known here.
    public static let newerFormat = Code(rawValue: "newerFormat")
    /// There is something in the place of the claim that is none.
    public static let foreignClaim = Code(rawValue: "foreignClaim")
    /// The file system has no locks for the guard, and ``NetworkLease/Takeover/mayOverlap`` was not chosen.
    public static let guardUnsupported = Code(rawValue: "guardUnsupported")
    /// A system call failed.
    public static let callFailed = Code(rawValue: "callFailed")
  }

  /// What stood in the way.
  public let code: Code
  /// The lease's directory.
  public let path: String
  /// The call that failed, or `nil`.
  public let cause: SystemCallError?
  /// Who holds it, where that is known.
  public let owner: NetworkLease.Owner?

  /// Describes a lease that could not be had.
  public init(
    _ code: Code, path: String, cause: SystemCallError? = nil, owner: NetworkLease.Owner? = nil
  ) {
    self.code = code
    self.path = path
    self.cause = cause
    self.owner = owner
  }

  /// `ErrorCategory.timeout` for a wait that took too long, else what the failed call says.
  public var category: ErrorCategory {
    code == .timedOut ? .timeout : cause?.category ?? .fileSystem
  }

  /// Retryable when the holder may be done by then, or the failed call may work.
  public var retryability: Retryability {
    code == .timedOut ? .retryable() : cause?.retryability ?? .notRetryable
  }

  /// One sentence with the path.
  public var userMessage: String? {
    switch code {
    case .timedOut: "\(path) is held by \(owner?.description ?? "another process")."
    case .otherDuration:
      "\(path) is held by \(owner?.description ?? "another process") with another duration."
    case .newerFormat: "\(path) is held by a newer version of this program."
    case .foreignClaim: "\(path) holds something that is not a lease."
    case .guardUnsupported: "The disk of \(path) has no locks."
    default: cause?.userMessage ?? "\(path) can't be used."
    }
  }

  /// What to do about it.
  public var suggestedActions: [String] {
    switch code {
    case .timedOut: ["Wait until it is done, or end it."]
    case .otherDuration: ["Use the same lease duration in all programs that share the lease."]
    case .newerFormat: ["Update this program."]
    case .foreignClaim: ["Use another directory, or remove the file `claim` in it."]
    case .guardUnsupported: ["Use another directory, or allow overlaps and check fencing tokens."]
    default: cause?.suggestedActions ?? []
    }
  }
}

extension LeaseError: CustomStringConvertible {
  /// Code, path, owner and cause in one line.
  public var description: String {
    var text = "\(code.rawValue): lease \(path)"
    if let owner { text += ", held by \(owner)" }
    if let cause { text += ": \(cause)" }
    return text
  }
}

/// A lease ended before the work it protected.
///
/// What the work did after that may have met another holder's: check the fencing token where the data is kept.
public struct LeaseLostError: ClassifiedError {
  /// How a lease is lost.
  public enum Reason: String, Hashable, Sendable {
    /// It could not be renewed in time: the server was silent, the machine slept, or the process was busy or stopped.
    case expired
    /// Its claim has gone or is another's.
    case takenOver
  }

  /// How it was lost.
  public let reason: Reason
  /// The lease's directory.
  public let path: String
  /// The token of the hold that was lost.
  public let token: FencingToken
  /// What the work threw after that, unless it was a cancellation.
  public let cause: (any Error)?

  /// Describes a lease that was lost.
  public init(
    _ reason: Reason, path: String, token: FencingToken, cause: (any Error)? = nil
  ) {
    self.reason = reason
    self.path = path
    self.token = token
    self.cause = cause
  }

  /// `ErrorCategory.dependency`: the place where the lease is kept did not answer, or others took it.
  public var category: ErrorCategory { .dependency }
  /// Retryable with a new lease, for work that may be repeated.
  public var retryability: Retryability { .retryable() }
  /// One sentence with the path.
  public var userMessage: String? {
    switch reason {
    case .expired: "The lease \(path) could not be renewed in time."
    case .takenOver: "The lease \(path) was taken over by another process."
    }
  }
}
