internal import ReliabilityIO

/// The file of a log, as whoever holds its lock works on it.
///
/// Every function makes blocking calls and expects the lock to be held; only ``LogPlace`` is used without.
struct LogFile: ~Copyable {
  let place: LogPlace
  let options: AppendLog.Options
  /// What there is to tell since it was last asked.
  var news = LogNews()
  var header: LogHeader?
  /// Why the directory's sync can't make the name durable.
  var nameNotDurable: NotDurableReason?

  var file: OpenFile?
  var identity: FileIdentity?
  /// Where the next record goes: after the last newline.
  var end: Int64 = 0
  /// Whether the directory was synced since this file got its name, as far as we know.
  var isNameSynced = false
  var hasUnsynced = false
  /// The failed sync after which the file can't be trusted any more.
  var poison: SystemCallError?

  var generation: UInt64 { header?.generation ?? 0 }
  /// Whether others append without the lock.
  var isShared: Bool { options.healing == .isolate }

  init(_ place: LogPlace, options: AppendLog.Options) {
    self.place = place
    self.options = options
  }

  func error(_ cause: SystemCallError) -> StoreError {
    StoreError(.writing(cause), path: place.path, cause: cause)
  }

  /// Makes sure that the open file is the one with the name, whole up to a newline, and ours to write.
  ///
  /// Costs one call. That is spent even when nobody had the lock since: a program without it may have moved the log away,
  /// cut it or added half a line, and what is appended then must not go to a file that nobody reads, or over that line.
  mutating func prepare() throws(StoreError) {
    var status = try place.status()
    if status == nil {
      try create()
      status = try place.status()
    }
    guard let status else {
      throw error(SystemCallError(.notFound, call: "fstatat", path: place.path))
    }
    let isSame = identity == FileIdentity(status)
    if !isSame { try open() }
    if poison != nil {
      try repair()
    } else if !isSame || status.size != end {
      try heal()
    }
  }

  /// Opens the file and reads its header.
  mutating func open() throws(StoreError) {
    close()
    do throws(SystemCallError) {
      var flags: OpenFlags = [.read, .write, .noFollow, .nonBlocking]
      if isShared { flags.insert(.append) }
      let opened = try place.target.directory.open(place.target.name, flags)
      let status = try opened.status()
      guard status.kind == .regular else {
        throw SystemCallError(.invalidArgument, call: "open", path: place.path)
      }
      identity = FileIdentity(status)
      end = -1
      file = consume opened
    } catch {
      throw self.error(error)
    }
  }

  mutating func close() {
    file = nil
    identity = nil
    isNameSynced = false
    hasUnsynced = false
    poison = nil
    header = nil
  }

  /// Makes the file with its header, in one step.
  private mutating func create() throws(StoreError) {
    close()
    let fresh = LogHeader(generation: 1, content: options.content)
    var temporary = try TemporaryFile(
      for: place.path,
      options: .init(createOnly: true, mode: options.mode), fileSystem: place.fileSystem)
    if options.format == .checked { try temporary.append(fresh.line.span) }
    let size = temporary.size
    let outcome: PublishOutcome
    do throws(StoreError) {
      outcome = try temporary.publish()
    } catch {
      // Someone without the lock was faster.
      if error.code == .targetExists { return }
      throw error
    }
    try adopt(outcome, size: size, header: options.format == .checked ? fresh : nil)
  }

  /// Takes in how far the name of a new file has come.
  mutating func settleName(_ outcome: PublishOutcome) throws(StoreError) {
    if case .publishedNotDurable(let reason) = outcome.status {
      if reason.code == .directorySyncFailed {
        throw StoreError(.syncFailed, path: place.path, cause: reason.cause)
      }
      nameNotDurable = reason
    }
    isNameSynced = true
  }

  /// Writes lines at the end.
  ///
  /// When it throws ``StoreError/Code/appendUncertain``, a part may be there; else nothing is.
  ///
  /// - Returns: Where they begin.
  mutating func write(_ bytes: Span<UInt8>) throws(StoreError) -> Int64 {
    let start = end
    do throws(SystemCallError) {
      if isShared { try file!.appendAll(bytes) } else { try file!.writeAll(bytes, at: start) }
    } catch {
      throw takeBack(to: start, error)
    }
    end = start + Int64(bytes.count)
    hasUnsynced = true
    news.counts.writes += 1
    news.counts.bytes += bytes.count
    return start
  }

