internal import ReliabilityCore
internal import ReliabilityIO

/// One contender's files: its record, which becomes the claim, and the directory of the lease.
///
/// Every function makes blocking calls and runs on a thread of the lease, one at a time.
final class LeaseSession: Sendable {
  static let claim = "claim"
  static let guardFile = "guard"
  static let tokenPrefix = "token."
  static let recordPrefix = "new."
  static let brokenPrefix = "old."

  let lease: NetworkLease
  let directory: OpenDirectory
  /// The record, and after it was linked the claim.
  let file: OpenFile
  let name: String
  let record: LeaseRecord

  private init(
    _ lease: NetworkLease, _ directory: consuming OpenDirectory, _ file: consuming OpenFile,
    name: String, record: LeaseRecord
  ) {
    self.lease = lease
    self.directory = directory
    self.file = file
    self.name = name
    self.record = record
  }

  /// Makes the directory where it is missing, and a record in it.
  static func open(_ lease: NetworkLease) throws(LeaseError) -> LeaseSession {
    do throws(SystemCallError) {
      let directory = try openDirectory(lease)
      let record = LeaseRecord(
        owner: lease.facts.current, nonce: lease.fileSystem.backend.randomBits(),
        duration: lease.configuration.duration, since: WallTime.now,
        label: lease.configuration.label)
      let name =
        recordPrefix + String(record.owner.pid, radix: 16) + "."
        + String(record.nonce, radix: 16)
      let file = try directory.open(
        name, [.read, .write, .create, .exclusive, .noFollow], mode: 0o644)
      do throws(SystemCallError) {
        try file.writeAll(record.bytes.span, at: 0)
        // Other machines read what has reached the server.
        try file.flushAsClosing()
      } catch {
        try? directory.unlink(name)
        throw error
      }
      return LeaseSession(lease, directory, file, name: name, record: record)
    } catch {
      throw LeaseError(.callFailed, path: lease.path, cause: error)
    }
  }

  private static func openDirectory(
    _ lease: NetworkLease
  ) throws(SystemCallError) -> OpenDirectory {
    do throws(SystemCallError) {
      return try OpenDirectory(lease.path, fileSystem: lease.fileSystem, mayBeUnreadable: false)
    } catch {
      if error.number != .notFound { throw error }
    }
    do throws(SystemCallError) {
      try lease.fileSystem.perform("mkdir", lease.path) { backend throws(ErrorNumber) in
        try backend.makeDirectory(lease.path, in: nil, mode: 0o777)
      }
    } catch {
      if error.number != .exists { throw error }
    }
    return try OpenDirectory(lease.path, fileSystem: lease.fileSystem, mayBeUnreadable: false)
  }

  /// Turns a failed call into the lease's error.
  func calling<R: ~Copyable>(
    _ body: () throws(SystemCallError) -> R
  ) throws(LeaseError) -> R {
    do throws(SystemCallError) {
      return try body()
    } catch {
      throw LeaseError(.callFailed, path: lease.path, cause: error)
    }
  }

  // MARK: The claim

  enum Attempt: Sendable {
    /// The claim is ours, its time set after this instant.
    case linked(sent: Duration)
    case busy(NetworkLease.Owner?)
  }

  /// Tries to make the record the claim; where there is one already, looks at it if asked to, and takes over a dead or
  /// stale one.
  func attempt(looking: Bool) throws(LeaseError) -> Attempt {
    let sent = lease.clock.now.sinceOrigin
    try calling(touch)
    if try calling(link) { return .linked(sent: sent) }
    guard looking else { return .busy(nil) }
    guard let found = try LeaseSession.readClaim(in: directory) else { return .busy(nil) }
    let owner = NetworkLease.Owner(found.record)
    switch try judge(found) {
    case .live: return .busy(owner)
    case .otherDuration: throw LeaseError(.otherDuration, path: lease.path, owner: owner)
    case .dead, .stale:
      guard try takeOver(found.record) else { return .busy(owner) }
      return try calling(link) ? .linked(sent: sent) : .busy(nil)
    }
  }

  private func touch() throws(SystemCallError) {
    try lease.fileSystem.perform("futimens", file.path) { backend throws(ErrorNumber) in
      try backend.touch(file.descriptor)
    }
  }

