internal import ReliabilityIO

/// One damaged file among target and backups.
struct DamagedFile: Sendable {
  /// 0 is the target, 1 the newest backup.
  var generation: Int
  var content: FileContent
  var reason: String
}

/// What was done about damaged files.
struct Settlement: Sendable {
  var quarantined: [QuarantinedFile] = []
  var problems: [StoreError] = []
  /// Whether the target may be overwritten: it is sound, absent, or was moved aside.
  var mayOverwriteTarget = true
  /// What the target is afterwards.
  var version: FileVersion?
}

extension DocumentFile {
  /// What becomes of the target.
  enum TargetRule: Hashable, Sendable {
    /// It stays in its place, to be replaced by a save that follows.
    case stays
    /// It gets the content of a backup; if it is damaged and there is no good backup, it is removed.
    case restored(from: Int?)
  }

  /// How often a temporary link is made again when a sweeper takes it for an orphan.
  private static let maximumLinks = 3

  /// Moves damaged files aside and puts a good backup in the target's place, under the document's lock.
  ///
  /// The damaged content first gets a second name, and only then the target is renamed over, so at every instant the
  /// target is there, and a crash in between loses nothing. Nothing is copied but where there are no hard links.
  func settle(_ damaged: [DamagedFile], of path: String, target rule: TargetRule) -> Settlement {
    var result = Settlement()
    do throws(StoreError) {
      try withDirectory(of: path) { (directory, name) throws(StoreError) in
        for file in damaged {
          quarantine(file, of: name, in: directory, rule, &result)
        }
        if case .restored(let generation?) = rule, result.mayOverwriteTarget {
          restore(name, from: generation, in: directory, &result)
        }
        if options.durability == .full {
          do throws(SystemCallError) {
            try directory.sync()
          } catch {
            result.problems.append(StoreError(.syncFailed, path: path, cause: error))
          }
        }
        result.version = (try? directory.status(of: name)).flatMap { $0 }.map(FileVersion.init)
      }
    } catch {
      result.problems.append(error)
      result.mayOverwriteTarget = false
    }
    return result
  }

  private func quarantine(
    _ file: DamagedFile, of name: String, in directory: borrowing OpenDirectory,
    _ rule: TargetRule, _ result: inout Settlement
  ) {
    let isTarget = file.generation == 0
    let original =
      isTarget ? name : BackupName.make(for: name, generation: file.generation)
    let aside = QuarantineName.make(
      for: original, at: .now, random: fileSystem.backend.randomBits())
    let originalPath = joinPath(directory.path, original)
    do throws(StoreError) {
      try keepAside(original, file.content, as: aside, in: directory)
      result.quarantined.append(
        QuarantinedFile(
          original: originalPath, path: joinPath(directory.path, aside), reason: file.reason))
    } catch {
      result.problems.append(error)
      if isTarget { result.mayOverwriteTarget = false }
      return
    }
    // A good backup is renamed over a damaged target; everything else that is damaged makes room.
    guard !isTarget || rule == .restored(from: nil) else { return }
    if let reason = directory.remove(original) {
      result.problems.append(StoreError(.callFailed, path: originalPath, cause: reason))
    }
  }

  /// Gives a damaged content another name, or writes a copy where the file system has no hard links.
  private func keepAside(
    _ original: String, _ content: FileContent, as aside: String,
    in directory: borrowing OpenDirectory
  ) throws(StoreError) {
    let path = joinPath(directory.path, original)
    let status: FileStatus?
    do throws(SystemCallError) {
      status = try directory.status(of: original)
    } catch {
      throw StoreError(.callFailed, path: path, cause: error)
    }
    // Someone without the lock may have put another file there: that one is not ours to move.
    guard status.map(FileVersion.init) == content.version else {
      throw StoreError(.targetChanged, path: path)
    }
    if (try? directory.link(original, to: aside)) != nil { return }
    var copy = AtomicFile.Options(durability: options.durability, createOnly: true)
    copy.mode = FileMode(rawValue: content.mode.rawValue & 0o600)
    _ = try AtomicFile.replaceBlocking(
      joinPath(directory.path, aside), with: content.bytes.span, options: copy,
      fileSystem: fileSystem)
  }

  /// Puts a backup in the target's place, without copying.
  private func restore(
    _ name: String, from generation: Int, in directory: borrowing OpenDirectory,
    _ result: inout Settlement
  ) {
    let backend = fileSystem.backend
    let backup = BackupName.make(for: name, generation: generation)
    for attempt in 1...Self.maximumLinks {
      let link = TemporaryName.make(
        for: name, process: backend.processIdentifier, random: backend.randomBits())
      do throws(SystemCallError) {
        try directory.link(backup, to: link)
        do throws(SystemCallError) {
          return try directory.rename(link, to: name)
        } catch {
          let leftover = directory.remove(link)?.path
          if error.number == .notFound && attempt < Self.maximumLinks { continue }
          result.problems.append(
            StoreError(
              .callFailed, path: joinPath(directory.path, name), cause: error, leftover: leftover))
          return
        }
      } catch {
        result.problems.append(
          StoreError(.callFailed, path: joinPath(directory.path, name), cause: error))
        return
      }
    }
  }

  /// Removes backups and target, under the document's lock.
  ///
  /// The target last: until then the document is whole.
  func remove(_ path: String) throws(StoreError) {
    let options = options
    verified = nil
    try withDirectory(of: path) { (directory, name) throws(StoreError) in
      var names = [name]
      for generation in 1..<(options.backups + 1) {
        names.append(BackupName.make(for: name, generation: generation))
      }
      for name in names.reversed() {
        if let reason = directory.remove(name) {
          throw StoreError(.callFailed, path: joinPath(directory.path, name), cause: reason)
        }
      }
      guard options.durability == .full else { return }
      do throws(SystemCallError) {
        try directory.sync()
      } catch {
        throw StoreError(.syncFailed, path: path, cause: error)
      }
    }
  }
}

/// The name of a damaged file that was moved aside: `<name>.corrupt-<UTC time>-<32 random bits, hex>`.
enum QuarantineName {
  static func make(for name: String, at time: WallTime, random: UInt64) -> String {
    let stamp = time.description.utf8.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: ":") }
    let digits = String(UInt32(truncatingIfNeeded: random), radix: 16)
    let padding = String(repeating: "0", count: 8 - digits.utf8.count)
    let time = String(decoding: stamp, as: UTF8.self)
    return "\(TemporaryName.cut(name)).corrupt-\(time)-\(padding)\(digits)"
  }
}
