import HealthMonitoring
import ReliabilityMetrics

/// What it costs to answer a probe.
enum HealthBenchmarks {
  static let all: [Benchmark] = [
    .timed("health/answer") {
      let monitor = try await asked()
      return Comparison(subject: { iterations in
        for _ in 0..<iterations { keep(monitor.document(for: .readiness)) }
      })
    },
    .timed("health/status") {
      let monitor = try await asked()
      return Comparison(subject: { iterations in
        for _ in 0..<iterations { keep(monitor.status(for: .readiness)) }
      })
    },
  ]

  /// A monitor of 20 components that have all answered, with the recommended rules.
  private static func asked() async throws -> HealthMonitor {
    let checks = (0..<20).map { index in
      HealthCheck("component\(index):responseTime", componentType: "component") {
        .pass(observing: Double(index) + 0.5, unit: "ms")
      }
    }
    let monitor = HealthMonitor(
      checks, configuration: .init(rules: AlertRule.recommended(in: MetricsRegistry())))
    _ = try await monitor.checkAll()
    return monitor
  }
}
