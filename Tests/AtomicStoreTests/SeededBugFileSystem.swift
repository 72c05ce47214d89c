import ReliabilityIO

@testable import AtomicStore

/// A disk that is in order, under a store that has a bug: what the store would have done instead is done here.
final class SeededBugFileSystem: FaultyFileSystem, @unchecked Sendable {
  enum Bug: CaseIterable, Sendable {
    /// A commit returns without its record being synced.
    case acknowledgesBeforeTheSync
    /// The files are changed first, and the record is synced then.
    case appliesBeforeTheCommit
    /// Where a recovery should write appended bytes again, it cuts the file off.
    case truncatesInsteadOfRedoing
    /// New and changed names are not synced before the journal forgets them.
    case leavesDirectoriesUnsynced
    /// A replacement gets its name before its content is on the medium.
    case renamesBeforeTheSync
    /// Appended bytes are not synced before the journal forgets them.
    case leavesAppendsUnsynced
    /// A sync that has failed is tried again.
    case repeatsAFailedSync
  }

  private struct Opened {
    var names: [Int32: String] = [:]
    var unsyncedJournal: Descriptor?
  }

  private let bug: Bug
  private let opened = Lock(Opened())

  init(_ bug: Bug, over disk: FileSystem) {
    self.bug = bug
    super.init(over: disk.backend)
  }

  private enum Role { case journal, directory, temporary, file }

  private func role(of file: Descriptor) -> Role {
    switch opened.withLock({ $0.names[file.rawValue] }) {
    case nil: .directory
    case JournalName.journal?, JournalName.newJournal?: .journal
    case let name?: name.hasSuffix(TemporaryName.suffix) ? .temporary : .file
    }
  }

  override func open(
    _ name: String, in directory: Descriptor?, _ flags: OpenFlags, mode: FileMode
  ) throws(ErrorNumber) -> Descriptor {
    let file = try super.open(name, in: directory, flags, mode: mode)
    opened.withLock { $0.names[file.rawValue] = flags.contains(.directory) ? nil : name }
    return file
  }

  override func sync(_ file: Descriptor, _ kind: SyncKind) throws(ErrorNumber) {
    let role = role(of: file)
    switch bug {
    case .acknowledgesBeforeTheSync where role == .journal && kind == .data: return
    case .appliesBeforeTheCommit where role == .journal && kind == .data:
      opened.withLock { $0.unsyncedJournal = file }
      return
    case .leavesDirectoriesUnsynced where role == .directory: return
    case .renamesBeforeTheSync where role == .temporary: return
    case .leavesAppendsUnsynced where role == .file: return
    case .repeatsAFailedSync:
      do throws(ErrorNumber) { try super.sync(file, kind) } catch { try super.sync(file, kind) }
    default: try super.sync(file, kind)
    }
  }

  override func write(
    _ file: Descriptor, _ bytes: Span<UInt8>, at offset: Int64?
  ) throws(ErrorNumber) -> Int {
    let role = role(of: file)
    // The next write to the journal comes when everything is applied.
    if role == .journal, let journal = opened.withLock({ $0.unsyncedJournal.take() }) {
      try super.sync(journal, .data)
    }
    if bug == .truncatesInsteadOfRedoing, role == .file, let offset {
      try super.truncate(file, to: offset)
      return bytes.count
    }
    return try super.write(file, bytes, at: offset)
  }
}