  /// Cuts off what a failed write has left.
  ///
  /// And syncs: complete lines that reached the disk meanwhile would be back after a power cut.
  private mutating func takeBack(to size: Int64, _ cause: SystemCallError) -> StoreError {
    do throws(SystemCallError) {
      if isShared {
        end = -1
        let now = try file!.status().size
        return now == size
          ? error(cause) : StoreError(.appendUncertain, path: place.path, cause: cause)
      }
      try file!.truncate(to: size)
    } catch {
      end = -1
      return StoreError(.appendUncertain, path: place.path, cause: cause)
    }
    do throws(SystemCallError) {
      try syncFile(.data)
      return error(cause)
    } catch {
      return StoreError(.appendUncertain, path: place.path, cause: cause)
    }
  }

  /// Makes what was written durable, or at least ordered.
  ///
  /// A failed sync is never repeated on the same file. The content goes to a new one, with the name and everything
  /// in it synced; only when that fails too, the outcome is unknown.
  ///
  /// - Parameters:
  ///   - durability: ``Durability/full`` or ``Durability/ordered``.
  ///   - lines: What was written last and not synced, and where: the file can't be trusted to give it back.
  /// - Returns: Whether it survives a power cut.
  mutating func sync(
    _ durability: Durability, rewriting lines: [UInt8], at start: Int64
  ) throws(StoreError) -> Bool {
    do throws(SystemCallError) {
      #if canImport(Darwin)
        try syncFile(durability == .full ? .data : .barrier)
      #else
        try syncFile(.data)
      #endif
      if durability == .full { try syncName() }
    } catch {
      if isShared {
        throw StoreError(.appendUncertain, path: place.path, cause: error)
      }
      do throws(StoreError) {
        try rewrite(keeping: start, adding: lines, because: error)
      } catch _ {
        throw StoreError(.appendUncertain, path: place.path, cause: error)
      }
    }
    hasUnsynced = false
    return durability == .full && nameNotDurable == nil
  }

  mutating func syncFile(_ kind: SyncKind) throws(SystemCallError) {
    do throws(SystemCallError) {
      try file!.sync(kind)
      news.counts.syncs += 1
    } catch {
      poison = error
      throw error
    }
  }

  /// Makes the name durable, once for each file: who made it may have died before.
  private mutating func syncName() throws(SystemCallError) {
    if isNameSynced { return }
    do throws(SystemCallError) {
      try place.target.directory.sync()
    } catch {
      switch error.number {
      case .invalidArgument, .notSupported, .notImplemented, .badDescriptor:
        nameNotDurable = NotDurableReason(code: .directorySyncUnsupported, cause: error)
      default:
        poison = error
        throw error
      }
    }
    isNameSynced = true
  }
}

/// Where a log is: an open directory and the name in it.
final class LogPlace: Sendable {
  let target: Target
  let fileSystem: FileSystem
  var path: String { target.path }

  init(_ path: String, fileSystem: FileSystem) throws(StoreError) {
    target = try Target(path, options: AtomicFile.Options(), fileSystem: fileSystem)
    self.fileSystem = fileSystem
  }

  func status() throws(StoreError) -> FileStatus? {
    do throws(SystemCallError) {
      return try target.directory.status(of: target.name)
    } catch {
      throw StoreError(.callFailed, path: path, cause: error)
    }
  }

  /// Opens the log to read what has this name now.
  func openToRead() throws(StoreError) -> OpenFile {
    do throws(SystemCallError) {
      return try target.directory.open(target.name, [.read, .noFollow, .nonBlocking])
    } catch {
      throw StoreError(.callFailed, path: path, cause: error)
    }
  }
}

/// Which file a name led to.
struct FileIdentity: Hashable, Sendable {
  var device: UInt64
  var inode: UInt64

  init(_ status: FileStatus) {
    device = status.device
    inode = status.inode
  }
}
