internal import Reliability
internal import ReliabilityExampleSupport

/// A job as clients of `serve` see it.
struct ServeJob: Codable, Sendable {
  struct Failure: Codable, Sendable {
    var attempt: Int
    var category: String
    var error: String
    var endedAt: String

    private enum CodingKeys: String, CodingKey {
      case attempt, category, error, endedAt = "ended_at"
    }
  }

  var id: String
  var taskId: String?
  var url: String?
  var state: String
  var priority: String
  var attempts: Int
  var maxAttempts: Int
  /// From 0 to 1 while it runs.
  var progress: Double?
  var enqueuedAt: String
  var endedAt: String?
  var note: String?
  var failures: [Failure]

  private enum CodingKeys: String, CodingKey {
    case id, taskId = "task_id", url, state, priority, attempts, maxAttempts = "max_attempts",
      progress, enqueuedAt = "enqueued_at", endedAt = "ended_at", note, failures
  }

  init(_ job: JobSnapshot, url: String?) {
    id = "\(job.id)"
    taskId = job.callerID
    self.url = url
    state = job.state.rawValue
    priority = "\(job.priority)"
    attempts = job.attempts
    maxAttempts = job.maxAttempts
    progress = job.progress?.fraction
    enqueuedAt = Self.date(job.enqueuedAt)
    endedAt = job.endedAt.map(Self.date)
    note = job.note
    failures = job.failures.map { failure in
      Failure(
        attempt: failure.attempt, category: failure.category.rawValue, error: failure.error,
        endedAt: Self.date(failure.endedAt))
    }
  }

  private static func date(_ nanoseconds: Int64) -> String {
    "\(WallTime(nanosecondsSince1970: nanoseconds))"
  }
}

extension DownloadService {
  /// A job, or `nil` when there is none of this name.
  func job(_ id: JobID) async throws -> ServeJob? {
    guard let snapshot = try await downloads.queue.status(of: id) else { return nil }
    // The payload goes when the job has ended well; its key stays.
    let record = try await downloads.queue.store.job(id)
    return ServeJob(snapshot, url: record?.options.unique?.key)
  }
}

/// What `downloader status` shows: breakers that are not closed, and jobs that don't get on.
struct ServeStatus: Codable, Sendable {
  struct Breaker: Codable, Sendable {
    var server: String
    var state: String
    var explanation: String
  }

  var breakers: [Breaker]
  var stuckJobs: [ServeJob]
  var deadLetters: Int
  var active: Int
  var queued: Int

  private enum CodingKeys: String, CodingKey {
    case breakers, stuckJobs = "stuck_jobs", deadLetters = "dead_letters", active, queued
  }
}

extension DownloadService {
  /// Jobs that have failed before, wait for another attempt, or run for longer than ten minutes.
  func status() async throws -> ServeStatus {
    let worker = downloads.worker
    let breakers = worker.breakers.snapshots().keys.sorted().compactMap { server in
      let breaker = worker.breakers.breaker(for: server)
      return breaker.state == .closed
        ? nil
        : ServeStatus.Breaker(
          server: server, state: breaker.state.rawValue, explanation: "\(breaker.explain())")
    }
    let figures = try await figures()
    return ServeStatus(
      breakers: breakers, stuckJobs: try await StuckJobs.find(in: downloads.queue),
      deadLetters: downloads.letters.count, active: figures.active, queued: figures.queued)
  }
}

/// Jobs that don't get on.
enum StuckJobs {
  static func find(in queue: JobQueue, limit: Int = 100) async throws -> [ServeJob] {
    var query = JobQuery()
    query.states = [.retrying, .scheduled, .running, .pending]
    query.limit = 1000
    let old = WallTime.now.nanosecondsSince1970 - 600_000_000_000
    let jobs = try await queue.jobs(query).filter { job in
      job.state == .retrying || job.state == .scheduled || job.attempts > 0 || job.crashes > 1
        || job.enqueuedAt < old
    }
    return jobs.prefix(limit).map { ServeJob($0, url: nil) }
  }
}
