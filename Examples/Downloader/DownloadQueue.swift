internal import Reliability

/// The queue of downloads with its worker and its dead letters, put together.
struct DownloadQueue: Sendable {
  let queue: JobQueue
  let worker: DownloadWorker
  let letters: DeadLetterQueue<DownloadJob>
  /// How jobs are run unless they say otherwise.
  let defaults: JobOptions

  /// - Parameters:
  ///   - store: Where the jobs are.
  ///   - letters: Where they go that failed for good.
  ///   - worker: Does the work.
  ///   - defaults: How jobs are run.
  ///   - configuration: How the queue works; observer and dead letters are set here.
  init(
    store: any JobStore, letters: DeadLetterQueue<DownloadJob>, worker: DownloadWorker,
    defaults: JobOptions, configuration: JobQueue.Configuration
  ) {
    var configuration = configuration
    let tracker = worker.tracker
    let observer = configuration.observer
    configuration.observer = { event in
      tracker.note(event)
      observer?(event)
    }
    configuration.deadLetters = DownloadLetters(letters: letters, tracker: tracker)
    var options = JobKindOptions()
    options.defaults = defaults
    queue = JobQueue(store, configuration: configuration) {
      $0.handle(DownloadJob.self, options: options) { job, context in
        try await worker.perform(job, context)
      }
    }
    self.worker = worker
    self.letters = letters
    self.defaults = defaults
  }
}

/// Takes downloads that failed for good, with a report that tells about the download.
private struct DownloadLetters: DeadLetterSink {
  let letters: DeadLetterQueue<DownloadJob>
  let tracker: DownloadTracker

  func add(_ dead: DeadJob) async throws {
    var draft = DeadLetter.Draft(kind: dead.job.kind, report: tracker.failed(dead))
    draft.attempts = dead.attempts
    draft.source = "jobs/\(dead.job.id)"
    draft.firstFailure = dead.attempts.first?.at
    draft.redriveCount = dead.job.redrives
    try await letters.add(bytes: dead.job.payload, as: draft)
  }
}
