import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting

@testable import HealthMonitoring

struct Down: Error, Equatable {
  var number = 0
}

/// An error with a secret in its description and a sentence for people.
struct Polite: ClassifiedError, CustomStringConvertible {
  var category: ErrorCategory { .dependency }
  var retryability: Retryability { .retryable() }
  var userMessage: String? { "the database is down" }
  var description: String { "password=hunter2" }
}

/// A value that several tasks may set.
final class Box<Value: Sendable>: Sendable {
  private let content: Lock<Value>

  init(_ value: Value) { content = Lock(value) }

  var value: Value {
    get { content.withLock { $0 } }
    set { content.withLock { $0 = newValue } }
  }
}

/// A door that is shut until a test opens it; deaf to cancellation.
final class Gate: Sendable {
  private let state = Lock((isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))

  var waiting: Int { state.withLock { $0.waiting.count } }

  func pass() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      defer { state = (true, []) }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}

/// A component that a test makes well or ill, and how often it was asked.
final class Patient: Sendable {
  let asked = Tally()
  let isWell = Box(true)

  func check(
    _ name: String = "patient", scope: HealthCheck.Scope = .dependency,
    interval: Duration = .seconds(10), timeout: Duration = .seconds(2)
  ) -> HealthCheck {
    HealthCheck(name, scope: scope, interval: interval, timeout: timeout) { [self] in
      asked.next()
      return isWell.value ? .pass : .fail("ill")
    }
  }
}

/// A monitor on a clock that a test moves, and everything that its observer was told.
struct Lab {
  let clock = ManualClock()
  let events = Log<HealthEvent>()
  let monitor: HealthMonitor

  init(
    _ checks: [HealthCheck], rules: [AlertRule] = [], alertInterval: Duration = .seconds(5),
    also observer: (@Sendable (HealthEvent) -> Void)? = nil
  ) {
    var configuration = HealthMonitor.Configuration(rules: rules, alertInterval: alertInterval)
    configuration.clock = clock
    configuration.wallClock = { WallTime(secondsSince1970: 1_736_951_422) }
    configuration.observer = { [events] event in
      events.append(event)
      observer?(event)
    }
    monitor = HealthMonitor(checks, configuration: configuration)
  }

  var story: [String] { events.all.map { "\($0.kind.rawValue) \($0.name)" } }

  func count(_ kind: HealthEvent.Kind, _ name: String) -> Int {
    events.all.count { $0.kind == kind && $0.name == name }
  }

  func component(_ name: String) -> HealthReport.Component {
    monitor.report().components.first { $0.name == name }!
  }

  func status(_ name: String) -> HealthStatus { component(name).status }

  /// How often a check ended in a way.
  func outcomes(_ name: String, _ outcome: String) -> Int {
    let sample = monitor.samples().first { sample in
      sample.name == "health_checks_total" && sample.labels.contains { $0.value == name }
        && sample.labels.contains { $0.value == outcome }
    }
    return Int(sample!.value)
  }

  /// Runs the schedule while the body does.
  func running(_ body: () async throws -> Void) async throws {
    let task = Task { await monitor.run() }
    defer { task.cancel() }
    try await body()
    task.cancel()
    await task.value
  }
}
