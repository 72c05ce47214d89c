import DurableJobs
import ReliabilityIO

/// The process that `JobLab` kills: it puts jobs into a store, runs them, and writes down what it was told.
enum JobWorker {
  struct Errand: DurableJob {
    static let kind = "errand"
    var number: Int
  }

  /// What is written down, one line each, with one write: process, word, job.
  enum Word: String {
    /// The store has acknowledged that it is there.
    case `in`
    /// Its body begins.
    case run
    /// The store has acknowledged that it is completed.
    case done
    /// The store has acknowledged that it is cancelled.
    case cancelled
  }

  static func run(_ arguments: Arguments) async -> Int32 {
    let serial = arguments.int("serial")
    let file = System.openToAppend(arguments["evidence"])
    let note: @Sendable (Word, JobID) -> Void = { word, id in
      System.append("\(serial) \(word.rawValue) \(id)", to: file)
    }
    do {
      let store = try await JobLab.open(arguments["directory"], .readWrite)
      var configuration = JobQueue.Configuration(name: "lab")
      configuration.workers = 8
      // A job that happens to run at many kills is not to blame.
      configuration.maxCrashes = 1_000_000
      configuration.observer = { event in
        if case .completed = event.kind, let id = event.id { note(.done, id) }
      }
      let queue = JobQueue(store, configuration: configuration) {
        $0.handle(Errand.self) { _, context in
          note(.run, context.id)
          try await Task.sleep(for: .microseconds(context.id.rawValue % 16 * 250))
        }
      }
      try await withJobQueue(queue) { queue in
        for number in 0..<arguments.int("left") {
          var options = JobOptions()
          options.priority = JobPriority(rawValue: number % 5) ?? .normal
          if number % 10 == 9 { options.start = .after(.milliseconds(5)) }
          let id = try await queue.enqueue(Errand(number: number), options: options).id
          note(.in, id)
          if number % 10 == 9, try await queue.cancel(id, reason: "changed my mind") {
            note(.cancelled, id)
          }
          if number % 2 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        // Also those that wait for their time.
        while try await store.figures().live > 0 { try await Task.sleep(for: .milliseconds(5)) }
      }
      try await store.close()
      return 0
    } catch {
      print("worker \(serial): \(error)")
      return 1
    }
  }
}
