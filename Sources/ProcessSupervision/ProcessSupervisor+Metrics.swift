public import ReliabilityCore
internal import ReliabilityMetrics

extension ProcessSupervisor: MetricsSource {
  /// How many processes run, how they ended, why they were ended, how long they took and what they used.
  public func samples() -> [MetricSample] { figures.samples() }
}

/// What a supervisor counts.
final class SupervisorFigures: Sendable {
  private struct Counts {
    var started = 0
    var running = 0
    var ended: [String: Int] = ["exited": 0, "signalled": 0, "unknown": 0]
    var stopped: [String: Int] = [:]
    var failed: [String: Int] = [:]
    var alerts: [String: Int] = [:]
    var kills = 0
    var cpu = Duration.zero
    var memory: Int64 = 0
    var bytesRead: Int64 = 0
    var bytesWritten: Int64 = 0
    var outputBytes: Int64 = 0
  }

  /// How many different words a label may have; a rule of a user's might answer with anything.
  private static let labelLimit = 32

  private let name: String
  private let counts = Lock(Counts())
  private let durations: Histogram

  init(name: String) {
    self.name = name
    durations = Histogram(
      "process_duration_seconds", help: "How long processes ran", labels: [("name", name)],
      bounds: [0.01, 0.1, 1, 10, 60, 300, 1800, 3600])
  }

  func started() {
    counts.withLock {
      $0.started += 1
      $0.running += 1
    }
  }

  func stopped(_ reason: ProcessStopReason) {
    counts.withLock { Self.count(&$0.stopped, reason.rawValue) }
  }

  func failed(_ failure: ProcessFailure) {
    counts.withLock { Self.count(&$0.failed, failure.rawValue) }
  }

  func alerted(_ alert: ProcessAlert) {
    guard alert.isRaised else { return }
    counts.withLock { Self.count(&$0.alerts, alert.kind.rawValue) }
  }

  func killed() { counts.withLock { $0.kills += 1 } }

  func sampled(memoryChange: Int64) { counts.withLock { $0.memory += memoryChange } }

  /// - Parameter memory: What the process counted for among the memory in use.
  func ended(_ report: ProcessReport, memory: Int64) {
    durations.record(report.duration)
    let how =
      switch report.exit {
      case .code: "exited"
      case .signal: "signalled"
      case .unknown: "unknown"
      }
    counts.withLock { counts in
      counts.running -= 1
      counts.memory -= memory
      Self.count(&counts.ended, how)
      counts.cpu = counts.cpu.saturatingAdd(report.usage.userTime)
        .saturatingAdd(report.usage.systemTime)
      counts.bytesRead = counts.bytesRead.plus(max(0, report.usage.blocksRead) &* 512)
      counts.bytesWritten = counts.bytesWritten.plus(max(0, report.usage.blocksWritten) &* 512)
      counts.outputBytes = counts.outputBytes.plus(report.outputBytes).plus(report.errorBytes)
    }
  }

  private static func count(_ counts: inout [String: Int], _ word: String) {
    if counts[word] == nil, counts.count >= labelLimit {
      counts["other", default: 0] += 1
    } else {
      counts[word, default: 0] += 1
    }
  }

  func samples() -> [MetricSample] {
    let counts = counts.withLock { $0 }
    let label = (name: "name", value: name)
    func counter(_ metric: String, _ value: Double, _ help: String) -> MetricSample {
      MetricSample(name: metric, kind: .counter, labels: [label], value: value, help: help)
    }
    func counters(
      _ metric: String, _ words: [String: Int], by key: String, _ help: String
    ) -> [MetricSample] {
      words.sorted { $0.key < $1.key }.map {
        MetricSample(
          name: metric, kind: .counter, labels: [label, (name: key, value: $0.key)],
          value: Double($0.value), help: help)
      }
    }
    func bytes(_ direction: String, _ value: Int64) -> MetricSample {
      MetricSample(
        name: "process_io_bytes_total", kind: .counter,
        labels: [label, (name: "direction", value: direction)], value: Double(value),
        help: "Bytes that ended processes moved to and from storage")
    }
    return [
      MetricSample(
        name: "process_running", kind: .gauge, labels: [label], value: Double(counts.running),
        help: "Processes that run"),
      MetricSample(
        name: "process_resident_memory_bytes", kind: .gauge, labels: [label],
        value: Double(counts.memory), help: "Memory of running processes at their last sample"),
      counter("process_started_total", Double(counts.started), "Processes that were started"),
      counter("process_kills_total", Double(counts.kills), "Processes that were ended by force"),
      counter(
        "process_cpu_seconds_total", counts.cpu.seconds, "Processor time of ended processes"),
      counter(
        "process_output_bytes_total", Double(counts.outputBytes), "Bytes of both outputs"),
      bytes("read", counts.bytesRead), bytes("write", counts.bytesWritten),
    ]
      + counters("process_ended_total", counts.ended, by: "exit", "How processes ended")
      + counters("process_stops_total", counts.stopped, by: "reason", "Why processes were ended")
      + counters("process_failures_total", counts.failed, by: "failure", "How processes failed")
      + counters("process_alerts_total", counts.alerts, by: "kind", "Alerts that were raised")
      + durations.samples()
  }
}
