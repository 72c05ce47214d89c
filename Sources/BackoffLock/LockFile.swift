internal import ReliabilityIO

/// An open lock file and the steps by which one process takes the lock in it.
///
/// Exclusion rests on the main lock alone, whatever the strategy, so processes with different ones exclude each other.
/// The rest only decides who comes next.
///
/// Unchecked: the fields are used by one thread at a time, the one that was told by the state machine to take, probe or
/// give up the system's lock.
final class LockFile: @unchecked Sendable {
  /// How the system locks here.
  enum Mechanism: Hashable, Sendable {
    /// Ranges of bytes, owned by the open file (`F_OFD_SETLK`): Linux.
    case ranges
    /// Whole files (`flock`), with a second file as the gate: elsewhere.
    case files

    static var native: Mechanism {
      #if os(Linux)
        .ranges
      #else
        .files
      #endif
    }
  }

  /// Which file it is, whatever its names.
  struct Identity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
  }

  let path: String
  let identity: Identity
  let mechanism: Mechanism
  let isNetwork: Bool
  let file: OpenFile

  // What was last read from or written to the record, under the main lock.
  var known: Known?
  var ownTurn: Turn?
  var lastLooked: Duration?
  var trust: Trust?
  /// Who had it before, where there was time to look.
  var previousOwner: LockOwnerField?
  /// What this process last wrote about itself.
  var own: (label: String?, field: LockOwnerField)?
  private var gateFile: OpenFile?

  /// The record, and what is asked of it with every hold.
  struct Known {
    var record: LockRecord
    let epoch: UInt32
    let turn: UInt64
    let isSettled: Bool

    init(_ record: LockRecord) {
      self.record = record
      (epoch, turn) = (record.epoch, record.turn)
      isSettled = record.isSettled(for: LockProcess.current.bootIdentifier)
    }
  }

  /// When the file's metadata were last compared with those of its path, and what they were.
  struct Trust {
    var changed: Int64
    var checked: Duration
  }

  private init(
    _ file: consuming OpenFile, _ mechanism: Mechanism, _ identity: Identity, isNetwork: Bool
  ) {
    path = file.path
    self.file = file
    self.mechanism = mechanism
    self.identity = identity
    self.isNetwork = isNetwork
  }
}

extension LockFile {
  /// Opens a lock file, and makes it when there is none.
  ///
  /// It is never unlinked, and neither truncated nor written before the lock is held.
  ///
  /// - Parameter creating: Whether to make it when there is none.
  static func open(
    _ path: String, _ mechanism: Mechanism, _ fileSystem: FileSystem, creating: Bool = true
  ) throws -> LockFile {
    // Without waiting for a FIFO's other end, and without following a planted link.
    let flags: OpenFlags = [.read, .write, .noFollow, .nonBlocking]
    var attempts = 0
    while true {
      attempts += 1
      do {
        let file = try OpenFile(path, flags, fileSystem: fileSystem)
        let status = try file.status()
        guard status.kind == .regular else { throw LockError(.notRegularFile, path: path) }
        // Removed between the two calls: open the new one.
        if status.links == 0 && attempts < 10 { continue }
        try checkHeader(file)
        let isNetwork = try isNetwork(file)
        return LockFile(
          file, mechanism, Identity(device: status.device, inode: status.inode),
          isNetwork: isNetwork)
      } catch let error as SystemCallError {
        // Network file systems say so of a file that is just being made or replaced.
        let mayPass = error.number == .notFound && creating || error.number == .staleHandle
        if !mayPass || attempts >= 4 { throw error }
        if error.number == .notFound { try LockFileMaker(path, fileSystem).make() }
      }
    }
  }

  /// Refuses a file that is something else, and leaves it alone.
  private static func checkHeader(_ file: borrowing OpenFile) throws {
    let bytes = try [UInt8](capacity: LockRecord.size) {
      (buffer: inout OutputSpan<UInt8>) throws(SystemCallError) in
      try file.readAll(into: &buffer, at: LockRecord.headerOffset)
    }
    _ = try LockRecord(bytes)
  }

