extension BackoffLock {
  /// How a lock waits and what it keeps.
  public struct Configuration: Sendable {
    /// How long to wait when the caller says nothing.
    public var timeout: Duration = .seconds(30)

    /// How long the process keeps a lock that nobody holds, so that its next holder needs no system call.
    ///
    /// Given up at the end of a hold when another process waits then; one that comes later waits for the rest of this
    /// time. Two milliseconds are a good value for a writer of many small records; zero, the default, gives the lock up
    /// at once.
    public var idleHold: Duration = .zero

    /// What people are shown as the purpose of the lock, and what its figures are labelled with.
    ///
    /// One of a small set of words. At most 100 bytes of it go into the lock file.
    public var label: String?

    /// How processes wait for each other.
    public var strategy: Strategy = .automatic

    /// After which time a wait is told to the observer with the hold that caused it.
    public var longWait: Duration = .seconds(1)

    /// Where chance comes from: the delays of ``Strategy/polling(_:)``.
    public var randomness: RandomSource = .system

    /// Told what happens; called outside of locks, on the thread where it happens, so it must be short.
    public var observer: (@Sendable (Event) -> Void)?

    /// The defaults.
    public init() {}

    /// Checks values that came from outside the code.
    ///
    /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
    public func validate() throws(ConfigurationError) {
      try check(timeout >= .zero, "timeout", "must not be negative")
      try check(idleHold >= .zero, "idleHold", "must not be negative")
      try check(longWait >= .zero, "longWait", "must not be negative")
      if case .polling(let polling) = strategy { try polling.validate() }
    }
  }

  /// Something that happened to a lock.
  public struct Event: Sendable {
    /// What happened.
    public enum Kind: Hashable, Sendable {
      /// A polling wait goes on after so many retries.
      case waiting(retries: Int)
      /// A wait took longer than ``Configuration/longWait``; it ended with the lock.
      case longWait
      /// A wait ended without the lock.
      case timeout
      /// The lock file was replaced or removed; all who waited go on with the one that is at the path now.
      case fileReplaced
    }

    /// What happened.
    public let kind: Kind
    /// The lock file.
    public let path: String
    /// For how long was waited, where somebody waited.
    public let waited: Duration?
    /// Who is to blame, where that is known: the longest hold of this process meanwhile, or the process that held it.
    public let cause: String?
  }
}
