internal import ReliabilityIO

/// Writing over a file that can't be replaced, by explicit option only.
extension AtomicFile {
  /// Copies the old content to a backup, makes that durable, and writes over the file.
  ///
  /// Locked by `flock` meanwhile, so that two of these can't mix.
  ///
  /// - Parameters:
  ///   - backup: Where the old content goes; `nil` is beside the file.
  ///   - rule: Whether what is there may become the backup; else the backup that exists is the one to keep.
  ///   - reason: Why the file can't be replaced.
  static func writeInPlace(
    _ path: String, _ bytes: Span<UInt8>, options: Options, fileSystem: FileSystem,
    backup: String?, _ rule: BackupRule, reason: StoreError
  ) throws(StoreError) -> PublishOutcome {
    let target = try Target(path, options: options, fileSystem: fileSystem)
    guard target.existing != nil else { throw reason }
    let file = try openLocked(target, path: path)
    let status: FileStatus
    do throws(SystemCallError) {
      status = try file.status()
    } catch {
      throw StoreError(.callFailed, path: path, cause: error)
    }
    if let expected = options.ifUnchanged, FileVersion(status) != expected {
      throw StoreError(.targetChanged, path: path)
    }
    let backupPath =
      backup
      ?? joinPath(target.directory.path, BackupName.make(for: target.name, generation: 1))
    var backupOutcome = BackupOutcome.none
    // A backup that is a second name of the file would be written over with it.
    if rule.admits(FileVersion(status)) || target.backupLinks > 0 {
      try copy(file, status, to: backupPath, options: options, path: path)
      backupOutcome = .made(backupPath)
    }
    let checksum: PublishOutcome.Checksum
    do throws(SystemCallError) {
      checksum = try overwrite(file, status, with: bytes, options: options)
    } catch {
      let isRestored =
        backupOutcome != .none && error.call != "fsync"
        && restore(file, size: status.size, from: backupPath)
      throw StoreError(isRestored ? .writing(error) : .writtenInPart, path: path, cause: error)
    }
    let isDurable = options.durability == .full
    return PublishOutcome(
      status: isDurable
        ? .durable : .publishedNotDurable(NotDurableReason(code: .notRequested, cause: nil)),
      path: target.path, replacedExisting: true, otherHardLinks: 0, ownerKept: true,
      attributesNotKept: [], method: .inPlace, backup: backupOutcome, checksum: checksum,
      version: (try? file.status()).map(FileVersion.init))
  }

  private static func openLocked(
    _ target: borrowing Target, path: String
  ) throws(StoreError) -> OpenFile {
    do throws(SystemCallError) {
      let file = try target.directory.open(
        target.name, [.read, .write, .noFollow, .nonBlocking])
      try lockWherePossible(file)
      return file
    } catch {
      let isLease = error.number == .wouldBlock && error.call == "open"
      throw StoreError(isLease ? .targetIsLeased : .callFailed, path: path, cause: error)
    }
  }

  private static func lockWherePossible(
    _ file: borrowing OpenFile
  ) throws(SystemCallError) {
    do throws(SystemCallError) {
      try file.lock(.exclusive)
    } catch {
      switch error.number {
      case .noLocks, .notSupported, .notImplemented, .invalidArgument: return
      default: throw error
      }
    }
  }

  /// Makes a durable copy, readable by its owner alone.
  private static func copy(
    _ file: borrowing OpenFile, _ status: FileStatus, to backupPath: String, options: Options,
    path: String
  ) throws(StoreError) {
    let copyOptions = Options(
      mode: FileMode(rawValue: status.mode.rawValue & 0o600),
      recordsChecksum: options.recordsChecksum)
    do throws(StoreError) {
      var copy = try TemporaryFile(
        for: backupPath, options: copyOptions, fileSystem: file.fileSystem)
      do throws(SystemCallError) {
        while copy.size < status.size {
          let piece = try read(file, at: copy.size, of: status.size)
          if piece.isEmpty { break }
          do throws(StoreError) {
            try copy.append(piece.span)
          } catch {
            throw error.cause ?? SystemCallError(.inputOutput, call: "write", path: backupPath)
          }
        }
      } catch {
        throw copy.abandon(.backupFailed, error)
      }
      if case .publishedNotDurable(let reason) = try copy.publish().status {
        throw StoreError(.backupFailed, path: path, cause: reason.cause)
      }
    } catch {
      throw StoreError(.backupFailed, path: path, cause: error.cause, leftover: error.leftover)
    }
  }

  /// Up to 1 MiB of a file's content.
  private static func read(
    _ file: borrowing OpenFile, at offset: Int64, of size: Int64
  ) throws(SystemCallError) -> [UInt8] {
    try [UInt8](capacity: Int(min(size - offset, 1 << 20))) {
      (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
      try file.readAll(into: &buffer, at: offset)
    }
  }

  private static func overwrite(
    _ file: borrowing OpenFile, _ status: FileStatus, with bytes: Span<UInt8>, options: Options
  ) throws(SystemCallError) -> PublishOutcome.Checksum {
    var checksum = FileChecksum(
      crc: CRC32C(bytes).value, size: Int64(bytes.count), modified: nil)
    var outcome = PublishOutcome.Checksum.notRequested
    if options.recordsChecksum {
      // Without a time: should this be cut short, whatever is there differs and counts as damaged, not as edited.
      outcome = record(checksum, on: file)
    }
    try file.writeAll(bytes, at: 0)
    if status.size > Int64(bytes.count) { try file.truncate(to: Int64(bytes.count)) }
    switch options.durability {
    case .full: try file.sync(.full)
    case .ordered: try file.sync(.barrier)
    case .none: try file.flushAsClosing()
    }
    if outcome == .recorded {
      checksum.modified = try? file.status().modified
      outcome = record(checksum, on: file)
    }
    return outcome
  }

  private static func record(
    _ checksum: FileChecksum, on file: borrowing OpenFile
  ) -> PublishOutcome.Checksum {
    do throws(SystemCallError) {
      try file.setAttribute(FileChecksum.attribute, checksum.record)
      return .recorded
    } catch {
      return .notRecorded(error)
    }
  }

  /// Writes the old content back.
  ///
  /// - Returns: Whether that worked.
  private static func restore(
    _ file: borrowing OpenFile, size: Int64, from backupPath: String
  ) -> Bool {
    do throws(SystemCallError) {
      let backup = try OpenFile(backupPath, [.read], fileSystem: file.fileSystem)
      var offset: Int64 = 0
      var checksum = CRC32C()
      while offset < size {
        let piece = try read(backup, at: offset, of: size)
        if piece.isEmpty { return false }
        try file.writeAll(piece.span, at: offset)
        checksum.update(piece.span)
        offset += Int64(piece.count)
      }
      try file.truncate(to: size)
      try file.sync(.full)
      if (try? file.attribute(FileChecksum.attribute)) != nil {
        let modified = try file.status().modified
        let old = FileChecksum(crc: checksum.value, size: size, modified: modified)
        _ = record(old, on: file)
      }
      return true
    } catch {
      return false
    }
  }
}

extension BackupRule {
  /// Whether a version may become the newest backup.
  fileprivate func admits(_ version: FileVersion) -> Bool {
    switch self {
    case .always: true
    case .ifVersion(let good): good == version
    case .never: false
    }
  }
}
