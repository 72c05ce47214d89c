import Reliability
import Synchronization

/// Health checks: how long they take, how soon they see a failure, and what watching costs.
enum HealthMeasure {
  static func run(_ findings: Findings) async throws {
    let checks = (0..<10).map { index in HealthCheck("part \(index)") { .pass } }
    let monitor = HealthMonitor(checks)
    let times = try await Times.measure(100) { _ = try await monitor.checkAll() }
    findings.add(.time("health check of 10 components", below: 50, times))
    try await detection(findings)
    try await overhead(findings)
  }

  /// From the moment a dependency fails to the moment a probe is told so; a check every 100 ms.
  private static func detection(_ findings: Findings) async throws {
    let isDown = Flag()
    let monitor = HealthMonitor([
      HealthCheck("far", interval: .milliseconds(100)) {
        isDown.isSet ? .fail("down") : .pass
      }
    ])
    let running = Task { await monitor.run() }
    var times = Times()
    for round in 0..<10 {
      _ = await Process.settles { monitor.status(for: .readiness) == .pass }
      try await ContinuousClock().wait(for: .milliseconds(7 * round))
      isDown.isSet = true
      let start = ContinuousClock.now
      _ = await Process.settles { monitor.status(for: .readiness) == .fail }
      times.add(ContinuousClock.now - start)
      isDown.isSet = false
    }
    running.cancel()
    await running.value
    findings.add(.time("failure detection, a check every 100 ms", below: 1000, times))
  }

  /// Ten checks a second, the rules and the whole of the figures as text each second, for two seconds.
  private static func overhead(_ findings: Findings) async throws {
    let registry = MetricsRegistry()
    for index in 0..<100 {
      registry.register(Counter("part_\(index)_total", help: "One of many"))
    }
    let heap = Process.heapBytes
    var configuration = HealthMonitor.Configuration(
      rules: AlertRule.recommended(in: registry), alertInterval: .seconds(1))
    configuration.observer = { _ in }
    let monitor = HealthMonitor(
      (0..<10).map { index in HealthCheck("part \(index)", interval: .seconds(1)) { .pass } },
      configuration: configuration)
    let start = (ContinuousClock.now, Process.processorTime)
    let running = Task { await monitor.run() }
    for _ in 0..<2 {
      try await ContinuousClock().wait(for: .seconds(1))
      precondition(!registry.snapshot().rendered(as: .prometheus).bytes.isEmpty)
    }
    let load = 100 * ((Process.processorTime - start.1) / (ContinuousClock.now - start.0))
    let megabytes = Double(max(0, Process.heapBytes - heap)) / 1_048_576
    running.cancel()
    await running.value
    findings.add(.load("monitoring: processor time", below: 2, "%", load))
    findings.add(.load("monitoring: memory", below: 50, "MB", megabytes))
  }

  private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool {
      get { value.load(ordering: .sequentiallyConsistent) }
      set { value.store(newValue, ordering: .sequentiallyConsistent) }
    }
  }
}
