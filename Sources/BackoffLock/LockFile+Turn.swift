internal import ReliabilityIO

/// What is written under the main lock: whose turn it is, and who that is.
extension LockFile {
  /// Where the last place in the queue is kept: written behind the gate, not under the main lock.
  static let placeOffset: Int64 = 2048

  /// How long a change of a file may go without showing in its time of change, which the kernel takes from a coarse
  /// clock.
  private static let coarseTime: Int64 = 20_000_000
  /// How long the path is trusted to lead to the file while the file's metadata stay the same.
  private static let trustTime = Duration.seconds(1)

  /// Looks whether the path still leads here, and takes the next turn.
  ///
  /// - Returns: `nil` when the file must be synced first, and this thread must not wait for a disk.
  func takeTurn(_ attempt: Attempt, mayBlock: Bool, now: Duration) throws -> Turn? {
    if try !isUntouched(now) {
      known = nil
      try checkPath(attempt.strategy, now)
    }
    // Who has waited reads the owner with the record, in the same call.
    let wasAway = known == nil && mayBlock
    let known = try known ?? Known(wasAway ? readTurnAndOwner() : readTurn())
    self.known = known

    // Numbers begin anew with every epoch: the number alone could be another's.
    let isOwnTurn =
      known.isSettled && ownTurn == Turn(epoch: known.epoch, number: known.turn)
    if attempt.mode == .shared {
      // Readers write nothing: several may be in here at once.
      let epoch = try known.isSettled ? known.epoch : lastEpoch() + 1
      return Turn(epoch: epoch, number: known.turn, continues: isOwnTurn)
    }
    if isOwnTurn && attempt.continuing {
      // Only readers can have had it since, and they leave no name.
      previousOwner = nil
      try refreshTime(now)
      return Turn(epoch: known.epoch, number: known.turn, continues: true)
    }
    var record = known.record
    if !known.isSettled {
      guard mayBlock else { return nil }
      record = try beginEpoch(above: 0, LockProcess.current.bootIdentifier)
    }
    record.turn += 1
    record.since = .now
    try write(record, label: attempt.label, now: now)
    return Turn(epoch: record.epoch, number: record.turn)
  }

  /// Makes the next token higher than one that is known from elsewhere, under the main lock, and durable.
  func raise(above token: FencingToken, label: String?, now: Duration) throws -> Turn {
    var record = try readTurn()
    if record.epoch < token.epoch {
      record = try beginEpoch(above: token.epoch, LockProcess.current.bootIdentifier)
    } else if record.epoch == token.epoch {
      record.turn = max(record.turn, token.turn >> 16)
    }
    record.turn += 1
    record.since = .now
    try write(record, label: label, now: now)
    try file.sync(.full)
    return Turn(epoch: record.epoch, number: record.turn)
  }

  /// Who wrote the owner's line last; `nil` when nobody did or it is being written.
  func owner() throws -> LockOwner? {
    let bytes = try read(at: LockRecord.turnOffset, count: LockRecord.size + LockOwnerField.size)
    guard bytes.count > LockRecord.size,
      let record = try? LockRecord(Array(bytes[..<LockRecord.size]))
    else { return nil }
    return LockOwnerField(bytes[LockRecord.size...], since: record.since).owner
  }

  /// The turn as it was last written; that of a new file when a power cut tore it.
  private func readTurn() throws -> LockRecord {
    let bytes = try read(at: LockRecord.turnOffset, count: LockRecord.size)
    return (try? LockRecord(bytes)) ?? LockRecord()
  }

  private func readTurnAndOwner() throws -> LockRecord {
    let bytes = try read(at: LockRecord.turnOffset, count: LockRecord.size + LockOwnerField.size)
    let record = (try? LockRecord(Array(bytes.prefix(LockRecord.size)))) ?? LockRecord()
    previousOwner =
      record.turn > 0
      ? LockOwnerField(bytes.dropFirst(LockRecord.size), since: record.since) : nil
    return record
  }
}

// MARK: - The path

extension LockFile {
  /// Whether the file's own metadata prove that neither it nor its name has changed since the last look: one call
  /// instead of two, and the cheaper one.
  ///
  /// A write, a rename, a link and an unlink of the file all set its time of change on the local file systems of Linux.
  /// The time is trusted only once it lies so far back that a later change can't carry the same. What it does not show is
  /// that a directory above was moved away, so the path is looked up again every second.
  private func isUntouched(_ now: Duration) throws -> Bool {
    guard let trust, now - trust.checked < Self.trustTime else { return false }
    let status = try file.status()
    return status.links > 0 && status.changed == trust.changed
  }

