public import ReliabilityIO

/// The lock was not to be had in time.
///
/// Its text says who has it: "not available after 30 s: held by pid 4242 (importer, "nightly") since 14:02:31".
public struct LockTimeoutError: ClassifiedError, Hashable {
  /// The lock file.
  public let path: String

  /// How long was waited.
  public let waited: Duration

  /// Which process had the lock, as far as it is known; `nil` for readers, and where nobody wrote it down.
  public let owner: LockOwner?

  /// How often a polling wait asked again; zero for the others.
  public let retries: Int

  /// Describes a wait that took too long.
  ///
  /// - Parameters:
  ///   - path: The lock file.
  ///   - waited: How long was waited.
  ///   - owner: Which process had the lock.
  ///   - retries: How often a polling wait asked again.
  public init(path: String, waited: Duration, owner: LockOwner? = nil, retries: Int = 0) {
    self.path = path
    self.waited = waited
    self.owner = owner
    self.retries = retries
  }

  /// `ErrorCategory.timeout`.
  public var category: ErrorCategory { .timeout }
  /// Retryable: the holder may be done by then.
  public var retryability: Retryability { .retryable() }
  /// Names the holder, where it is known.
  public var userMessage: String? {
    owner.map { "\(path) is in use by \($0)." } ?? "\(path) is in use."
  }
  /// To wait, or to look at the holder.
  public var suggestedActions: [String] {
    owner.map { ["Wait until process \($0.processIdentifier) on \($0.host) is done, or end it."] }
      ?? ["Try again later."]
  }
}

extension LockTimeoutError: CustomStringConvertible {
  /// Path, time and holder in one line.
  public var description: String {
    let holder = owner.map { ": held by \($0)" } ?? ""
    let asked = retries > 0 ? " and \(retries) retries" : ""
    return "\(path): not available after \(waited)\(asked)\(holder)"
  }
}

/// A lock that can't be used.
///
///     do {
///       try await lock.withLock { _ in }
///     } catch let error as LockError where error.code == .unsupported {
///       // Not on this file system. Nothing fell back to something weaker.
///     }
public struct LockError: ClassifiedError, Hashable {
  /// What stood in the way.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The file system has no locks of the kind that was asked for.
    public static let unsupported = Code(rawValue: "unsupported")
    /// The task holds the lock already and asked for it again: it would wait for itself for ever.
    public static let alreadyHeld = Code(rawValue: "alreadyHeld")
    /// The path is a directory, a device, a FIFO or a socket.
    public static let notRegularFile = Code(rawValue: "notRegularFile")
    /// The path is a symbolic link; links are not followed, since somebody else may have planted them.
    public static let symbolicLink = Code(rawValue: "symbolicLink")
    /// The file holds something that no lock wrote: it was left as it is.
    public static let notALockFile = Code(rawValue: "notALockFile")
    /// The file was written by a later version of this package.
    public static let newerFormat = Code(rawValue: "newerFormat")
    /// The counter in the file can't be read, so tokens could not be made to grow.
    public static let damaged = Code(rawValue: "damaged")
    /// The process is a copy made by `fork`: the lock belongs to the original.
    public static let forked = Code(rawValue: "forked")
    /// A system call failed.
    public static let callFailed = Code(rawValue: "callFailed")
  }

  /// What stood in the way.
  public let code: Code

  /// The lock file.
  public let path: String

  /// The call that failed, or `nil` when a rule was broken before any.
  public let cause: SystemCallError?

  /// Describes a lock that can't be used.
  ///
  /// - Parameters:
  ///   - code: What stood in the way.
  ///   - path: The lock file.
  ///   - cause: The call that failed.
  public init(_ code: Code, path: String, cause: SystemCallError? = nil) {
    self.code = code
    self.path = path
    self.cause = cause
  }

  /// `ErrorCategory.validation` for what can never work, else what the failed call says.
  public var category: ErrorCategory {
    switch code {
    case .alreadyHeld, .forked, .notALockFile: .validation
    default: cause?.category ?? .fileSystem
    }
  }

  /// What the failed call says.
  public var retryability: Retryability {
    code == .callFailed ? cause?.retryability ?? .notRetryable : .notRetryable
  }
}

extension LockError: CustomStringConvertible {
  /// Code, path and cause in one line.
  public var description: String {
    "\(code.rawValue): \(path)" + (cause.map { ": \($0)" } ?? "")
  }

  /// One sentence with the path.
  public var userMessage: String? {
    switch code {
    case .unsupported: "The file system of \(path) has no locks."
    case .alreadyHeld: "\(path) is locked by the same task already."
    case .notRegularFile: "\(path) is not a regular file and can't be a lock."
    case .symbolicLink: "\(path) is a symbolic link and can't be a lock."
    case .notALockFile: "\(path) holds something else and was left as it is."
    case .newerFormat: "\(path) was written by a newer version of this program."
    case .damaged: "\(path) is damaged."
    case .forked: "\(path) is locked by the process that this one was copied from."
    default: cause?.userMessage ?? "\(path) can't be locked."
    }
  }

  /// What to do about it.
  public var suggestedActions: [String] {
    switch code {
    case .unsupported: ["Put the lock file on a local disk, or use a network lease."]
    case .notRegularFile, .symbolicLink, .notALockFile: ["Use another name for the lock file."]
    case .newerFormat: ["Update this program."]
    case .damaged: ["Remove the file while no program uses it."]
    default: cause?.suggestedActions ?? []
    }
  }
}

extension LockError {
  /// What a failure means for a lock.
  init(_ error: any Error, path: String) {
    switch error {
    case let error as LockError: self = error
    case let error as LockRecord.Problem:
      switch error {
      case .foreign: self.init(.notALockFile, path: path)
      case .newer: self.init(.newerFormat, path: path)
      case .damaged: self.init(.damaged, path: path)
      }
    case let error as SystemCallError: self.init(Self.code(of: error), path: path, cause: error)
    default: self.init(.callFailed, path: path)
    }
  }

  private static func code(of error: SystemCallError) -> Code {
    switch (error.call, error.number) {
    case ("open", .symbolicLinkLoop): .symbolicLink
    case ("open", .isADirectory): .notRegularFile
    case ("fcntl", .noLocks), ("fcntl", .notImplemented), ("fcntl", .notSupported),
      ("fcntl", .invalidArgument), ("flock", .noLocks), ("flock", .notImplemented),
      ("flock", .notSupported):
      .unsupported
    default: .callFailed
    }
  }
}
