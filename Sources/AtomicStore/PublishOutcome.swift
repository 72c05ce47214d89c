public import ReliabilityIO

/// What a save that took effect has achieved.
///
/// A save without effect throws a ``StoreError`` instead.
///
///     let outcome = try await AtomicFile.replace("settings.json", with: bytes)
///     if case .publishedNotDurable(let reason) = outcome.status {
///       print("saved, but a power cut may undo it: \(reason)")
///     }
public struct PublishOutcome: Hashable, Sendable {
  /// How far the new content has come.
  public enum Status: Hashable, Sendable {
    /// It is on the medium under its name.
    case durable
    /// Every reader sees it, but a power cut may bring the old content back.
    case publishedNotDurable(NotDurableReason)
  }

  /// How the new content came to the path.
  public enum Method: Hashable, Sendable {
    /// In one step, as every save does unless asked otherwise.
    case rename
    /// Written over the old content, which a backup has; see ``AtomicFile/Options/UnreplaceableRule``.
    case inPlace
  }

  /// What became of the checksum.
  public enum Checksum: Hashable, Sendable {
    /// The options did not ask for one.
    case notRequested
    /// The file carries it.
    case recorded
    /// It could not be recorded, most often because the file system keeps no attributes.
    case notRecorded(SystemCallError)
  }

  /// How far the new content has come.
  public var status: Status

  /// The file that was written: the path as given, with symbolic links of its last component followed.
  public var path: String

  /// Whether a file was there before.
  public var replacedExisting: Bool

  /// How many other names (hard links) still lead to the old content.
  public var otherHardLinks: Int

  /// Whether the new file has the owner and group of the old one.
  ///
  /// `true` where there was none, or where it was not asked for.
  public var ownerKept: Bool

  /// The extended attributes of the old file that the system refused to give to the new one.
  ///
  /// The access control list (`system.posix_acl_access`) is one; it is not given to a file of another owner or group.
  public var attributesNotKept: [String]

  /// How the new content came to the path.
  public var method = Method.rename

  /// What became of the backup of the old content.
  public var backup = BackupOutcome.none

  /// What became of the checksum.
  public var checksum = Checksum.notRequested

  /// The version of the new file, when the options ask for backups, a checksum or an unchanged file.
  ///
  /// What to give as ``AtomicFile/Options/ifUnchanged`` the next time.
  public var version: FileVersion?

  /// A temporary file that could not be removed after the content was published, or `nil`.
  ///
  /// Only possible where the file system has no exclusive rename and ``AtomicFile/Options/createOnly`` is set.
  public var leftover: String?

  /// Whether the content is durable.
  public var isDurable: Bool { status == .durable }
}

/// Why published content is not durable.
public struct NotDurableReason: Hashable, Sendable {
  /// The kinds of reason.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The word itself.
    public let rawValue: String

    /// Makes a code from a word.
    ///
    /// - Parameter rawValue: A word in lower camel case.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The options asked for less than ``Durability/full``.
    public static let notRequested = Code(rawValue: "notRequested")
    /// The file system can't sync a directory.
    ///
    /// Some network file systems make renames durable by themselves, but nothing says so.
    public static let directorySyncUnsupported = Code(rawValue: "directorySyncUnsupported")
    /// Syncing the directory failed: the name may be lost after a power cut.
    public static let directorySyncFailed = Code(rawValue: "directorySyncFailed")
  }

  /// The kind of reason.
  public var code: Code

  /// The call that failed, or `nil` when nothing was asked for.
  public var cause: SystemCallError?
}

extension NotDurableReason: CustomStringConvertible {
  /// One line with the failed call.
  public var description: String {
    switch code {
    case .notRequested: "durability was not requested"
    case .directorySyncUnsupported:
      "the directory can't be synced: \(cause.map { "\($0)" } ?? "unsupported")"
    default: "syncing the directory failed: \(cause.map { "\($0)" } ?? "unknown")"
    }
  }
}
