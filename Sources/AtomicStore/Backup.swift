public import ReliabilityIO

/// What became of the backup of the old content.
public enum BackupOutcome: Hashable, Sendable {
  /// None was asked for, or there was nothing to keep.
  case none
  /// The old content has this path.
  case made(String)
  /// The old content was not kept, or not under the backup's name. The save itself went on.
  case failed(BackupFailure)
}

/// Why a backup could not be made.
public struct BackupFailure: Hashable, Sendable {
  /// The call that failed.
  public var cause: SystemCallError

  /// A second, temporary name of the old content that could not be removed, or `nil`.
  public var leftover: String?

  /// Whether the file system has no hard links at all, so that no later backup will work either.
  public var isUnsupported: Bool {
    cause.call == "linkat"
      && [.notPermitted, .notSupported, .notImplemented].contains(cause.number)
  }
}

extension BackupFailure: CustomStringConvertible {
  /// One line with the failed call.
  public var description: String {
    let text = "the old content was not kept: \(cause)"
    return leftover.map { "\(text); could not remove \($0)" } ?? text
  }
}

/// Whether a save may turn the content that is there into a backup.
enum BackupRule: Sendable {
  case always
  /// Only a version that is known to be good: a damaged one must not push out a good backup.
  case ifVersion(FileVersion)
  case never
}

/// The names of backups: `<name>.bak`, `<name>.bak.2` and so on.
enum BackupName {
  static func make(for name: String, generation: Int) -> String {
    generation == 1 ? "\(name).bak" : "\(name).bak.\(generation)"
  }
}

extension TemporaryFile {
  /// How often a temporary link is made again when a sweeper takes it for an orphan.
  private static let maximumLinks = 3

  /// Gives the content that is about to be replaced the name of the newest backup, and the others the next one's.
  ///
  /// First a second, temporary name, so that a file system without hard links is noticed before an old backup moves;
  /// then each generation takes the name of the next older one. At every instant each content has one of its names.
  func keepBackup(_ rule: BackupRule) -> BackupOutcome {
    guard options.backups > 0 else { return .none }
    if case .never = rule { return .none }
    let directory = target.directory.path
    do throws(SystemCallError) {
      guard let current = try target.directory.status(of: target.name), current.kind == .regular
      else { return .none }
      if case .ifVersion(let good) = rule, FileVersion(current) != good { return .none }
      let newest = BackupName.make(for: target.name, generation: 1)
      if let kept = try target.directory.status(of: newest), kept.isSameFile(as: current) {
        // A save made it and then failed, or the file was restored from it.
        return .made(joinPath(directory, newest))
      }
      return try rotate(to: newest)
    } catch {
      return .failed(BackupFailure(cause: error))
    }
  }

  private func rotate(to newest: String) throws(SystemCallError) -> BackupOutcome {
    let backend = target.directory.fileSystem.backend
    for attempt in 1...Self.maximumLinks {
      let link = TemporaryName.make(
        for: target.name, process: backend.processIdentifier, random: backend.randomBits())
      try target.directory.link(target.name, to: link)
      do throws(SystemCallError) {
        if attempt == 1 { try moveOlderBackups() }
        try target.directory.rename(link, to: newest)
        return .made(joinPath(target.directory.path, newest))
      } catch {
        let leftover = target.directory.remove(link)?.path
        if error.number != .notFound || attempt == Self.maximumLinks {
          return .failed(BackupFailure(cause: error, leftover: leftover))
        }
      }
    }
    return .none
  }

  /// From the oldest on: each takes the name of the next older one, and the oldest is replaced.
  private func moveOlderBackups() throws(SystemCallError) {
    for generation in stride(from: options.backups - 1, through: 1, by: -1) {
      do throws(SystemCallError) {
        try target.directory.rename(
          BackupName.make(for: target.name, generation: generation),
          to: BackupName.make(for: target.name, generation: generation + 1))
      } catch {
        if error.number != .notFound { throw error }
      }
    }
  }
}
