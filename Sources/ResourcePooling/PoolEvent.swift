/// Something that happened to a pool: what its observer is told.
///
///     configuration.observer = { event in
///       if let error = event.error { report(error, event.description) }
///     }
///
/// Lending and giving back are no events: they are counted, and cost no call of an observer.
public struct PoolEvent: Sendable {
  /// What happened.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a kind from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// A resource was made.
    public static let created = Kind(rawValue: "created")
    /// A resource could not be made; what had been opened for it is closed again.
    public static let creationFailed = Kind(rawValue: "creationFailed")
    /// A check said no, or threw; the resource is closed.
    public static let unhealthy = Kind(rawValue: "unhealthy")
    /// A rollback threw; the resource is closed.
    public static let rollbackFailed = Kind(rawValue: "rollbackFailed")
    /// A resource is about to be closed.
    public static let evicted = Kind(rawValue: "evicted")
    /// A closer threw; those after it run all the same.
    public static let closerFailed = Kind(rawValue: "closerFailed")
    /// All closers of a resource have run.
    public static let closed = Kind(rawValue: "closed")
    /// A caller waited until its time was up.
    public static let timedOut = Kind(rawValue: "timedOut")
  }

  /// Why a resource is closed.
  public enum Eviction: String, CaseIterable, Hashable, Sendable {
    /// It had been idle for too long, and more than the minimum were there.
    case idle
    /// It was older than the maximum age.
    case age
    /// A check said no, or threw.
    case unhealthy
    /// Too many of its uses in a row failed.
    case errors
    /// Its user discarded it.
    case discarded
    /// It could not be rolled back.
    case rollbackFailed
    /// The pool ends.
    case stopped
    /// The pool ends, and the resource was still lent when the time for giving it back was over.
    case recalled

    var index: Int { Self.allCases.firstIndex(of: self)! }
  }

  /// The pool's name.
  public let pool: String

  /// What happened.
  public let kind: Kind

  /// Which resource, by the order in which their creation began, from 1; 0 when it is about none.
  public let resource: Int

  /// Why it is closed, of ``Kind/evicted``.
  public let eviction: Eviction?

  /// What was thrown; `nil` when nothing was.
  public let error: (any Error)?

  /// The name of the closer that threw, of ``Kind/closerFailed``.
  public let closer: String?

  init(
    pool: String, kind: Kind, resource: Int = 0, eviction: Eviction? = nil,
    error: (any Error)? = nil, closer: String? = nil
  ) {
    self.pool = pool
    self.kind = kind
    self.resource = resource
    self.eviction = eviction
    self.error = error
    self.closer = closer
  }
}

extension PoolEvent: CustomStringConvertible {
  /// One line; without the error, which may say more than a log should.
  public var description: String {
    var text = "pool \(pool): \(kind.rawValue)"
    if resource != 0 { text += " #\(resource)" }
    if let eviction { text += ", \(eviction.rawValue)" }
    if let closer { text += ", \(closer)" }
    return text
  }
}