  /// - Returns: `false` when there is a claim.
  private func link() throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
      try directory.link(name, to: LeaseSession.claim)
      return true
    } catch {
      // A server whose answer was lost is asked again and says `EEXIST`, or the wait ends with another error. The
      // number of names tells what happened.
      if let status = try? file.status(), status.links == 2 { return true }
      if error.number == .exists { return false }
      throw error
    }
  }

  struct FoundClaim: ~Copyable {
    let record: LeaseRecord
    let status: FileStatus
    /// Open for as long as the claim is talked about: a removed file's inode number is used again at once.
    let file: OpenFile
  }

  /// Reads the claim; `nil` when there is none.
  ///
  /// Opened each time: on NFS that asks the server, where a look-up may answer from memory.
  static func readClaim(
    in directory: borrowing OpenDirectory
  ) throws(LeaseError) -> FoundClaim? {
    let file: OpenFile
    do throws(SystemCallError) {
      file = try directory.open(LeaseSession.claim, [.read, .noFollow, .nonBlocking])
    } catch {
      switch error.number {
      case .notFound, .staleHandle: return nil
      case .symbolicLinkLoop:
        throw LeaseError(.foreignClaim, path: directory.path, cause: error)
      default: throw LeaseError(.callFailed, path: directory.path, cause: error)
      }
    }
    let (status, bytes): (FileStatus, [UInt8])
    do throws(SystemCallError) {
      status = try file.status()
      // A read would wait for a FIFO's other end, and fails for a directory.
      bytes = status.kind == .regular ? try LeaseSession.content(of: file) : []
    } catch {
      // It was removed after it was opened.
      if error.number == .staleHandle { return nil }
      throw LeaseError(.callFailed, path: directory.path, cause: error)
    }
    switch LeaseRecord.read(bytes) {
    case .record(let record): return FoundClaim(record: record, status: status, file: file)
    case .newerVersion: throw LeaseError(.newerFormat, path: directory.path)
    case .unreadable: throw LeaseError(.foreignClaim, path: directory.path)
    }
  }

  private static func content(
    of file: borrowing OpenFile
  ) throws(SystemCallError) -> [UInt8] {
    try [UInt8](capacity: LeaseRecord.maximumSize) {
      (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
      try file.readAll(into: &buffer, at: 0)
    }
  }

  /// Judges a claim by the time of the record that was just touched: the clock of whoever stores both.
  private func judge(_ found: borrowing FoundClaim) throws(LeaseError) -> ClaimVerdict {
    let now = try calling { () throws(SystemCallError) in try file.status().modified }
    return ClaimVerdict(
      found.record, modified: found.status.modified, now: now,
      duration: lease.configuration.duration,
      isDead: found.record.owner.isDead(according: lease.facts))
  }

  // MARK: Taking over

  /// Removes a claim whose holder is gone.
  ///
  /// - Returns: `false` when somebody else is at it, or the claim has changed.
  private func takeOver(_ judged: LeaseRecord) throws(LeaseError) -> Bool {
    guard let door = try openGuard() else { return false }
    return try takeOver(judged, behind: door)
  }

  private func takeOver(
    _ judged: LeaseRecord, behind door: borrowing Guard
  ) throws(LeaseError) -> Bool {
    // Judged again: until the guard was ours, others could remove it and make a new one.
    try calling(touch)
    guard let found = try LeaseSession.readClaim(in: directory), found.record.nonce == judged.nonce
    else { return false }
    let verdict = try judge(found)
    guard verdict == .dead || verdict == .stale else { return false }
    let aside =
      LeaseSession.brokenPrefix + String(lease.fileSystem.backend.randomBits(), radix: 16)
    do throws(SystemCallError) {
      try directory.rename(LeaseSession.claim, to: aside)
    } catch {
      if error.number == .notFound { return false }
      throw LeaseError(.callFailed, path: lease.path, cause: error)
    }
    let owner = NetworkLease.Owner(found.record)
    // Under a guard that all respect this is always the judged one.
    guard
      let moved = try calling({ () throws(SystemCallError) in try directory.status(of: aside) }),
      moved.isSameFile(as: found.status)
    else {
      try? directory.link(aside, to: LeaseSession.claim)
      try? directory.unlink(aside)
      lease.tell(.disturbedLiveClaim)
      return false
    }
    try? directory.unlink(aside)
    lease.tell(verdict == .dead ? .brokeDeadClaim : .brokeStaleClaim, owner: owner)
    return true
  }

  /// The right to remove a claim, as long as it lives.
  struct Guard: ~Copyable {
    let file: OpenFile
    /// `false` where there are no locks and overlaps are allowed.
    let isLocked: Bool
  }

  /// - Returns: `nil` when another contender has it.
  func openGuard() throws(LeaseError) -> Guard? {
    // Never removed: a lock on a file without a name would exclude nobody.
    let file = try calling { () throws(SystemCallError) in
      try directory.open(
        LeaseSession.guardFile, [.read, .write, .create, .noFollow, .nonBlocking], mode: 0o666)
    }
    do throws(SystemCallError) {
      try file.lock(.exclusive)
      return Guard(file: file, isLocked: true)
    } catch {
      switch error.number {
      case .wouldBlock: return nil
      case .noLocks, .notSupported, .notImplemented, .invalidArgument, .badDescriptor:
        if lease.configuration.takeover == .mayOverlap {
          return Guard(file: file, isLocked: false)
        }
        throw LeaseError(.guardUnsupported, path: lease.path, cause: error)
      default: throw LeaseError(.callFailed, path: lease.path, cause: error)
      }
    }
  }
}

extension FileStatus {
  func isSameFile(as other: FileStatus) -> Bool {
    inode == other.inode && device == other.device
  }
}
