public import ReliabilityIO

/// Something a document's owner should know although the call succeeded.
///
///     let document = AtomicDocument<Settings>("settings.json") { event in log(event.description) }
public struct DocumentEvent: Hashable, Sendable {
  /// What happened.
  public enum Kind: Hashable, Sendable {
    /// The document was damaged or gone, and this generation of its backups was taken instead (1 is the newest).
    case recoveredFromBackup(Int)
    /// A damaged file was moved aside.
    case quarantined(QuarantinedFile)
    /// The previous content could not be kept; the save itself went on.
    case backupFailed(BackupFailure)
    /// Someone else wrote the document since it was saved; what it holds was taken as it is.
    case editedExternally
    /// The file system keeps no checksums; said once.
    case checksumNotRecorded(SystemCallError)
    /// The document was saved, but a power cut may undo it although durability was asked for.
    case notDurable(NotDurableReason)
    /// A temporary file or a damaged one could not be dealt with.
    case cleanUpFailed(StoreError)
  }

  /// The document.
  public var path: String

  /// What happened.
  public var kind: Kind
}

extension DocumentEvent: CustomStringConvertible {
  /// One line.
  public var description: String {
    switch kind {
    case .recoveredFromBackup(let generation): "\(path): recovered from backup \(generation)"
    case .quarantined(let file): "\(path): \(file)"
    case .backupFailed(let failure): "\(path): \(failure)"
    case .editedExternally: "\(path): edited by another program"
    case .checksumNotRecorded(let cause): "\(path): no checksum was recorded: \(cause)"
    case .notDurable(let reason): "\(path): \(reason)"
    case .cleanUpFailed(let error): "\(path): \(error)"
    }
  }
}

/// A damaged file that was moved aside.
public struct QuarantinedFile: Hashable, Sendable, CustomStringConvertible {
  /// Where it was.
  public var original: String
  /// Where it is: `<name>.corrupt-<UTC time>-<random>` beside it.
  public var path: String
  /// What is wrong with it.
  public var reason: String

  /// One line.
  public var description: String { "\(original) is damaged (\(reason)) and was moved to \(path)" }
}
