internal import ReliabilityIO

extension TemporaryFile {
  /// Gives the content its name: metadata, sync, rename, sync of the directory.
  ///
  /// On an error the temporary file is gone and the target is what it was. A failed sync is never repeated: the
  /// kernel may have dropped what it could not write and would report success.
  ///
  /// - Parameter rule: Whether the old content may become a backup, where the options ask for some.
  mutating func publish(_ rule: BackupRule = .always) throws(StoreError) -> PublishOutcome {
    try requireTrusted()
    let kept: KeptMetadata
    do throws(SystemCallError) {
      kept = try applyMetadata()
    } catch {
      let isLease = error.number == .wouldBlock && error.call == "open"
      throw abandon(isLease ? .targetIsLeased : .writing(error), error)
    }
    do throws(SystemCallError) {
      switch options.durability {
      case .full: try file.sync(.full)
      case .ordered: try file.sync(.barrier)
      case .none: try file.flushAsClosing()
      }
    } catch {
      let code = StoreError.Code.writing(error)
      throw abandon(code == .callFailed ? .syncFailed : code, error)
    }
    if options.ifUnchanged != nil { try refreshTarget() }
    let backup = keepBackup(rule)
    let leftover: String?
    do throws(SystemCallError) {
      leftover = try giveName()
    } catch {
      throw abandon(renameCode(error), error)
    }
    return PublishOutcome(
      status: syncDirectory(), path: target.path, replacedExisting: target.existing != nil,
      otherHardLinks: target.otherLinks, ownerKept: kept.ownerKept,
      attributesNotKept: kept.attributesNotKept, backup: backup, checksum: kept.checksum,
      version: options.needsVersion ? (try? file.status()).map(FileVersion.init) : nil,
      leftover: leftover)
  }

  /// Renames the file to its target.
  ///
  /// - Returns: The temporary name when it could not be removed after linking.
  private mutating func giveName() throws(SystemCallError) -> String? {
    guard options.createOnly else {
      try target.directory.rename(name, to: target.name)
      isNamed = false
      return nil
    }
    do throws(SystemCallError) {
      try target.directory.rename(name, to: target.name, .noReplace)
      isNamed = false
      return nil
    } catch {
      switch error.number {
      case .invalidArgument, .notImplemented, .notSupported: break
      default: throw error
      }
    }
    // Old kernels and some file systems: a link never replaces either.
    try target.directory.link(name, to: target.name)
    return remove()?.path
  }

  private func renameCode(_ error: SystemCallError) -> StoreError.Code {
    switch error.number {
    case .exists where options.createOnly: .targetExists
    case .busy: .targetIsMountPoint
    case .isADirectory, .notADirectory: .targetIsNotRegularFile
    case .notPermitted where error.call == "linkat": .callFailed  // No links on this file system.
    case .notPermitted, .permissionDenied, .readOnlyFileSystem: .notPermitted
    default: .writing(error)
    }
  }

  private func syncDirectory() -> PublishOutcome.Status {
    guard options.durability == .full else {
      return .publishedNotDurable(NotDurableReason(code: .notRequested, cause: nil))
    }
    if let reason = target.newDirectoryNotSynced { return .publishedNotDurable(reason) }
    do throws(SystemCallError) {
      try target.directory.sync()
      return .durable
    } catch {
      return .publishedNotDurable(NotDurableReason(directorySync: error))
    }
  }
}

extension NotDurableReason {
  /// Tells a directory that can't be synced from one whose sync failed.
  init(directorySync error: SystemCallError) {
    switch error.number {
    case .invalidArgument, .notSupported, .notImplemented, .badDescriptor:
      self.init(code: .directorySyncUnsupported, cause: error)
    default: self.init(code: .directorySyncFailed, cause: error)
    }
  }
}

extension AtomicFile.Options {
  /// Whether the outcome says which version the new file is.
  fileprivate var needsVersion: Bool { backups > 0 || recordsChecksum || ifUnchanged != nil }
}
