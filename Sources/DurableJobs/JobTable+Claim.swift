internal import ReliabilityCore

extension JobTable {
  /// A job that was claimed.
  struct Claimed {
    var record: JobRecord
    var token: UInt64
    /// How long it was ready, in nanoseconds.
    var waited: Int64
  }

  /// What a claim brought, and what is to be known about the rest.
  struct ClaimedBatch {
    var jobs: [Claimed]
    /// When something is due, for a worker that got nothing; one that got work asks again before it sleeps.
    var nextDue: Int64?
    /// Whether other jobs are ready.
    var hasMore: Bool
  }

  /// Takes the next jobs for a worker, and looks at what it leaves.
  mutating func claimAndLookAhead(_ request: JobClaimRequest, now: Time) -> ClaimedBatch {
    let jobs = claim(request, now: now)
    return ClaimedBatch(
      jobs: jobs, nextDue: jobs.isEmpty ? nextDue(now: now) : nil, hasMore: count(.pending) > 0)
  }

  /// Makes jobs ready whose time has come.
  mutating func promote(now: Time) {
    while let entry = delayed.popFirst(due: now.monotonic) { arrive(entry, now: now) }
    while let entry = dated.popFirst(due: now.wall) { arrive(entry, now: now) }
  }

  /// Takes the next jobs for a worker.
  ///
  /// - Complexity: O(kinds asked for) for each job.
  mutating func claim(_ request: JobClaimRequest, now: Time) -> [Claimed] {
    promote(now: now)
    var allowed: [(kind: Int, limit: Int)] = []
    allowed.reserveCapacity(request.kinds.count)
    for allowance in request.kinds where allowance.limit > 0 {
      if let index = kindIndexIfKnown(allowance.kind) { allowed.append((index, allowance.limit)) }
    }
    var result: [Claimed] = []
    let leaseEnd = now.monotonic.adding(request.lease.nanoseconds)
    while result.count < request.limit, let choice = choose(from: allowed, now: now) {
      let kind = allowed[choice.index].kind
      allowed[choice.index].limit -= 1
      lastWasAged = choice.isAged
      result.append(start(choice.entry, kind, leaseEnd: leaseEnd, now: now))
    }
    return result
  }

  private mutating func start(
    _ entry: JobEntry, _ kind: Int, leaseEnd: Int64, now: Time
  ) -> Claimed {
    history?.append(JobMemento(entry))
    let priority = entry.record.priority
    kinds[kind][priority].removeFirst()
    count(pending: priority, by: -1)
    count(entry, in: .pending, by: -1)
    take(entry, to: .running)
    if entry.holdsKey, entry.record.options.unique?.release == .started { releaseKey(entry) }
    entry.token = nextToken
    nextToken += 1
    entry.leaseEnd = leaseEnd
    entry.record.crashes += 1
    leases.insert(entry, due: leaseEnd)
    return Claimed(
      record: entry.record, token: entry.token,
      waited: max(0, now.monotonic.subtracting(entry.readyAt)))
  }

  private struct Choice {
    var entry: JobEntry
    var index: Int
    var isAged: Bool
  }

  /// Whose turn it is.
  ///
  /// The most important one, the oldest of those. But when the latest start was such a one and jobs have aged, the one that
  /// aged first.
  private mutating func choose(from allowed: [(kind: Int, limit: Int)], now: Time) -> Choice? {
    var best: Choice?
    var aged: (choice: Choice, since: Int64)?
    for (index, (kind, limit)) in allowed.enumerated() where limit > 0 {
      for level in stride(from: JobPriority.critical.rawValue, through: 0, by: -1) {
        if pendingCount(level) == 0 { continue }
        let priority = JobPriority(rawValue: level)!
        if kinds[kind][priority].count == 0 { continue }
        guard let entry = kinds[kind][priority].first() else { continue }
        if let other = best?.entry {
          let otherPriority = other.record.priority
          if priority > otherPriority || priority == otherPriority && entry.order < other.order {
            best = Choice(entry: entry, index: index, isAged: false)
          }
        } else {
          best = Choice(entry: entry, index: index, isAged: false)
        }
        guard priority != .critical else { continue }
        let missing = Int64(JobPriority.critical.rawValue - level)
        let (span, overflow) = rules.agingStep.multipliedReportingOverflow(by: missing)
        let since = entry.readyAt.adding(overflow ? .max : span)
        if since <= now.monotonic, since < aged?.since ?? .max {
          aged = (Choice(entry: entry, index: index, isAged: true), since)
        }
      }
    }
    if let aged, !lastWasAged { return aged.choice }
    return best
  }

