internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// How the service is, for probes: answered from what the checks said last.
final class ServeHealth: Sendable {
  let monitor: HealthMonitor

  /// - Parameters:
  ///   - downloads: What is asked.
  ///   - options: Where files go, and how often to ask.
  ///   - registry: The figures that the alert rules watch.
  ///   - display: Where alerts are shown.
  init(
    _ downloads: DownloadQueue, _ options: ServeOptions, _ registry: MetricsRegistry,
    _ display: ProgressDisplay
  ) {
    let interval = options.settings.healthInterval
    let queue = downloads.queue
    var configuration = HealthMonitor.Configuration(
      rules: AlertRule.recommended(in: registry),
      service: HealthMonitor.Service(id: "downloader", description: "downloads files"))
    configuration.observer = { event in
      // Before its first answer nothing is known of a component; that it is well is no news then.
      if event.before == .unknown, event.after == .pass { return }
      display.note("     health: \(event)")
    }
    let checks = [
      HealthCheck("workers", scope: .process, interval: interval) {
        queue.isPaused ? .warn("paused") : .pass
      },
      HealthCheck("jobs", interval: interval, componentType: "datastore") {
        let figures = try await queue.store.figures()
        let outage = (queue.store as? FileJobStore)?.health.outage
        if let outage { return .fail("\(outage)") }
        return .pass(observing: Double(figures.live), unit: "jobs")
      },
      HealthCheck("disk", interval: interval, componentType: "system") {
        [path = options.output] in
        let free = try await BlockingThreads.shared.run {
          try FileManager.default.attributesOfFileSystem(forPath: path)[.systemFreeSize]
            as? NSNumber
        }
        let bytes = free?.doubleValue ?? 0
        if bytes < 16e6 { return .fail("less than 16 MB are free") }
        if bytes < 256e6 { return .warn("less than 256 MB are free") }
        return .pass(observing: bytes, unit: "bytes")
      },
      HealthCheck("undecided", scope: .optional, interval: interval) {
        let count = downloads.letters.count
        if count > 10 { return .warn("\(count) downloads wait for a decision") }
        return .pass(observing: Double(count), unit: "letters")
      },
    ]
    monitor = HealthMonitor(checks, configuration: configuration)
  }

  /// Asks again and again, until the task is cancelled.
  func run() async { await monitor.run() }

  /// Asks everybody once, so that the first probe has something to be answered from.
  func checkAll() async { _ = try? await monitor.checkAll() }

  /// Answers a probe.
  func reply(to request: HTTPRequest) -> HTTPReply {
    let probe: HealthProbe =
      switch request.path {
      case "/health/live": .liveness
      case "/health/ready": .readiness
      default: .everything
      }
    let accept = request.header("Accept") ?? ""
    let format = HealthFormat.allCases.dropFirst().first { accept.hasPrefix($0.contentType) }
    let document = monitor.document(for: probe, as: format ?? .healthJSON)
    return HTTPReply(
      status: document.httpStatus, headers: [HTTPField("Content-Type", document.contentType)],
      body: .bytes(document.bytes))
  }
}