  private func checkPath(_ strategy: LockStrategy, _ now: Duration) throws {
    trust = nil
    guard let status = try pathStatus() else { throw Replaced() }
    guard Identity(device: status.device, inode: status.inode) == identity else {
      throw Replaced()
    }
    let mayTrust =
      (strategy == .plain || strategy == .queue) && !isNetwork
      && file.fileSystem.backend is RealFileSystem
    let age = WallTime.now.nanosecondsSince1970 - status.changed
    if mayTrust && age > Self.coarseTime { trust = Trust(changed: status.changed, checked: now) }
  }
}

extension LockFile {
  /// What is at the path, `nil` when nothing is.
  private func pathStatus() throws(SystemCallError) -> FileStatus? {
    do throws(SystemCallError) {
      return try file.fileSystem.perform("fstatat", path) { backend throws(ErrorNumber) in
        try backend.status(of: path, in: nil, followingLink: false)
      }
    } catch {
      if error.number == .notFound || error.number == .staleHandle { return nil }
      throw error
    }
  }
}

// MARK: - Writing

extension LockFile {
  /// Notes that the machine was started anew, durably: the turn itself is not synced, so that after a power cut it may
  /// fall back, and the epoch must make up for it.
  ///
  /// - Parameter known: An epoch known from elsewhere, which the new one must exceed.
  /// - Returns: The record of the epoch, in which nobody has had a turn.
  private func beginEpoch(above known: UInt32, _ boot: [UInt8]) throws -> LockRecord {
    if try read(at: LockRecord.headerOffset, count: LockRecord.size).allSatisfy({ $0 == 0 }) {
      // Somebody made the file empty.
      try file.writeAll(LockRecord().encoded.span, at: LockRecord.headerOffset)
    }
    let slots = try epochs()
    let older = slots[0].epoch <= slots[1].epoch ? 0 : 1
    var record = LockRecord()
    record.epoch = max(slots[0].epoch, slots[1].epoch, known) + 1
    record.bootIdentifier = boot
    do {
      try file.writeAll(record.encoded.span, at: LockRecord.epochOffsets[older])
      try file.sync(.full)
    } catch {
      // What could not be synced must not look as if it had been: the next one would then write over the good epoch.
      try? file.writeAll(slots[older].encoded.span, at: LockRecord.epochOffsets[older])
      throw error
    }
    let end = path.lastIndex(of: "/")
    let directory = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    try syncDirectory(directory)
    record.isDurable = true
    return record
  }

  /// Both epochs; one that a power cut tore is that of a new file.
  private func epochs() throws -> [LockRecord] {
    try LockRecord.epochOffsets.map { offset in
      let bytes = try read(at: offset, count: LockRecord.size)
      return (try? LockRecord(bytes)) ?? LockRecord()
    }
  }

  private func lastEpoch() throws -> UInt32 {
    try epochs().map(\.epoch).max() ?? 0
  }

  /// The file's name must survive as well, or the next start of the machine would begin at the first epoch again.
  private func syncDirectory(_ path: String) throws {
    do throws(SystemCallError) {
      try OpenDirectory(path, fileSystem: file.fileSystem).sync()
    } catch {
      // This file system has no such call, or the directory may not be read.
      let unable: [ErrorNumber] = [.invalidArgument, .notSupported, .badDescriptor]
      if !unable.contains(error.number) { throw error }
    }
  }

  /// Record and owner in one write.
  private func write(_ record: LockRecord, label: String?, now: Duration) throws {
    let bytes = record.encoded + ownField(label).bytes
    known = nil
    ownTurn = nil
    trust = nil
    try file.writeAll(bytes.span, at: LockRecord.turnOffset)
    known = Known(record)
    ownTurn = Turn(epoch: record.epoch, number: record.turn)
    lastLooked = now
  }

  /// What this process writes about itself, which changes only with the label.
  private func ownField(_ label: String?) -> LockOwnerField {
    if let own, own.label == label { return own.field }
    let process = LockProcess.current
    let field = LockOwnerField(
      LockOwner(
        processIdentifier: file.fileSystem.backend.processIdentifier,
        processStart: process.startTime, processNamespace: process.processNamespace,
        host: process.host, program: process.name, label: label, since: .now))
    own = (label, field)
    return field
  }

  /// Says that the present hold began now, at most once a second: a write would double the cost of a lock that nobody
  /// contends for, and people are shown whole seconds.
  private func refreshTime(_ now: Duration) throws {
    guard let lastLooked, now - lastLooked >= .seconds(1), var record = known?.record
    else { return }
    record.since = .now
    trust = nil
    known = nil
    try file.writeAll(record.encoded.span, at: LockRecord.turnOffset)
    known = Known(record)
    self.lastLooked = now
  }
}