  private static func isNetwork(_ file: borrowing OpenFile) throws(SystemCallError) -> Bool {
    let (descriptor, path) = (file.descriptor, file.path)
    do throws(SystemCallError) {
      return try file.fileSystem.perform("fstatfs", path) { backend throws(ErrorNumber) in
        try backend.kind(of: descriptor).isNetwork
      }
    } catch {
      if error.number == .notImplemented || error.number == .notSupported { return false }
      throw error
    }
  }
}

// MARK: - Single locks

/// One of the locks that a lock file holds.
enum LockByte: Hashable {
  /// The lock itself.
  case main
  /// Held for a moment by whoever takes a place in the queue; with the gate strategy by the next in line.
  case gate
  /// Held shared by all who wait for the main lock without a place.
  case waiting
  /// A place in the queue, held until its owner lets the one behind it come.
  case place(UInt64)

  /// Far beyond the contents, where no program that reads the file runs into a lock.
  var offset: Int64 {
    switch self {
    case .main: 1 << 32
    case .gate: 1 << 32 + 1
    case .waiting: 1 << 32 + 2
    case .place(let number): 1 << 40 + Int64(number & (1 << 60 - 1))
    }
  }
}

extension LockFile {
  /// - Returns: Whether it was taken; with `waits` it always is.
  func take(
    _ byte: LockByte, _ operation: LockOperation, waits: Bool
  ) throws(SystemCallError) -> Bool {
    do throws(SystemCallError) {
      switch mechanism {
      case .ranges:
        try file.lockRange(byte.offset..<(byte.offset + 1), operation, waits: waits)
      case .files:
        switch byte {
        case .main: try Self.lock(file, operation, waits: waits)
        case .gate: try lockGate(operation, waits: waits)
        case .waiting, .place: return true
        }
      }
      return true
    } catch {
      // POSIX allows both for a lock that is taken.
      if error.number == .wouldBlock || error.number == .permissionDenied && !waits { return false }
      throw error
    }
  }

  func giveBack(_ byte: LockByte) throws {
    _ = try take(byte, .unlock, waits: false)
  }

  /// Gives up whatever this process holds of the file, as far as the system lets it.
  func giveUpEverything() {
    switch mechanism {
    case .ranges:
      try? unlock(from: .main)
    case .files:
      try? lockGate(.unlock, waits: false)
      try? Self.lock(file, .unlock, waits: false)
    }
  }

  /// Lets the one behind come to the main lock.
  func givePlacesBack() throws(SystemCallError) { try unlock(from: .place(0)) }

  /// Gives up one lock and all that come after it in the file, in one call.
  func unlock(from first: LockByte) throws(SystemCallError) {
    try file.lockRange(first.offset..<Int64.max, .unlock, waits: false)
  }

  /// Whether another process waits for the lock, or keeps its place in the queue while it holds it.
  func isAwaited() throws -> Bool {
    switch mechanism {
    case .ranges:
      return try file.isRangeLocked(LockByte.gate.offset..<Int64.max, against: .exclusive)
    case .files:
      guard try take(.gate, .exclusive, waits: false) else { return true }
      try giveBack(.gate)
      return false
    }
  }

  /// Whether another process holds the lock alone.
  func isHeldAlone() throws -> Bool {
    switch mechanism {
    case .ranges:
      let main = LockByte.main.offset
      return try file.isRangeLocked(main..<(main + 1), against: .shared)
    case .files:
      // To try it would be to take it.
      return true
    }
  }

  private static func lock(
    _ file: borrowing OpenFile, _ operation: LockOperation, waits: Bool
  ) throws(SystemCallError) {
    if waits { try file.lockWaiting(operation) } else { try file.lock(operation) }
  }

  private func lockGate(_ operation: LockOperation, waits: Bool) throws(SystemCallError) {
    if gateFile == nil {
      if operation == .unlock { return }
      gateFile = try OpenFile(
        path + ".gate", [.read, .write, .create, .noFollow, .nonBlocking], mode: 0o666,
        fileSystem: file.fileSystem)
    }
    try withGate { (gate) throws(SystemCallError) in
      try Self.lock(gate, operation, waits: waits)
    }
  }

  private func withGate(
    _ body: (borrowing OpenFile) throws(SystemCallError) -> Void
  ) throws(SystemCallError) {
    guard let gate = gateFile.take() else { return }
    do throws(SystemCallError) {
      try body(gate)
      gateFile = consume gate
    } catch {
      gateFile = consume gate
      throw error
    }
  }
}
