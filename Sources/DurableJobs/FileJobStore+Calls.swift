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
      let claimed = state.table.claim(request, now: now)
      // A worker that got work asks again before it sleeps.
      let due = claimed.isEmpty ? state.table.nextDue(now: now) : nil
      let answer = JobClaim(
        items: claimed.map(JobClaim.Item.init), nextDue: due.map { .nanoseconds($0) },
        hasMore: state.table.count(.pending) > 0)
      if claimed.isEmpty { return JobChange(answer, waits: false) }
      var change = JobChange(answer, record: kept == .none ? nil : JobLine.claim(claimed))
      change.durability = kept == .synced ? .full : Durability.none
      if state.table.nextToken >= state.tokensReserved {
        // Told before the first of them is used: the next owner begins above.
        let limit = state.table.nextToken.advancedClamped(by: Self.tokenBlock)
        state.tokensReserved = limit
        change.records.append(JobLine.tokens(below: limit))
        change.durability = .full
      }
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
      var answers: [Bool] = []
      var records: [[UInt8]] = []
      var leases: [JobLease] = []
      for settlement in settlements {
        var isAccepted = state.table.settle(settlement, now: now)
        if isAccepted {
          records.append(JobLine.settlement(settlement, at: moment))
          leases.append(settlement.lease)
        } else if state.uncertain.remove(settlement.lease) != nil {
          // It was stored the first time, when that wasn't known.
          isAccepted = true
        }
        answers.append(isAccepted)
      }
      var change = JobChange(answers, record: records.isEmpty ? nil : JobLine.all(records))
      change.settled = leases
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

extension FileJobStore: ImmediateFigures {
  func currentFigures() -> JobFigures {
    let now = now
    return state.withLock { $0.table.figures(now: now) }
  }
}
