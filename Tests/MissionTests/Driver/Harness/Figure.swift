import Reliability

/// One threshold of the mission beside what was measured.
struct Figure: Sendable {
  /// How a figure is held to its limit.
  enum Rule: Sendable {
    /// It must be less; judged by the second of the two numbers, which is the 99th percentile where there are many samples.
    case below
    case atMost
    case atLeast
    case above
  }

  var name: String
  var rule: Rule
  var bound: Double
  var unit: String
  /// The median where there are many samples, else the number.
  var typical: Double
  /// What the verdict is about.
  var judged: Double
  /// How often the bound a typical value may miss it before the run fails; `nil` for counts, which may not miss it at all.
  var tolerance: Double?

  /// A number that must hold on every machine, however busy.
  static func count(_ name: String, _ rule: Rule, _ bound: Double, _ unit: String, _ value: Double)
    -> Figure
  {
    Figure(name: name, rule: rule, bound: bound, unit: unit, typical: value, judged: value)
  }

  /// A time, in milliseconds.
  ///
  /// - Parameter tolerance: How often the bound the median may be before the run fails.
  static func time(
    _ name: String, below bound: Double, _ times: Times, tolerance: Double = 20
  ) -> Figure {
    Figure(
      name: name, rule: .below, bound: bound, unit: "ms", typical: times.quantile(0.5),
      judged: times.quantile(0.99), tolerance: tolerance)
  }

  /// A time of which there is a histogram, in milliseconds.
  static func time(_ name: String, below bound: Double, _ times: HistogramSnapshot) -> Figure {
    Figure(
      name: name, rule: .below, bound: bound, unit: "ms",
      typical: 1000 * (times.quantile(0.5) ?? .nan), judged: 1000 * (times.quantile(0.99) ?? .nan),
      tolerance: 20)
  }

  /// A share that depends on what else the machine does.
  static func load(
    _ name: String, below bound: Double, _ unit: String, _ value: Double, tolerance: Double = 5
  ) -> Figure {
    Figure(
      name: name, rule: .below, bound: bound, unit: unit, typical: value, judged: value,
      tolerance: tolerance)
  }

  private func holds(_ value: Double, to bound: Double) -> Bool {
    switch rule {
    case .below: value < bound
    case .atMost: value <= bound
    case .atLeast: value >= bound
    case .above: value > bound
    }
  }

  var isMet: Bool { holds(judged, to: bound) }

  var isViolated: Bool {
    guard let tolerance else { return !isMet }
    return !holds(typical, to: bound * tolerance)
  }

  var limit: String {
    let sign =
      switch rule {
      case .below: "<"
      case .atMost: "<="
      case .atLeast: ">="
      case .above: ">"
      }
    return bound == 0 && rule == .atMost ? "0\(suffix)" : "\(sign) \(Self.text(bound))\(suffix)"
  }

  var measured: String {
    guard unit == "ms" else { return Self.text(judged) + suffix }
    return "\(Self.text(typical)) median, \(Self.text(judged)) p99\(suffix)"
  }

  private var suffix: String { unit.isEmpty ? "" : " \(unit)" }

  /// Three digits that count.
  private static func text(_ value: Double) -> String {
    guard value.isFinite else { return "none" }
    let digits = abs(value) >= 100 ? 0 : abs(value) >= 10 ? 1 : abs(value) >= 1 ? 2 : 4
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() && abs(rounded) < 1e15 ? "\(Int(rounded))" : "\(rounded)"
  }

  static func table(_ figures: [Figure]) -> String {
    let rows =
      [["threshold", "limit", "measured", "met"]]
      + figures.map { [$0.name, $0.limit, $0.measured, $0.isMet ? "yes" : "NO"] }
    let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
        .joined(separator: "  ")
    }.joined(separator: "\n")
  }
}

/// Times that were measured, in milliseconds.
struct Times: Sendable {
  private(set) var samples: [Double] = []

  mutating func add(_ duration: Duration) { samples.append(duration.milliseconds) }
  mutating func add(_ others: Times) { samples += others.samples }

  /// Measures a body some times.
  ///
  /// - Parameters:
  ///   - count: How often.
  ///   - batch: How many calls make one sample: where one is shorter than reading the clock.
  ///   - body: The call.
  static nonisolated(nonsending) func measure(
    _ count: Int, batch: Int = 1, _ body: () async throws -> Void
  ) async rethrows -> Times {
    var times = Times()
    let clock = ContinuousClock()
    for _ in 0..<count {
      let start = clock.now
      for _ in 0..<batch { try await body() }
      times.add((clock.now - start) / batch)
    }
    return times
  }

  func quantile(_ fraction: Double) -> Double {
    guard !samples.isEmpty else { return .nan }
    return samples.sorted()[min(samples.count - 1, Int(fraction * Double(samples.count)))]
  }
}

extension Duration {
  var milliseconds: Double {
    Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15
  }
}
