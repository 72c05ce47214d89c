public import ReliabilityCore
internal import ReliabilityMetrics

/// What a queue has counted since it was made.
struct JobCounts: Sendable {
  enum Outcome { case succeeded, failed, dead, cancelled, retried }

  var queued = 0
  var succeeded = 0
  var failed = 0
  var retried = 0
  var dead = 0
  var cancelled = 0
  var released = 0
  var abandoned = 0
  var late = 0
  var expired = 0
  var timedOut = 0
  /// Time in bodies that ended, in nanoseconds.
  var busy: Int64 = 0
  var processed = 0
}

/// Ends of jobs in the last hour, minute by minute.
struct OutcomeWindow: Sendable {
  private static let minute: Int64 = 60_000_000_000
  private static let length = 60

  private var slots = Array(
    repeating: (minute: Int64.min, good: 0, bad: 0), count: OutcomeWindow.length)

  init(now: Int64) {}

  mutating func record(isGood: Bool, now: Int64) {
    let minute = Self.minute(of: now)
    let index = Int(((minute % Int64(Self.length)) + Int64(Self.length)) % Int64(Self.length))
    if slots[index].minute != minute { slots[index] = (minute, 0, 0) }
    if isGood { slots[index].good += 1 } else { slots[index].bad += 1 }
  }

  /// How many succeeded and failed for good in the last minutes, the running one included.
  func counts(minutes: Int, now: Int64) -> (good: Int, bad: Int) {
    let last = Self.minute(of: now)
    let first = last - Int64(max(1, min(minutes, Self.length))) + 1
    var (good, bad) = (0, 0)
    for slot in slots where slot.minute >= first && slot.minute <= last {
      good += slot.good
      bad += slot.bad
    }
    return (good, bad)
  }

  private static func minute(of now: Int64) -> Int64 {
    now >= 0 ? now / minute : (now - minute + 1) / minute
  }
}

/// The figures of a queue under the names that its users know.
///
///     let figures = try await queue.metrics()
///     respond("application/json", figures.json)
public struct JobQueueMetrics: Hashable, Sendable {
  /// Jobs put in by this queue.
  public var jobsQueued = 0
  /// Jobs that were completed.
  public var jobsSucceeded = 0
  /// Jobs that failed for good, without a dead-letter queue.
  public var jobsFailed = 0
  /// Failed attempts after which another one followed.
  public var jobsRetried = 0
  /// Jobs that failed for good and went to the dead-letter queue.
  public var jobsDeadLettered = 0
  /// Jobs that were cancelled.
  public var jobsCancelled = 0
  /// Bodies that did not listen to cancellation.
  public var jobsAbandoned = 0
  /// Attempts that took too long.
  public var jobsTimedOut = 0
  /// Jobs given back without burning an attempt.
  public var jobsReleased = 0
  /// Leases that ran out.
  public var leasesExpired = 0
  /// Results that came too late and were refused.
  public var lateResults = 0
  /// What the store has now.
  public var store = JobFigures()
  /// Of the jobs that ended in the window, how many succeeded, in percent; 0 when none ended.
  public var successRatePercent = 0.0
  /// How long the window is.
  public var window = Duration.seconds(3600)
  /// Attempts that have ended.
  public var processed = 0
  /// How long an attempt took on average.
  public var averageDuration = Duration.zero
  /// How long the queue has been running; zero when it is not.
  public var uptime = Duration.zero
  /// Which part of the slots is in use, from 0; above 1 with abandoned bodies whose slot was freed.
  public var workersUsed = 0.0
  /// Which part of the store is in use, from 0 to 1.
  public var capacityUsed = 0.0

  /// The figures as JSON.
  public var json: [UInt8] {
    var json = JSONWriter(limit: 65_536)
    json.object { json in
      json.member("jobs_queued", jobsQueued)
      json.member("jobs_succeeded", jobsSucceeded)
      json.member("jobs_failed", jobsFailed)
      json.member("jobs_retried", jobsRetried)
      json.member("jobs_dead_lettered", jobsDeadLettered)
      json.member("jobs_cancelled", jobsCancelled)
      json.member("jobs_abandoned", jobsAbandoned)
      json.member("pending_jobs", store.states[.pending, default: 0])
      json.member("scheduled_jobs", store.states[.scheduled, default: 0])
      json.member("retrying_jobs", store.states[.retrying, default: 0])
      json.member("running_jobs", store.states[.running, default: 0])
      json.member("completed_jobs", store.states[.completed, default: 0])
      json.member("failed_jobs", store.states[.failed, default: 0])
      json.member("dead_letter_jobs", store.states[.dead, default: 0])
      json.member("cancelled_jobs", store.states[.cancelled, default: 0])
      json.member("success_rate_percent", successRatePercent)
      json.member("success_rate_window_seconds", window.seconds)
      json.member("capacity_used", capacityUsed)
      json.member("worker") { json in
        json.member("tasks_processed", processed)
        json.member("average_duration", averageDuration.seconds)
        json.member("uptime", uptime.seconds)
        json.member("capacity_used", workersUsed)
      }
    }
    return json.finish()
  }
}

