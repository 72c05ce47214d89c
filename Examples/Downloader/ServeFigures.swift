internal import Reliability

/// The figures of `/api/metrics/*`, computed from those of the queue.
struct ServeFigures: Sendable {
  let metrics: JobQueueMetrics
  let isRunning: Bool

  private func count(_ state: JobState) -> Int { metrics.store.states[state, default: 0] }

  var active: Int { count(.running) }
  /// Everything that waits for something.
  var queued: Int { count(.pending) + count(.scheduled) + count(.retrying) }
  var completed: Int { count(.completed) }
  var failed: Int { count(.failed) + count(.dead) }
  /// From 0 to 1, to a tenth of a percent.
  var capacityUsed: Double { (metrics.capacityUsed * 1000).rounded() / 1000 }
  var ended: Int { metrics.jobsSucceeded + metrics.jobsFailed + metrics.jobsDeadLettered }
  /// In percent, to a tenth.
  var successRate: Double { Self.rate(of: metrics.jobsSucceeded, in: ended) }

  static func rate(of succeeded: Int, in ended: Int) -> Double {
    ended == 0 ? 0 : (Double(succeeded) * 1000 / Double(ended)).rounded() / 10
  }

  static func tenth(_ value: Double) -> Double { (value * 10).rounded() / 10 }

  /// Always with so many decimals, as `96.7%` and `15.30s` have.
  static func fixed(_ value: Double, decimals: Int) -> String {
    let scale = decimals == 1 ? 10.0 : 100.0
    let number = Int((min(max(value, 0), 1e12) * scale).rounded())
    let rest = String(number % Int(scale))
    return "\(number / Int(scale))."
      + String(repeating: "0", count: decimals - rest.count) + rest
  }

  static func percent(_ value: Double) -> String { fixed(value, decimals: 1) + "%" }
}

// MARK: The documents

extension ServeFigures {
  /// `GET /api/metrics/queue`.
  struct Queue: Encodable {
    struct Breakdown: Encodable {
      var completed: Int
      var downloading: Int
      var failed: Int
    }
    var activeDownloads: Int
    var queuedTasks: Int
    var statusBreakdown: Breakdown
    var capacityUsage: String
  }

  var breakdown: Queue.Breakdown {
    Queue.Breakdown(completed: completed, downloading: active, failed: failed)
  }

  var queue: Queue {
    Queue(
      activeDownloads: active, queuedTasks: queued, statusBreakdown: breakdown,
      capacityUsage: Self.percent(capacityUsed * 100))
  }

  /// `GET /api/metrics/worker`.
  struct Worker: Encodable {
    struct Figures: Encodable {
      var running: Bool
      var tasksProcessed: Int
      var tasksSucceeded: Int
      var tasksFailed: Int
      var successRate: Double
      var averageDuration: Double
      var uptime: Double
    }
    var worker: Figures
  }

  var worker: Worker {
    Worker(
      worker: Worker.Figures(
        running: isRunning, tasksProcessed: ended, tasksSucceeded: metrics.jobsSucceeded,
        tasksFailed: metrics.jobsFailed + metrics.jobsDeadLettered, successRate: successRate,
        averageDuration: (metrics.averageDuration / .seconds(1) * 1000).rounded() / 1000,
        uptime: Self.tenth(metrics.uptime / .seconds(1))))
  }

  /// `GET /api/metrics/jobs`.
  struct Jobs: Encodable {
    struct Figures: Encodable {
      var active: Int
      var queued: Int
      var completed: Int
      var failed: Int
      var capacityUsed: Double
    }
    var queue: Figures
  }

  var jobs: Jobs {
    Jobs(
      queue: Jobs.Figures(
        active: active, queued: queued, completed: completed, failed: failed,
        capacityUsed: capacityUsed))
  }

  /// `GET /api/metrics/system`.
  struct System: Encodable {
    struct Queue: Encodable {
      var active: Int
      var queued: Int
    }
    struct Worker: Encodable {
      var running: Bool
      var successRate: String
    }
    struct Jobs: Encodable {
      var active: Int
      var queued: Int
      var completed: Int
    }
    struct Tasks: Encodable {
      var total: Int
      var breakdown: [String: Int]
    }
    var queue: Queue
    var worker: Worker
    var jobs: Jobs
    var tasks: Tasks
  }

  var system: System {
    var breakdown: [String: Int] = [:]
    for state in JobState.allCases { breakdown[state.rawValue] = count(state) }
    return System(
      queue: System.Queue(active: active, queued: queued),
      worker: System.Worker(running: isRunning, successRate: Self.percent(successRate)),
      jobs: System.Jobs(active: active, queued: queued, completed: completed),
      tasks: System.Tasks(total: breakdown.values.reduce(0, +), breakdown: breakdown))
  }

  /// `GET /api/metrics/performance`.
  struct Performance: Encodable {
    struct Figures: Encodable {
      var averageTaskDuration: String
      var successRate: String
      var tasksPerHour: Double
      var uptimeHours: Double
    }
    struct Health: Encodable {
      var errorCount: Int
      var lastError: String?

      private enum CodingKeys: String, CodingKey { case errorCount, lastError }

      func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(errorCount, forKey: .errorCount)
        // Also when there is none: the member is part of the form.
        try container.encode(lastError, forKey: .lastError)
      }
    }
    var performance: Figures
    var health: Health
  }

  /// - Parameters:
  ///   - window: What was measured over the time that is asked about.
  ///   - lastError: The latest failure, in words.
  func performance(_ window: PerformanceWindow.Stretch, lastError: String?) -> Performance {
    let ended = window.succeeded + window.failed
    let uptime = metrics.uptime / .seconds(1)
    let hours = min(window.seconds, max(uptime, 1)) / 3600
    return Performance(
      performance: Performance.Figures(
        averageTaskDuration: Self.fixed(window.averageSeconds, decimals: 2) + "s",
        successRate: Self.percent(Self.rate(of: window.succeeded, in: ended)),
        tasksPerHour: Self.tenth(Double(ended) / hours),
        uptimeHours: (uptime / 36).rounded() / 100),
      health: Performance.Health(errorCount: window.failed, lastError: lastError))
  }
}

/// What jobs came to in the recent past.
final class PerformanceWindow: Sendable {
  /// The answer to a question about so many seconds.
  struct Stretch: Hashable, Sendable {
    var seconds: Double
    var succeeded = 0
    var failed = 0
    var averageSeconds = 0.0
  }

  private let succeeded = WindowedHistogram()
  private let failed = WindowedHistogram()
  private let starts = Lock<[JobID: ContinuousClock.Instant]>([:])

  /// Something happened to a job.
  func note(_ event: JobEvent) {
    guard let id = event.id else { return }
    switch event.kind {
    case .started: starts.withLock { $0[id] = .now }
    case .completed: end(id, succeeded)
    case .failed: end(id, failed)
    case .retrying, .cancelled, .released, .leaseExpired:
      starts.withLock { $0[id] = nil }
    default: break
    }
  }

  private func end(_ id: JobID, _ histogram: WindowedHistogram) {
    let start = starts.withLock { $0.removeValue(forKey: id) }
    histogram.record(start.map { ContinuousClock.now - $0 } ?? .zero)
  }

  func stretch(seconds: Int) -> Stretch {
    let good = succeeded.snapshot(over: .seconds(seconds))
    let bad = failed.snapshot(over: .seconds(seconds))
    let count = good.count + bad.count
    return Stretch(
      seconds: Double(seconds), succeeded: good.count, failed: bad.count,
      averageSeconds: count == 0 ? 0 : (good.sum + bad.sum) / Double(count))
  }
}
