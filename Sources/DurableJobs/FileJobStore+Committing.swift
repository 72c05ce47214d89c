internal import AtomicStore
internal import ReliabilityCore

extension FileJobStore {
  /// Why nothing can be changed.
  func requireWritable() throws {
    try state.withLock { try $0.requireWritable(path) }
  }

  /// Applies a change, and returns when it is written.
  ///
  /// Changes are applied and put into their order in one step, so the file tells them in the order in which they happened. The first
  /// to come writes for all who wait. What can't be written is taken back, together with everything that came after it and may build on it;
  /// all of them fail with the same error.
  ///
  /// Not to be cancelled: what has happened must not be lost because nobody is interested any more.
  nonisolated(nonsending) func change<Answer: Sendable>(
    _ body: @Sendable (inout State, JobTable.Time) throws -> JobChange<Answer>
  ) async throws -> Answer {
    if let outage = state.withLock({ $0.outage }) { try await end(outage) }
    let now = now
    var result: Result<Answer, any Error>?
    let turn = unsafe await withUnsafeContinuation { continuation in
      let waiter = unsafe CommitWaiter(continuation)
      let turn: CommitWaiter.Turn? = state.withLock { state in
        do {
          try state.requireWritable(path)
          let change = try body(&state, now)
          result = .success(change.answer)
          return state.take(change, waiter, durability: options.durability)
        } catch {
          result = .failure(error)
          return .written
        }
      }
      if let turn { waiter.resume(turn) }
    }
    switch turn {
    case .written: break
    case .failed(let error): throw error
    case .lead: try await lead()
    }
    return try result!.get()
  }

  /// How long one caller goes on to write for others before it passes the turn on.
  private static let longestTurn = Duration.milliseconds(4)

  /// Writes what waits, round after round, and passes the turn on.
  ///
  /// To wake somebody else for each round would leave the disk idle meanwhile. Never on the caller's actor: one that is busy must
  /// not hold up everybody who waits.
  ///
  /// - Throws: Why the first round, which has the caller's own change, was not written.
  @concurrent private func lead() async throws {
    let start = ContinuousClock.now
    var isFirst = true
    while true {
      let began = ContinuousClock.now
      // The wall clock may be a user's: not to be asked with the lock.
      let (now, moment) = (now, moments())
      let (records, durability) = state.withLock { state in
        if let told = state.toldAt.take() { state.gathering = began - told }
        return state.begin(now: now, moment: moment)
      }
      let end: AppendLog.Position?
      do {
        end = try await write(records, durability)
      } catch {
        await fail(error)
        if isFirst { throw error }
        return
      }
      isFirst = false
      let written = ContinuousClock.now
      let mayGoOn = written - start < Self.longestTurn
      let (finished, gathers) = state.withLock { state in
        (
          state.finish(end, mayGoOn: mayGoOn),
          state.mayGather(writing: written - began, at: written)
        )
      }
      if let plan = finished.plan, let end { startCompaction(plan, upTo: end) }
      if !gathers { finished.next?.resume(.lead) }
      for waiter in finished.waiters { waiter.resume(.written) }
      // Behind those who were just told: they come back with their next change, as a rule, before its turn.
      if gathers { finished.next?.resume(.lead) }
      if !finished.goesOn { return }
      if gathers { await Task.yield() }
    }
  }

  /// - Returns: Where the file ends with them; `nil` when there was nothing to write.
  private nonisolated(nonsending) func write(
    _ records: [[UInt8]]?, _ durability: Durability
  ) async throws -> AppendLog.Position? {
    guard let records else { return nil }
    let log = log
    // Written for others too: neither the caller's cancellation nor its deadline may come in between.
    if Task.isCancelled || Deadline.current != nil {
      return try await Task.detached {
        try await log.append(contentsOf: records, durability: durability).end
      }
      .value
    }
    do {
      return try await log.append(contentsOf: records, durability: durability).end
    } catch is CancellationError {
      // Nothing was written.
      return try await Task.detached {
        try await log.append(contentsOf: records, durability: durability).end
      }
      .value
    }
  }

  /// Takes back what could not be written, and what came after it.
  private nonisolated(nonsending) func fail(_ error: any Error) async {
    let outage = (error as? StoreError).flatMap { $0.code == .appendUncertain ? $0 : nil }
    let waiters = state.withLock { $0.fail(outage) }
    if let outage { try? await end(outage) }
    for waiter in waiters { waiter.resume(.failed(error)) }
  }

  /// Reads what is on the disk, after a failure that left it unknown.
  ///
  /// - Throws: That failure, when it can't be read or made safe now either, or somebody else is reading.
  private nonisolated(nonsending) func end(_ outage: StoreError) async throws {
    let isMine = state.withLock { state in
      if state.outage == nil || state.isReading { return false }
      state.isReading = true
      return true
    }
    guard isMine else {
      if state.withLock({ $0.outage == nil }) { return }
      throw outage
    }
    do {
      try await Task.detached { [self] in
        // Heals the end of the file, and makes what is believed from now on durable.
        let end = try await log.append(contentsOf: EmptyCollection()).end
        let running = state.withLock { $0.running }
        let replay = try await Self.load(
          log, options, clock: clock, moments: moments, running: running)
        state.withLock { $0.goOn(with: replay, end: end) }
      }
      .value
    } catch {
      state.withLock { $0.isReading = false }
      throw outage
    }
  }

