internal import AtomicStore
internal import ReliabilityCore

/// What a snapshot is to hold, taken together.
struct JobSnapshotPlan: Sendable {
  let head: JobLineHead
  let now: JobTable.Time
  let moment: PersistedMoment
  let unknown: [[UInt8]]
  let unknownMembers: [UInt64: JobReplay.UnknownMembers]
  let jobs: [SnapshotJob]
}

extension FileJobStore {
  /// Rewrites the file so that it holds each job once, and nothing of those that are forgotten.
  ///
  /// Happens by itself when the file has become too large, beside the work, which goes on; only to take down what each job is
  /// everybody waits, about a tenth of a second for a million jobs. A crash leaves the old file or the new one. Waits for a
  /// compaction that is under way instead of beginning another one.
  ///
  /// - Throws: `StoreError`; then the file is as it was.
  /// - Complexity: O(jobs).
  public nonisolated(nonsending) func compact() async throws {
    let running = try state.withLock { state in
      try state.requireWritable(path)
      return state.compaction
    }
    if let running { return try await running.value }
    _ = try await change { state, _ in
      var change = JobChange(())
      change.wantsSnapshot = true
      return change
    }
    try await state.withLock { $0.compaction }?.value
    if let failure = state.withLock({ $0.compactionFailure }) { throw failure }
  }

  func startCompaction(_ plan: JobSnapshotPlan, upTo end: AppendLog.Position) {
    state.withLock { state in
      // close() sets the one before it looks for the other.
      guard state.compaction == nil, !state.isClosed else { return }
      state.compaction = Task.detached { [self] in try await compact(plan, upTo: end) }
    }
  }

  private nonisolated(nonsending) func compact(
    _ plan: JobSnapshotPlan, upTo end: AppendLog.Position
  ) async throws {
    do {
      let result = try await log.compact(upTo: end) { snapshot in
        try await snapshot.append(JobLine.head("snapshot", plan.head, at: plan.moment))
        for record in plan.unknown { try await snapshot.append(record) }
        for job in plan.jobs.sorted(by: { $0.order < $1.order }) {
          try await snapshot.append(
            job.line(
              now: plan.now, moment: plan.moment, unknown: plan.unknownMembers[job.id]))
        }
      }
      let slack = Int64(options.compactionSlack)
      state.withLock { state in
        state.compaction = nil
        state.compactionFailure = nil
        // Positions of before are good for nothing now.
        state.end = result.translate(state.end ?? end) ?? result.snapshotEnd
        state.compactionSize = result.snapshotEnd.offset.multipliedClamped(by: 2).adding(slack)
      }
    } catch {
      let slack = Int64(options.compactionSlack)
      state.withLock { state in
        state.compaction = nil
        state.compactionFailure = error as? StoreError
        // Not at every write anew.
        state.compactionSize = (state.end?.offset ?? 0).adding(max(1 << 16, slack))
      }
      throw error
    }
  }
}

extension FileJobStore.State {
  /// What the table is now.
  func plan(now: JobTable.Time, moment: PersistedMoment) -> JobSnapshotPlan {
    var jobs: [SnapshotJob] = []
    jobs.reserveCapacity(table.entries.count)
    for entry in table.entries.values { jobs.append(SnapshotJob(entry)) }
    return JobSnapshotPlan(
      head: JobLineHead(
        number: openings, nextID: table.nextID, tokens: max(tokensReserved, table.nextToken),
        jobs: jobs.count),
      now: now, moment: moment, unknown: unknown, unknownMembers: unknownMembers, jobs: jobs)
  }
}

extension Int64 {
  fileprivate func multipliedClamped(by factor: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? .max : product
  }
}
