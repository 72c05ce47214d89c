internal import ReliabilityIO

extension StorageReport {
  /// A promise of this package that depends on the file system.
  public enum Subject: String, Hashable, Sendable, CaseIterable {
    /// Readers see the old file or the new one, at every instant.
    case atomicSave
    /// ``Durability/ordered``: after a power cut the file is old or new, whole.
    case orderedSave
    /// ``Durability/full``: after a power cut the save is still there.
    case durableSave
    /// ``AtomicFile/Options/createOnly`` never overwrites.
    case createOnly
    /// Appending to a log from several processes, synced.
    case appendLog
    /// Changing several files, all or none.
    case fileTransaction
    /// The lock that keeps processes apart.
    case exclusiveLock
    /// ``OrphanSweeper`` knows a dead writer from a live one.
    case orphanProof
    /// A lock by lease, for places without locks.
    case networkLease
    /// Attributes of a replaced file are kept, and checksums can be stored beside the content.
    case attributes
  }

  /// Whether a promise is kept here.
  public enum Verdict: String, Hashable, Sendable {
    /// It is kept.
    case holds
    /// It is kept with the restriction that the reason names.
    case limited
    /// It is not kept: the operation throws, or its outcome says what is missing.
    case missing
    /// Too little could be tested.
    case unknown
  }

  /// One promise, whether it is kept here, and why.
  public struct Guarantee: Hashable, Sendable, CustomStringConvertible {
    /// The promise.
    public let subject: Subject
    /// Whether it is kept.
    public let verdict: Verdict
    /// Why, in one sentence.
    public let reason: String

    /// The three in one line.
    public var description: String { "\(subject.rawValue) \(verdict.rawValue): \(reason)" }
  }

  /// Whether a promise is kept in this directory, and why.
  public func guarantee(_ subject: Subject) -> Guarantee {
    let (verdict, reason) = judge(subject)
    return Guarantee(subject: subject, verdict: verdict, reason: reason)
  }

  private func judge(_ subject: Subject) -> (Verdict, String) {
    switch subject {
    case .atomicSave: all([.createFiles, .renameOver], "a new file takes the name in one step")
    case .orderedSave:
      all([.createFiles, .renameOver, .fileSync], "the content is synced before it takes the name")
    case .durableSave: durableSave
    case .createOnly: createOnly
    case .appendLog: appendLog
    case .fileTransaction: fileTransaction
    case .exclusiveLock: exclusiveLock
    case .orphanProof: orphanProof
    case .networkLease: networkLease
    case .attributes:
      all([.createFiles, .attributes], "`user.` attributes are stored with the file")
    }
  }

  /// Holds when every feature does.
  private func all(_ features: [Feature], _ reason: String) -> (Verdict, String) {
    obstacle(features) ?? (.holds, "\(reason).")
  }

  /// The first feature that doesn't work, and what that means.
  private func obstacle(_ features: [Feature]) -> (Verdict, String)? {
    for feature in features {
      let finding = finding(feature)
      switch finding {
      case .supported: continue
      case .unsupported, .ineffective: return (.missing, "\(feature.rawValue) is \(finding).")
      case .failed: return (.unknown, "\(feature.rawValue) \(finding).")
      case .untested: return (.unknown, "\(feature.rawValue) was \(finding).")
      }
    }
    return nil
  }

  private var durableSave: (Verdict, String) {
    if let obstacle = obstacle([.createFiles, .renameOver, .fileSync]) { return obstacle }
    if case .unsupported = finding(.directorySync) {
      return (
        .limited,
        "the directory can't be synced, so outcomes say \"published, not durable\": whether a new name survives a power cut is up to the file system."
      )
    }
    return all([.directorySync], "the file and then the directory are synced")
  }

  private var createOnly: (Verdict, String) {
    if let obstacle = obstacle([.createFiles]) { return obstacle }
    if supports(.renameNoReplace) { return (.holds, "the rename itself refuses to replace.") }
    return all([.hardLinks], "a second name is made, which refuses to replace")
  }

  private var appendLog: (Verdict, String) {
    if let obstacle = obstacle([.createFiles, .fileSync]) { return obstacle }
    let lock = exclusiveLock
    guard lock.0 == .holds else {
      return (lock.0 == .unknown ? .unknown : .limited, "one process only: \(lock.1)")
    }
    return durableNames("each record is synced under the lock")
  }

  private var fileTransaction: (Verdict, String) {
    if let obstacle = obstacle([.createFiles, .fileSync, .renameOver]) { return obstacle }
    let lock = exclusiveLock
    if lock.0 != .holds { return (lock.0, "it needs the lock: \(lock.1)") }
    return durableNames("the journal is synced before the files are touched")
  }

  /// Holds, except that a new name may be lost where the directory can't be synced.
  private func durableNames(_ reason: String) -> (Verdict, String) {
    if supports(.directorySync) { return (.holds, "\(reason).") }
    return (
      .limited,
      "\(reason), but a newly made file may be lost in a power cut: directorySync is \(finding(.directorySync))."
    )
  }

  private var exclusiveLock: (Verdict, String) {
    let queue = supports(.rangeLock)
    guard queue || supports(.wholeFileLock) else {
      // What is said of the one that every platform has.
      return obstacle([.createFiles, .wholeFileLock]) ?? (.missing, "there are no locks.")
    }
    let order =
      queue ? "processes queue in order of arrival" : "processes queue, in no strict order"
    if isNetwork == true {
      return (
        .limited,
        "\(order), but on a network file system locks may be local to this machine (`nolock`, `local_lock`) and can hang with the server; use a lease, or test from two machines."
      )
    }
    return (.holds, "\(order), and the kernel frees the lock of a process that dies.")
  }

  private var orphanProof: (Verdict, String) {
    if let obstacle = obstacle([.createFiles]) { return obstacle }
    guard supports(.wholeFileLock) else {
      return (
        .limited, "wholeFileLock is \(finding(.wholeFileLock)): orphans go by age, after a day."
      )
    }
    if isNetwork != false {
      return (
        .limited, "locks may not reach writers on other machines: orphans go by age, after a day."
      )
    }
    return (.holds, "the lock of a writer that dies is freed by the kernel.")
  }

  private var networkLease: (Verdict, String) {
    if let obstacle = obstacle([.createFiles, .hardLinks, .renameOver]) { return obstacle }
    guard supports(.wholeFileLock) else {
      return (
        .limited,
        "wholeFileLock is \(finding(.wholeFileLock)): two contenders may take over a dead holder's lease at once, so what is guarded must check the fencing token."
      )
    }
    return (.holds, "a claim is made by a hard link, and a takeover is guarded by a lock.")
  }
}
