/// A dead-letter queue of bytes: what all of one have in common, whatever their payloads are.
///
/// The rules are in ``LetterMachine``, the bookkeeping of the log in ``LogLedger``; this applies what they say, writes
/// before it acts, and tells afterwards.
package final class LetterCore: Sendable {
  struct State {
    var machine: LetterMachine
    /// `nil` in memory.
    var ledger: LogLedger?
    /// Records of later versions, in the ledger's generation.
    var unknown: [AppendLog.Place] = []
    var counts = DeadLetterStatistics.Counts()
    var isClosed = false
    /// Why nothing can be written.
    var readOnlyReason: StoreError?
    var compaction: Task<AppendLog.Compaction?, any Error>?
    var upkeep: Task<Void, Never>?
    /// The size of the log below which no compaction is tried.
    var leastToCompact: Int64 = 0
    var alarm: RetentionAlarm?
  }

  /// What a log may have beyond twice its letters.
  static let slack: Int64 = 1 << 20

  let configuration: DeadLetterConfiguration
  let log: AppendLog?
  let fileSystem: FileSystem
  /// Held for life by the one who may write.
  private let ownership: LogOwnership?
  let clock: NanosecondClock
  let archive = Lock<Task<AppendLog, any Error>?>(nil)
  let state: Lock<State>

  var now: Int64 { clock.now }
  var moment: PersistedMoment { configuration.moments?() ?? .now }

  private init(
    _ configuration: DeadLetterConfiguration, log: AppendLog?, fileSystem: FileSystem,
    ownership: LogOwnership?, state: State
  ) {
    self.configuration = configuration
    self.log = log
    self.fileSystem = fileSystem
    self.ownership = ownership
    clock = NanosecondClock(configuration.clock)
    self.state = Lock(state)
  }

  /// A queue in memory.
  package convenience init(
    _ configuration: DeadLetterConfiguration, fileSystem: FileSystem = .real
  ) {
    requireValid(configuration.validate)
    var machine = LetterMachine(configuration.limits)
    // In an archive ids of several runs meet.
    if case .spill = configuration.overflow {
      let moment = configuration.moments?() ?? .now
      machine.loadNextID(UInt64(max(1, moment.wall / 1000)))
    }
    self.init(
      configuration, log: nil, fileSystem: fileSystem, ownership: nil,
      state: State(machine: machine))
  }

  /// Opens a queue on disk.
  package convenience nonisolated(nonsending) init(
    _ path: String, access: AppendLog.Access, configuration: DeadLetterConfiguration,
    fileSystem: FileSystem
  ) async throws {
    requireValid(configuration.validate)
    var ownership: LogOwnership?
    if access == .readWrite {
      ownership = try await LogOwnership(
        path, label: "dead letters", timeout: configuration.ownerTimeout, fileSystem: fileSystem)
    }
    var options = AppendLog.Options()
    options.access = access
    options.content = Self.content
    if let observer = configuration.observer {
      let name = configuration.name
      options.observer = { observer(DeadLetterEvent(kind: .log($0), queue: name)) }
    }
    let log = try await AppendLog(path, options: options, fileSystem: fileSystem)
    let reason = log.health.readOnlyReason
    if reason != nil { ownership = nil }
    var state = try await Self.load(log, configuration)
    state.readOnlyReason = reason
    if reason == nil {
      // What a crash of the program left unsynced is believed now, so it must stay.
      let receipt = try await log.append(contentsOf: EmptyCollection())
      state.ledger = LogLedger(receipt.end)
    }
    self.init(
      configuration, log: log, fileSystem: fileSystem, ownership: ownership, state: state)
    if reason == nil { startUpkeep() }
  }

  deinit {
    if let alarm = state.withLock({ $0.alarm }) { configuration.clock.cancel(alarm) }
  }

  static let content = AppendLog.Content("dead-letters", version: 1)

  // MARK: Rights

  /// Why nothing can be changed.
  func requireWritable() throws {
    let (isClosed, reason) = state.withLock { ($0.isClosed, $0.readOnlyReason) }
    if isClosed { throw DeadLetterError(.closed, queue: configuration.name) }
    if let reason { throw reason }
  }

  /// Tells the observer; outside locks.
  func tell(_ kind: DeadLetterEvent.Kind) {
    guard let observer = configuration.observer else { return }
    observer(DeadLetterEvent(kind: kind, queue: configuration.name))
  }

  /// Ends the work on the file and gives it up for another owner.
  nonisolated(nonsending) func close() async throws {
    let (tasks, alarm) = state.withLock { state in
      state.isClosed = true
      defer { state.alarm = nil }
      return ((state.upkeep, state.compaction), state.alarm)
    }
    if let alarm { configuration.clock.cancel(alarm) }
    await tasks.0?.value
    _ = try? await tasks.1?.value
    defer { ownership?.giveUp() }
    let log = state.withLock { $0.readOnlyReason == nil } ? log : nil
    let archive = archive.withLock { $0 }
    // Neither the caller's cancellation nor its deadline may come in between.
    try await Task.detached {
      try? await archive?.value.close()
      try await log?.close()
    }
    .value
  }
}

extension DeadLetterConfiguration {
  var limits: LetterMachine.Limits {
    var limits = LetterMachine.Limits()
    limits.capacity = capacity
    limits.maximumBytes = maximumBytes
    limits.makesRoom = overflow != .reject
    limits.alert = alert
    return limits
  }
}
