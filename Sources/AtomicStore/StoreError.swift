public import ReliabilityIO

/// A save that did not take effect: the target is untouched, as it was or absent.
///
/// (With one exception, ``Code/writtenInPart``, which only a file written in place by an explicit option can meet.)
///
///     do {
///       try await AtomicFile.replace("settings.json", with: bytes)
///     } catch {  // error is a StoreError
///       print(error.userMessage ?? "", error.suggestedActions)
///     }
public struct StoreError: ClassifiedError, Hashable {
  /// What stood in the way.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The path is empty, or names no file (it ends in `/`, `.` or `..`), or holds a NUL.
    public static let invalidPath = Code(rawValue: "invalidPath")
    /// The path exists and ``AtomicFile/Options/createOnly`` was asked for.
    public static let targetExists = Code(rawValue: "targetExists")
    /// The path is a symbolic link and links are refused.
    public static let targetIsSymbolicLink = Code(rawValue: "targetIsSymbolicLink")
    /// More than 40 symbolic links, or a circle of them.
    public static let tooManySymbolicLinks = Code(rawValue: "tooManySymbolicLinks")
    /// The path is a directory, a device, a FIFO or a socket.
    public static let targetIsNotRegularFile = Code(rawValue: "targetIsNotRegularFile")
    /// The file has other names and hard links are refused.
    public static let targetHasHardLinks = Code(rawValue: "targetHasHardLinks")
    /// The file itself is a mount point, as containers mount single files: it can't be replaced.
    public static let targetIsMountPoint = Code(rawValue: "targetIsMountPoint")
    /// The directory of the file does not exist.
    public static let directoryMissing = Code(rawValue: "directoryMissing")
    /// No file can be made in the directory, although the file itself may be writable.
    public static let directoryNotWritable = Code(rawValue: "directoryNotWritable")
    /// The file or directory is protected (immutable, append-only, sticky): it can't be replaced.
    public static let notPermitted = Code(rawValue: "notPermitted")
    /// The disk is full or the quota is used up.
    public static let outOfSpace = Code(rawValue: "outOfSpace")
    /// The file would exceed a size limit.
    public static let fileTooLarge = Code(rawValue: "fileTooLarge")
    /// Syncing failed.
    ///
    /// What was written can't be trusted and was thrown away; a whole new save may succeed.
    public static let syncFailed = Code(rawValue: "syncFailed")
    /// Another system call failed.
    public static let callFailed = Code(rawValue: "callFailed")
    /// The file was published or discarded before, or gave up after an error.
    public static let closed = Code(rawValue: "closed")
  }

  /// What stood in the way.
  public let code: Code

  /// The path that was to be written.
  public let path: String

  /// The call that failed, or `nil` when a rule was broken before any.
  public let cause: SystemCallError?

  /// A temporary file that could not be removed, or `nil`.
  public let leftover: String?

  /// Who has the file, with ``Code/inUse`` and as far as it is known.
  public let owner: LockOwner?

  /// Describes a save that did not take effect.
  ///
  /// - Parameters:
  ///   - code: What stood in the way.
  ///   - path: The path that was to be written.
  ///   - cause: The call that failed.
  ///   - leftover: A temporary file that could not be removed.
  ///   - owner: Who has the file.
  public init(
    _ code: Code, path: String, cause: SystemCallError? = nil, leftover: String? = nil,
    owner: LockOwner? = nil
  ) {
    self.code = code
    self.path = path
    self.cause = cause
    self.leftover = leftover
    self.owner = owner
  }

  /// `ErrorCategory.validation` for a path that can never work, else what the failed call says.
  public var category: ErrorCategory {
    switch code {
    case .invalidPath, .closed, .invalidRecord, .recordTooLarge, .notALog, .newerFormat, .readOnly,
      .stalePosition, .invalidLine, .reservedName, .conflictingChanges, .transactionTooLarge,
      .invalidManifest:
      .validation
    default: cause?.category ?? .fileSystem
    }
  }

  /// Retryable when the failed call is: a failed sync or device may work the next time, a full disk will not.
  public var retryability: Retryability {
    switch code {
    case .syncFailed: .retryable()
    case .targetIsLeased: .retryable(after: .milliseconds(100))
    case .inUse: .retryable()
    case .targetIsMountPoint, .appendUncertain: .notRetryable
    default: cause?.retryability ?? .notRetryable
    }
  }
}

extension StoreError: CustomStringConvertible {
  /// Code, path, cause and leftover in one line.
  public var description: String {
    let effect =
      switch code {
      case .notReadable: "was not read"
      case .writtenInPart: "was written in part"
      case .appendUncertain: "may have been written"
      case .inUse: "is in use" + (owner.map { " by \($0)" } ?? "")
      default: "was not written"
      }
    var text = "\(code.rawValue): \(path) \(effect)"
    if let cause { text += ": \(cause)" }
    if let leftover { text += "; could not remove \(leftover)" }
    return text
  }

  /// One sentence with the path.
  public var userMessage: String? {
    switch code {
    case .invalidPath: "\"\(path)\" is not the path of a file."
    case .targetExists: "\(path) exists already and was left as it is."
    case .targetIsSymbolicLink: "\(path) is a symbolic link and was left as it is."
    case .tooManySymbolicLinks: "\(path) leads through too many symbolic links."
    case .targetIsNotRegularFile: "\(path) is not a regular file and can't be replaced."
    case .targetHasHardLinks: "\(path) has other names (hard links) and was left as it is."
    case .targetIsMountPoint: "\(path) is a mount point and can't be replaced."
    case .directoryMissing: "The directory of \(path) does not exist."
    case .directoryNotWritable:
      cause?.number == .readOnlyFileSystem
        ? "\(path) can't be saved: its disk is read-only."
        : "\(path) can't be saved: its directory is not writable."
    case .notPermitted: "\(path) is protected and can't be replaced."
    case .outOfSpace:
      cause?.number == .quotaExceeded
        ? "\(path) can't be saved: the disk quota is used up."
        : "\(path) can't be saved: the disk is full."
    case .fileTooLarge: "\(path) can't be saved: it would exceed a size limit."
    case .syncFailed: "\(path) can't be saved: the disk reported a failure."
    case .closed: "\(path) was finished before and takes no more content."
    default:
      logMessage ?? transactionMessage ?? documentMessage ?? cause?.userMessage
        ?? "\(path) can't be saved."
    }
  }

  /// What to do about it, most useful first.
  public var suggestedActions: [String] {
    var actions =
      switch code {
      case .invalidPath: ["Give the path of a file."]
      case .targetExists: ["Use another name, or remove the file first."]
      case .targetIsSymbolicLink: ["Give the path the link leads to."]
      case .tooManySymbolicLinks: ["Check the links for a circle."]
      case .targetIsNotRegularFile: ["Use another name."]
      case .targetHasHardLinks: ["Remove the other names, or allow hard links to be broken."]
      case .targetIsMountPoint: ["Mount the directory instead of the single file."]
      case .directoryMissing: ["Create the directory, or check the path for a typing error."]
      case .directoryNotWritable where cause?.number != .readOnlyFileSystem:
        [
          "Allow this user to create files in the directory: a save makes a new file beside the old one."
        ]
      case .notPermitted:
        ["Check the file's attributes (`lsattr`) and the directory's sticky bit."]
      case .closed: ["Start a new save."]
      default:
        logActions ?? transactionActions ?? documentActions ?? cause?.suggestedActions ?? []
      }
    if let leftover { actions.append("Remove the temporary file \(leftover).") }
    return actions
  }
}
