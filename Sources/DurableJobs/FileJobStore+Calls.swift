internal import AtomicStore
internal import ReliabilityCore

// What a queue asks of its store.

extension FileJobStore {
  /// Puts jobs in, all or none, also across a crash.
  ///
  /// - Throws: ``QueueFullError``; `StoreError`, with `outOfSpace` when the disk is full and `recordTooLarge` when their payloads
  ///   together have more than 256 MiB.
  public func insert(_ jobs: [JobSubmission]) async throws -> [JobInsertion] {
    let moment = moments()
    let tails = jobs.map { JobLine.jobTail($0, at: moment) }
    if tails.reduce(0, { $0 + $1.count + 48 }) > Self.longestRecord {
      throw StoreError(.recordTooLarge, path: path)
    }
    return try await change { state, now in
      let made = try state.table.insert(jobs, now: now)
      var records: [[UInt8]] = []
      records.reserveCapacity(made.count)
      for (insertion, tail) in zip(made, tails) where !insertion.isDuplicate {
        records.append(JobLine.job(insertion.id, tail))
      }
      return JobChange(made, record: records.isEmpty ? nil : JobLine.all(records))
    }
  }

  /// Takes jobs for a worker; their crash counts are safe as ``Options/claimRecord`` says.
  public func claim(_ request: JobClaimRequest) async throws -> JobClaim {
    let kept = options.claimRecord
    return try await change { state, now in
      let claimed = state.claim(request, now: now, kept)
      var change = JobChange(JobClaim(claimed.batch), record: claimed.record)
      change.waits = !claimed.batch.jobs.isEmpty
      change.durability = claimed.durability
      if let tokens = claimed.tokens { change.records.append(tokens) }
      return change
    }
  }

  /// Makes leases longer; writes nothing, because a lease means something only as long as the owner lives.
  public func renew(_ leases: [JobLease], for duration: Duration) async throws -> [JobLease] {
    let now = now
    return try state.withLock { state in
      // Also while the disk fails: what runs is not lost by that.
      if state.outage == nil { try state.requireWritable(path) }
      return state.table.renew(leases, for: duration, now: now)
    }
  }

  /// Says what became of claimed jobs, all or none.
  public func settle(_ settlements: [JobSettlement]) async throws -> [Bool] {
    let moment = moments()
    return try await change { state, now in
      let settled = state.settle(settlements, now: now, at: moment)
      var change = JobChange(
        settled.accepted, record: settled.records.isEmpty ? nil : JobLine.all(settled.records))
      change.settled = settled.leases
      return change
    }
  }

  /// Says what became of claimed jobs and takes the next ones, in one commit.
  ///
  /// The record is one too: after a crash either all of it happened or nothing.
  public func settle(
    _ settlements: [JobSettlement], claiming request: JobClaimRequest
  ) async throws -> JobTurn {
    let moment = moments()
    let kept = options.claimRecord
    let own = options.durability
    return try await change { state, now in
      let settled = state.settle(settlements, now: now, at: moment)
      let claimed = state.claim(request, now: now, kept)
      let records = settled.records + (claimed.record.map { [$0] } ?? [])
      var change = JobChange(
        JobTurn(accepted: settled.accepted, claim: JobClaim(claimed.batch)),
        record: records.isEmpty ? nil : JobLine.all(records))
      change.durability =
        settled.records.isEmpty
        ? claimed.durability : own.stronger(claimed.durability ?? Durability.none)
      if let tokens = claimed.tokens { change.records.append(tokens) }
      change.settled = settled.leases
      return change
    }
  }

  /// Ends a job that has not ended; it never runs again, also not after a crash.
  public func cancel(_ id: JobID, reason: String) async throws -> JobState? {
    let moment = moments()
    return try await change { state, now in
      let before = state.table.cancel(id, reason: reason, now: now)
      guard let before, !before.isEnd else { return JobChange(before) }
      return JobChange(before, record: JobLine.cancel(id, reason, at: moment))
    }
  }

  /// Makes a failed or dead job ready once more.
  public func redrive(_ id: JobID) async throws -> Bool {
    let moment = moments()
    return try await change { state, now in
      let isReady = state.table.redrive(id, now: now)
      return JobChange(isReady, record: isReady ? JobLine.redrive(id, at: moment) : nil)
    }
  }

  /// Makes jobs ready again whose lease ran out; writes nothing, because after a crash they are ready anyway.
  public func recover() async throws -> [JobID] {
    try requireWritable()
    let now = now
    return state.withLock { $0.table.recover(now: now) }
  }

  /// Forgets ended jobs that are too old or too many; they leave the file when it is compacted.
  public func trim() async throws -> [JobID] {
    try requireWritable()
    let now = now
    return state.withLock { state in
      let removed = state.table.trim(now: now)
      for id in removed where !state.unknownMembers.isEmpty {
        state.unknownMembers[id.rawValue] = nil
      }
      return removed
    }
  }

  /// A job, or `nil`; never suspends.
  public func job(_ id: JobID) async throws -> JobRecord? { state.withLock { $0.table[id] } }

  /// A page of jobs by identifier; never suspends.
  ///
  /// - Complexity: O(jobs).
  public func jobs(_ query: JobQuery) async throws -> [JobRecord] {
    state.withLock { $0.table.page(query) }
  }

  /// How many jobs there are; never suspends.
  public func figures() async throws -> JobFigures { currentFigures() }
}

extension FileJobStore.State {
  /// Settles jobs, and says what of it is to be written.
  fileprivate mutating func settle(
    _ settlements: [JobSettlement], now: JobTable.Time, at moment: PersistedMoment
  ) -> (accepted: [Bool], records: [[UInt8]], leases: [JobLease]) {
    var accepted: [Bool] = []
    var records: [[UInt8]] = []
    var leases: [JobLease] = []
    for settlement in settlements {
      var isAccepted = table.settle(settlement, now: now)
      if isAccepted {
        records.append(JobLine.settlement(settlement, at: moment))
        leases.append(settlement.lease)
      } else if uncertain.remove(settlement.lease) != nil {
        // It was stored the first time, when that wasn't known.
        isAccepted = true
      }
      accepted.append(isAccepted)
    }
    return (accepted, records, leases)
  }

  /// Claims jobs, and says what of it is to be written, and how safe it must be.
  fileprivate mutating func claim(
    _ request: JobClaimRequest, now: JobTable.Time, _ kept: FileJobStore.ClaimRecord
  ) -> (
    batch: JobTable.ClaimedBatch, record: [UInt8]?, tokens: [UInt8]?, durability: Durability?
  ) {
    let batch = table.claimAndLookAhead(request, now: now)
    if batch.jobs.isEmpty { return (batch, nil, nil, nil) }
    let record = kept == .none ? nil : JobLine.claim(batch.jobs)
    guard table.nextToken >= tokensReserved else {
      return (batch, record, nil, kept == .synced ? .full : Durability.none)
    }
    // Told before the first of them is used: the next owner begins above.
    tokensReserved = table.nextToken.advancedClamped(by: FileJobStore.tokenBlock)
    return (batch, record, JobLine.tokens(below: tokensReserved), .full)
  }
}

extension FileJobStore: ImmediateFigures {
  func currentFigures() -> JobFigures {
    let now = now
    return state.withLock { $0.table.figures(now: now) }
  }
}