  /// Reads a file.
  static nonisolated(nonsending) func load(
    _ log: AppendLog, _ options: Options, clock: NanosecondClock,
    moments: @Sendable () -> PersistedMoment, isReading: Bool = false,
    running: [UInt64: (token: UInt64, leaseEnd: Int64, attempts: Int)] = [:]
  ) async throws -> JobReplay {
    let moment = moments()
    let now = JobTable.Time(monotonic: clock.now, wall: moment.wall)
    var replay = JobReplay(options.limits.rules, now: now, moment: moment)
    for try await record in log.records() { replay.take(record.payload) }
    return replay.finished(running: running, isReading: isReading)
  }
}

extension FileJobStore.State {
  func requireWritable(_ path: String) throws(StoreError) {
    if isClosed { throw StoreError(.closed, path: path) }
    if let readOnlyReason { throw readOnlyReason }
    if let outage { throw outage }
  }

  /// Takes in what is to be written, and who waits for it.
  ///
  /// - Returns: What to do at once; `nil` when the waiter is told later.
  mutating func take<Answer>(
    _ change: JobChange<Answer>, _ waiter: CommitWaiter, durability: Durability
  ) -> CommitWaiter.Turn? {
    // Without a record of its own it may still tell of changes that aren't written yet.
    if change.records.isEmpty && !change.wantsSnapshot {
      if !change.waits { return .written }
      if !hasLeader {
        // Such as a claim that isn't recorded.
        table.history = []
        return .written
      }
    }
    if change.wantsSnapshot { waiting.wantsSnapshot = true }
    waiting.records += change.records
    waiting.settled += change.settled
    if !change.records.isEmpty {
      waiting.durability = waiting.durability.stronger(change.durability ?? durability)
    }
    if hasLeader {
      waiting.waiters.append(waiter)
      return nil
    }
    hasLeader = true
    return .lead
  }

  /// Takes what waits, to write it.
  ///
  /// - Returns: The records; `nil` when there is nothing to do with the file.
  mutating func begin(
    now: JobTable.Time, moment: PersistedMoment
  ) -> (records: [[UInt8]]?, durability: Durability) {
    var commit = waiting
    waiting = JobCommit()
    commit.history = table.history ?? []
    table.history = []
    if commit.wantsSnapshot { commit.snapshot = plan(now: now, moment: moment) }
    let (records, durability) = (commit.records, commit.durability)
    commit.records = []
    underWay = commit
    if records.isEmpty && commit.snapshot == nil { return (nil, .none) }
    return (records, records.isEmpty ? .full : durability)
  }

  /// Whether those who are told now are to come back with their next change before the next round begins.
  ///
  /// Then one sync serves all of them instead of every second one half of them. Not if it took longer the last time than
  /// the sync that it saves.
  mutating func mayGather(writing: Duration, at now: ContinuousClock.Instant) -> Bool {
    guard gathering <= writing else {
      gathering /= 2
      return false
    }
    toldAt = now
    return true
  }

  /// What follows when a round is written.
  struct Finished {
    /// Those whose changes were in it.
    var waiters: [CommitWaiter]
    /// Who leads from now on.
    var next: CommitWaiter?
    /// Whether the same one leads another round.
    var goesOn = false
    var plan: JobSnapshotPlan?
  }

  /// What was under way is written.
  mutating func finish(_ end: AppendLog.Position?, mayGoOn: Bool) -> Finished {
    let commit = underWay
    underWay = nil
    if let end { self.end = end }
    // The one that was just taken is yet to be started.
    if compaction == nil, commit?.snapshot == nil, let size = self.end?.offset,
      size > compactionSize
    {
      waiting.wantsSnapshot = true
    }
    var finished = Finished(waiters: commit?.waiters ?? [], plan: commit?.snapshot)
    if waiting.waiters.isEmpty {
      hasLeader = false
    } else if mayGoOn {
      finished.goesOn = true
    } else {
      finished.next = waiting.waiters.removeFirst()
    }
    return finished
  }

  /// What was under way is not written: takes it back, and all that came after it.
  mutating func fail(_ outage: StoreError?) -> [CommitWaiter] {
    let commit = underWay
    underWay = nil
    table.undo((commit?.history ?? []) + (table.history ?? []))
    table.history = []
    let later = waiting
    waiting = JobCommit()
    waiting.wantsSnapshot = later.wantsSnapshot || commit?.wantsSnapshot == true
    hasLeader = false
    // It may have been among what was not written; the next claim says it again.
    tokensReserved = 0
    if let outage {
      self.outage = outage
      uncertain.formUnion(commit?.settled ?? [])
    }
    return (commit?.waiters ?? []) + later.waiters
  }

  /// The jobs that workers of this process have.
  var running: [UInt64: (token: UInt64, leaseEnd: Int64, attempts: Int)] {
    var running: [UInt64: (token: UInt64, leaseEnd: Int64, attempts: Int)] = [:]
    for (id, entry) in table.entries where entry.record.state == .running {
      running[id] = (entry.token, entry.leaseEnd, entry.record.attempts)
    }
    return running
  }

  /// What was read is what there is.
  mutating func goOn(with replay: JobReplay, end: AppendLog.Position) {
    let (nextID, nextToken) = (table.nextID, table.nextToken)
    table = replay.table
    table.history = []
    table.nextID = max(table.nextID, nextID)
    table.nextToken = max(table.nextToken, nextToken)
    unknown = replay.unknown
    unknownMembers = replay.unknownMembers
    strayChanges = replay.strayChanges
    // Those that are still to be settled were not stored.
    uncertain = uncertain.filter { lease in
      guard let entry = table.entries[lease.id.rawValue] else { return true }
      return entry.record.state != .running || entry.token != lease.token
    }
    self.end = end
    outage = nil
    isReading = false
  }
}

extension Durability {
  /// The one of the two that promises more.
  func stronger(_ other: Durability) -> Durability {
    if self == .full || other == .full { return .full }
    return self == .ordered || other == .ordered ? .ordered : .none
  }
}