extension JobQueue {
  /// The figures, under the names that its users know.
  ///
  /// - Parameter window: The time over which ``JobQueueMetrics/successRatePercent`` is computed, up to an hour, in whole minutes.
  /// - Throws: What the store throws.
  public nonisolated(nonsending) func metrics(
    window: Duration = .seconds(3600)
  ) async throws -> JobQueueMetrics {
    let figures = try await store.figures()
    let now = clock.now
    let minutes = max(1, min(60, Int(clamping: window.nanoseconds / 60_000_000_000)))
    var result = JobQueueMetrics()
    shell.withLock { shell in
      let counts = shell.counts
      result.jobsQueued = counts.queued
      result.jobsSucceeded = counts.succeeded
      result.jobsFailed = counts.failed
      result.jobsRetried = counts.retried
      result.jobsDeadLettered = counts.dead
      result.jobsCancelled = counts.cancelled
      result.jobsAbandoned = counts.abandoned
      result.jobsTimedOut = counts.timedOut
      result.jobsReleased = counts.released
      result.leasesExpired = counts.expired
      result.lateResults = counts.late
      result.processed = counts.processed
      if counts.processed > 0 {
        result.averageDuration = .nanoseconds(counts.busy / Int64(counts.processed))
      }
      if let start = shell.startedAt {
        result.uptime = .nanoseconds(max(0, now.subtracting(start)))
      }
      result.workersUsed = Double(shell.workers) / Double(configuration.workers)
      let (good, bad) = shell.outcomes.counts(minutes: minutes, now: now)
      if good + bad > 0 {
        result.successRatePercent = 100 * Double(good) / Double(good + bad)
      }
    }
    result.store = figures
    result.window = .seconds(minutes * 60)
    result.capacityUsed = Double(figures.live) / Double(max(1, figures.capacity))
    return result
  }

  /// Jobs by outcome and by state, their ages, how long they waited and ran.
  ///
  /// Of a store in another process the states are left out: they can't be read without waiting.
  public func samples() -> [MetricSample] {
    let counts = shell.withLock { $0.counts }
    let queue = (name: "queue", value: name)
    let outcomes = [
      ("queued", counts.queued), ("succeeded", counts.succeeded), ("failed", counts.failed),
      ("retried", counts.retried), ("dead_lettered", counts.dead),
      ("cancelled", counts.cancelled), ("abandoned", counts.abandoned),
      ("timed_out", counts.timedOut), ("released", counts.released),
      ("lease_expired", counts.expired), ("late_result", counts.late),
    ]
    var samples = outcomes.map { outcome, value in
      MetricSample(
        name: "jobs_total", kind: .counter, labels: [queue, ("outcome", outcome)],
        value: Double(value), help: "Jobs by what became of them")
    }
    if let local = store as? any ImmediateFigures {
      let figures = local.currentFigures()
      for state in JobState.allCases {
        samples.append(
          MetricSample(
            name: "jobs_in_state", kind: .gauge, labels: [queue, ("state", state.rawValue)],
            value: Double(figures.states[state, default: 0]), help: "Jobs by state"))
      }
      for priority in JobPriority.allCases {
        let labels = [queue, ("priority", "\(priority)")]
        samples.append(
          MetricSample(
            name: "jobs_pending", kind: .gauge, labels: labels,
            value: Double(figures.pending[priority, default: 0]),
            help: "Ready jobs by priority"))
        samples.append(
          MetricSample(
            name: "job_oldest_age_seconds", kind: .gauge, labels: labels,
            value: figures.oldest[priority, default: .zero].seconds,
            help: "How long the oldest ready job has waited"))
      }
    }
    return samples + durations.samples() + waits.samples()
  }

  /// Counts the end of an attempt.
  func count(_ outcome: JobCounts.Outcome, elapsed: Duration) {
    let now = clock.now
    shell.withLock { $0.count(outcome, elapsed: elapsed, at: now) }
  }
}

extension JobQueue.Shell {
  mutating func count(_ outcome: JobCounts.Outcome, elapsed: Duration, at now: Int64) {
    counts.processed += 1
    counts.busy = counts.busy.adding(elapsed.nanoseconds)
    switch outcome {
    case .succeeded:
      counts.succeeded += 1
      outcomes.record(isGood: true, now: now)
    case .failed:
      counts.failed += 1
      outcomes.record(isGood: false, now: now)
    case .dead:
      counts.dead += 1
      outcomes.record(isGood: false, now: now)
    case .cancelled: counts.cancelled += 1
    case .retried: counts.retried += 1
    }
  }
}
