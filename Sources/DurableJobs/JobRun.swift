internal import ReliabilityCore

/// One run of a body: its limit of time, and where its end, its limit and everybody who wants to stop it meet.
///
/// | phase | event | next phase | who settles |
/// |---|---|---|---|
/// | active | the body ends | settling | its worker |
/// | active | limit, cancel, shutdown, lost lease | ending | |
/// | ending | the body ends | settling | a fresh task, as this one is cancelled |
/// | ending | the patience is over | abandoned | a fresh task, without the body |
/// | abandoned | the body ends | abandoned | nobody: the late result is refused |
///
/// The phase is guarded by the queue's lock. The object is the alarm of the limit, and the deadline that the body sees.
final class JobRun: DeadlineScope, @unchecked Sendable {
  enum Reason: Equatable {
    case timeout, cancelled, shutdown, lost
  }

  enum Phase: Equatable {
    case active
    case ending(Reason)
    case settling
    case abandoned(Reason)
  }

  let queue: JobQueue
  let item: JobClaim.Item
  let kind: Int
  let isFallback: Bool
  /// Whether the end is the job's deadline, not the limit of an attempt.
  let endsWithDeadline: Bool
  /// Of a fallback: how long the body had run.
  @safe @exclusivity(unchecked) var firstElapsed = Duration.zero
  var id: JobID { item.job.id }

  /// Tells the breaker of the kind; set before anybody else knows the run.
  @safe @exclusivity(unchecked) var judge: (@Sendable (Result<Void, any Error>) -> Void)?

  // Guarded by the queue's lock.
  @safe @exclusivity(unchecked) var phase = Phase.active
  @safe @exclusivity(unchecked) var worker: Task<Never, Never>?
  @safe @exclusivity(unchecked) var patience: PatienceAlarm?
  /// Who wanted to stop it when it had ended: of interest to its fallback.
  @safe @exclusivity(unchecked) var laterReason: Reason?
  /// Of a fallback: the run that took too long.
  @safe @exclusivity(unchecked) var former: JobRun?
  @safe @exclusivity(unchecked) var progress: JobProgress?

  init(
    queue: JobQueue, item: JobClaim.Item, kind: Int, isFallback: Bool, start: Duration,
    end: Duration, endsWithDeadline: Bool
  ) {
    self.queue = queue
    self.item = item
    self.kind = kind
    self.isFallback = isFallback
    self.endsWithDeadline = endsWithDeadline
    super.init(start: start, end: end, limit: end - start)
  }

  /// A run has more to it than a beginning and an end.
  override package init(start: Duration, end: Duration, limit: Duration) {
    preconditionFailure("a run is made with its job")
  }

  /// The limit has passed.
  override func fire() {
    // Observers and cancellation handlers are a user's code, which must not hold up the timers.
    Task.detached { self.queue.end(self, because: .timeout) }
  }

  func report(_ progress: JobProgress) { queue.note(progress, of: self) }
}

/// Goes off when a body that was told to stop has had its time for that.
final class PatienceAlarm: Alarm, @unchecked Sendable {
  private let run: JobRun
  init(_ run: JobRun) { self.run = run }
  override func fire() { run.queue.abandon(run) }
}

/// Wakes the queue when something is due that nobody asks for.
final class TickAlarm: Alarm, @unchecked Sendable {
  private weak let queue: JobQueue?
  init(_ queue: JobQueue) { self.queue = queue }
  override func fire() { queue?.tickIsDue(self) }
}

/// One task that waits for something to happen to the queue, once.
final class JobWaiter: Sendable {
  private enum State {
    case initial
    case waiting(CheckedContinuation<Void, Never>)
    case finished
  }

  private let state = Lock(State.initial)

  func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let resumeNow = state.withLock { state in
          if case .finished = state { return true }
          state = .waiting(continuation)
          return false
        }
        if resumeNow { continuation.resume() }
      }
    } onCancel: {
      resume()
    }
  }

  func resume() {
    let before = state.withLock { state in
      let before = state
      state = .finished
      return before
    }
    if case .waiting(let continuation) = before { continuation.resume() }
  }
}
