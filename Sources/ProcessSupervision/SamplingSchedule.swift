internal import ReliabilityCore

/// When resources are measured, and which figures are worth an alert.
struct SamplingSchedule {
  private let rules: SupervisionRules
  private var trend = MemoryTrend()
  private var raised: Set<ProcessAlert.Kind> = []
  private var isBusy = false

  /// When the next sample is due, `Int64.max` while one is being taken.
  private(set) var next: Int64

  init(rules: SupervisionRules, start: Int64) {
    self.rules = rules
    next = start.plus(Self.interval(rules, headroom: rules.memory, rate: 0))
  }

  /// Whether a sample is due, which is then being taken.
  mutating func take(at now: Int64) -> Bool {
    guard now >= next else { return false }
    next = .max
    return true
  }

  /// Writes a sample down and decides when the next one is due.
  ///
  /// One that is not complete shows the least that is used: it raises alerts, takes none back, says nothing of a trend, and is
  /// soon taken again.
  ///
  /// - Returns: The alerts that are raised or taken back.
  mutating func record(
    memory: Int64, cpuPercent: Double?, cost: Int64, isComplete: Bool = true, at now: Int64
  ) -> [ProcessAlert] {
    if isComplete { trend.record(memory, at: now) }
    var interval = Self.interval(
      rules, headroom: rules.memory.map { $0 - memory }, rate: trend.latestRate)
    if !isComplete { interval = min(interval, max(rules.fastestSampling, rules.sampling / 10)) }
    let affordable = cost.multipliedReportingOverflow(by: SupervisionRules.costDivisor)
    next = now.plus(max(interval, affordable.overflow ? .max : affordable.partialValue))

    var alerts: [ProcessAlert] = []
    let limit = rules.memory ?? rules.machineMemory
    let part = Double(memory) / Double(limit)
    let release = isComplete ? rules.alerts.memory * 0.95 : -.infinity
    judge(.memory, part, rules.alerts.memory, release: release, &alerts)
    guard isComplete else { return alerts }
    if let cpuPercent {
      // Two in a row: a burst of work is no trouble.
      let isBusyNow = cpuPercent > rules.alerts.cpuPercent
      if isBusy || !isBusyNow || raised.contains(.cpu) {
        judge(
          .cpu, cpuPercent, rules.alerts.cpuPercent, release: rules.alerts.cpuPercent * 0.95,
          &alerts)
      }
      isBusy = isBusyNow
    }
    judgeTrend(&alerts)
    return alerts
  }

  /// The longest time until the next sample in which the memory limit is not passed by much.
  private static func interval(_ rules: SupervisionRules, headroom: Int64?, rate: Double) -> Int64 {
    guard let headroom else { return rules.sampling }
    let seconds = Double(max(0, headroom)) / max(SupervisionRules.burst, rate * 2)
    guard seconds < Double(rules.sampling) / 1e9 else { return rules.sampling }
    return max(rules.fastestSampling, Int64(seconds * 1e9))
  }

  private mutating func judge(
    _ kind: ProcessAlert.Kind, _ value: Double, _ threshold: Double, release: Double,
    _ alerts: inout [ProcessAlert]
  ) {
    if value > threshold, raised.insert(kind).inserted {
      alerts.append(
        ProcessAlert(kind: kind, isRaised: true, value: value, threshold: threshold))
    } else if value < release, raised.remove(kind) != nil {
      alerts.append(
        ProcessAlert(kind: kind, isRaised: false, value: value, threshold: threshold))
    }
  }

  private mutating func judgeTrend(_ alerts: inout [ProcessAlert]) {
    guard let limit = rules.memory else { return }
    let horizon = rules.alerts.trendHorizon.seconds
    let seconds = trend.seconds(to: limit)
    if let seconds, seconds < horizon {
      guard raised.insert(.memoryTrend).inserted else { return }
      alerts.append(
        ProcessAlert(kind: .memoryTrend, isRaised: true, value: seconds, threshold: horizon))
    } else if (seconds ?? .infinity) > horizon * 1.5, raised.remove(.memoryTrend) != nil {
      alerts.append(
        ProcessAlert(
          kind: .memoryTrend, isRaised: false, value: seconds ?? .infinity, threshold: horizon))
    }
  }
}