  /// Makes leases longer.
  ///
  /// - Returns: Those that were lost.
  mutating func renew(_ renewed: [JobLease], for duration: Duration, now: Time) -> [JobLease] {
    let end = now.monotonic.adding(duration.nanoseconds)
    var lost: [JobLease] = []
    for lease in renewed {
      guard let entry = entries[lease.id.rawValue], entry.token == lease.token else {
        lost.append(lease)
        continue
      }
      // Also that of a settlement which is being written: should that fail, the worker has the job again.
      entry.leaseEnd = max(entry.leaseEnd, end)
      if entry.record.state != .running { lost.append(lease) }
    }
    return lost
  }

  /// Makes jobs ready again whose lease ran out.
  mutating func recover(now: Time) -> [JobID] {
    var result: [JobID] = []
    while let end = leases.firstDue(), let entry = leases.popFirst(due: now.monotonic) {
      if entry.leaseEnd > end {
        // Renewed meanwhile; it stood where its first end was.
        leases.insert(entry, due: entry.leaseEnd)
        continue
      }
      entry.token = 0
      count(entry, in: .running, by: -1)
      makeReady(entry, now: now)
      result.append(entry.record.id)
    }
    return result
  }

  /// When something is to be done that nobody asks for, in nanoseconds from now.
  mutating func nextDue(now: Time) -> Int64? {
    var next: Int64?
    if let due = delayed.firstDue() { next = due.subtracting(now.monotonic) }
    while let end = leases.firstDue(), let entry = leases.top, entry.leaseEnd > end {
      // Renewed meanwhile; it stands where its first end was.
      _ = leases.popFirst(due: end)
      leases.insert(entry, due: entry.leaseEnd)
    }
    if let end = leases.firstDue() { next = min(next ?? .max, end.subtracting(now.monotonic)) }
    if let date = dated.firstDue() {
      next = min(next ?? .max, rules.datePoll, date.subtracting(now.wall))
    }
    return next.map { max(0, $0) }
  }

  /// A page of jobs by identifier.
  ///
  /// - Complexity: O(jobs) and the sorting of the page.
  func page(_ query: JobQuery) -> [JobRecord] {
    var found: [JobEntry] = []
    for (id, entry) in entries {
      if let after = query.after, id <= after.rawValue { continue }
      if !query.states.isEmpty, !query.states.contains(entry.record.state) { continue }
      if let kind = query.kind, entry.record.kind != kind { continue }
      if let tag = query.tag, !entry.record.options.tags.contains(tag) { continue }
      found.append(entry)
    }
    found.sort { $0.record.id < $1.record.id }
    return found.prefix(max(0, query.limit)).map(\.record)
  }

  /// How many jobs there are.
  ///
  /// - Complexity: O(kinds).
  mutating func figures(now: Time) -> JobFigures {
    var figures = JobFigures()
    figures.capacity = rules.capacity
    for state in JobState.allCases where count(state) > 0 { figures.states[state] = count(state) }
    for priority in JobPriority.allCases where pendingCount(priority.rawValue) > 0 {
      figures.pending[priority] = pendingCount(priority.rawValue)
      var oldest = Int64.max
      for kind in kinds.indices {
        if let first = kinds[kind][priority].first() { oldest = min(oldest, first.readyAt) }
      }
      figures.oldest[priority] = .nanoseconds(max(0, now.monotonic.subtracting(oldest)))
    }
    for kind in kinds where kind.active > 0 { figures.active[kind.name] = kind.active }
    return figures
  }
}
