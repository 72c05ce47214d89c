public import ReliabilityMetrics

/// The figures that the recommended rules watch.
///
/// Each can be supplied by a closure, or found in a snapshot of this package's own metrics:
///
///     let rules = AlertRule.recommended { figure in
///       switch figure {
///       case .memoryRatio: sampler.memoryRatio
///       default: figure.value(in: registry.snapshot())
///       }
///     }
public enum AlertFigure: String, CaseIterable, Hashable, Sendable {
  /// Succeeded jobs as a part of those that ended for good, 0 to 1.
  case successRatio = "success_ratio"
  /// Jobs that wait.
  case queuedJobs = "queued_jobs"
  /// The fullest pool's lent resources as a part of its maximum, 0 to 1.
  case poolUsedRatio = "pool_used_ratio"
  /// Jobs that failed for good and wait for a decision.
  case deadLetters = "dead_letters"
  /// Circuit breakers that let nothing through.
  case openBreakers = "open_breakers"
  /// The most failed uses of any one pooled resource.
  case poolResourceErrors = "pool_resource_errors"
  /// Waits for a lock that ended without it, ever; the rule looks at a day.
  case lockTimeouts = "lock_timeouts"
  /// Saves that failed as a part of all saves, 0 to 1.
  case saveFailureRatio = "save_failure_ratio"
  /// Temporary files that nobody owned and a sweep found, ever; the rule looks at a day.
  case orphanedFiles = "orphaned_files"
  /// Memory in use as a part of its limit, 0 to 1.
  case memoryRatio = "memory_ratio"
  /// Processor time in use as a part of its limit, 0 to 1.
  case cpuRatio = "cpu_ratio"
  /// Time taken as a part of its limit, 0 to 1.
  case timeRatio = "time_ratio"

  /// The figure as the metrics of this package show it, whatever prefix their registry has.
  ///
  /// `nil` where no source of it is in the registry, and for ``memoryRatio``, ``cpuRatio`` and ``timeRatio``, which belong to
  /// single processes and are no metrics.
  ///
  /// - Parameter metrics: A registry's figures.
  /// - Complexity: O(families).
  public func value(in metrics: MetricsSnapshot) -> Double? {
    switch self {
    case .successRatio:
      // The states, where a collector's rules leave no room for both names.
      return Self.ratio(
        Self.sum(metrics, "jobs_total", "outcome", ["succeeded"]),
        of: Self.sum(metrics, "jobs_total", "outcome", ["succeeded", "failed", "dead_lettered"]))
        ?? Self.ratio(
          Self.sum(metrics, "jobs_in_state", "state", ["completed"]),
          of: Self.sum(metrics, "jobs_in_state", "state", ["completed", "failed", "dead"]))
    case .queuedJobs: return Self.sum(metrics, "jobs_in_state", "state", ["pending"])
    case .poolUsedRatio: return Self.values(metrics, "pool_used_ratio").max()
    case .deadLetters: return Self.sum(metrics, "dead_letter_jobs")
    case .openBreakers:
      // Single breakers, and those of a keyed one, which counts them by state.
      let states = ["open", "forcedOpen"]
      let single = Self.sum(metrics, "breaker_state", "state", states)
      let keyed = Self.sum(metrics, "breakers", "state", states)
      return single == nil && keyed == nil ? nil : (single ?? 0) + (keyed ?? 0)
    case .poolResourceErrors: return Self.values(metrics, "pool_resource_errors_max").max()
    case .lockTimeouts: return Self.sum(metrics, "lock_timeouts_total")
    case .saveFailureRatio:
      return Self.ratio(
        Self.sum(metrics, "file_saves_total", "status", ["failed"]),
        of: Self.sum(metrics, "file_saves_total"))
    case .orphanedFiles: return Self.sum(metrics, "orphans_removed_total")
    case .memoryRatio, .cpuRatio, .timeRatio: return nil
    }
  }

  private static func ratio(_ part: Double?, of whole: Double?) -> Double? {
    guard let part, let whole, whole > 0 else { return nil }
    return part / whole
  }

  private static func sum(
    _ metrics: MetricsSnapshot, _ name: String, _ label: String? = nil, _ allowed: [String] = []
  ) -> Double? {
    let values = values(metrics, name, label, allowed)
    return values.isEmpty ? nil : values.reduce(0, +)
  }

  /// The values of a metric, with the registry's prefix or without.
  private static func values(
    _ metrics: MetricsSnapshot, _ name: String, _ label: String? = nil, _ allowed: [String] = []
  ) -> [Double] {
    let suffix = "_" + name
    let exact = metrics.families.first { $0.name == name }
    // Of several names that end so, the shortest: `app_jobs`, not `app_dead_letter_jobs`.
    let family =
      exact
      ?? metrics.families.filter { $0.name.hasSuffix(suffix) }
      .min { $0.name.utf8.count < $1.name.utf8.count }
    return (family?.samples ?? []).filter { sample in
      guard let label else { return true }
      return sample.labels.contains { $0.name == label && allowed.contains($0.value) }
    }
    .map(\.value)
  }
}

extension AlertRule {
  /// The rules for a program made of this package's parts, over figures that a closure supplies.
  ///
  /// | rule | raised | cleared | minimum duration |
  /// |---|---|---|---|
  /// | `success_ratio` | < 0.95 | ≥ 0.97 | 1 min |
  /// | `queued_jobs` | > 100 | ≤ 80 | 1 min |
  /// | `pool_used_ratio` | > 0.8 | ≤ 0.7 | 1 min |
  /// | `dead_letters` | > 10 | ≤ 8 | at once |
  /// | `open_breakers` | ≥ 1 | 0 | at once, cleared after 1 min |
  /// | `pool_resource_errors` | > 5 | ≤ 5 | at once |
  /// | `lock_timeouts` | ≥ 1 in a day | 0 | at once |
  /// | `save_failure_ratio` | ≥ 0.001 | ≤ 0.0009 | at once, cleared after 1 min |
  /// | `orphaned_files` | > 0 in a day | 0 | at once |
  /// | `memory_ratio` | > 0.8 | ≤ 0.75 | 10 s |
  /// | `cpu_ratio` | > 0.9 | ≤ 0.8 | 30 s |
  /// | `time_ratio` | > 0.8 | ≤ 0.8 | at once |
  ///
  /// - Parameter value: Supplies a figure, `nil` where there is none, whose rule is silent then. Called at every evaluation,
  ///   outside locks; must not block.
  public static func recommended(
    _ value: @escaping @Sendable (AlertFigure) -> Double?
  ) -> [AlertRule] {
    recommended { figure in .value { value(figure) } }
  }

  /// The rules of ``recommended(_:)``, over the metrics of this package in a registry.
  ///
  /// - Parameter metrics: Where the parts of the program are registered.
  public static func recommended(in metrics: MetricsRegistry) -> [AlertRule] {
    recommended { figure in .metrics(metrics) { figure.value(in: $0) } }
  }

  private static func recommended(source: (AlertFigure) -> Source) -> [AlertRule] {
    AlertFigure.allCases.map { figure in
      let (threshold, clear, duration): (Threshold, Double, Duration) =
        switch figure {
        case .successRatio: (.below(0.95), 0.97, .seconds(60))
        case .queuedJobs: (.above(100), 80, .seconds(60))
        case .poolUsedRatio: (.above(0.8), 0.7, .seconds(60))
        case .deadLetters: (.above(10), 8, .zero)
        case .openBreakers: (.atLeast(1), 0, .zero)
        case .poolResourceErrors: (.above(5), 5, .zero)
        case .lockTimeouts: (.atLeast(1), 0, .zero)
        case .saveFailureRatio: (.atLeast(0.001), 0.0009, .zero)
        case .orphanedFiles: (.above(0), 0, .zero)
        case .memoryRatio: (.above(0.8), 0.75, .seconds(10))
        case .cpuRatio: (.above(0.9), 0.8, .seconds(30))
        case .timeRatio: (.above(0.8), 0.8, .zero)
        }
      var rule = AlertRule(figure.rawValue, threshold, clear, duration, source(figure))
      switch figure {
      case .openBreakers, .saveFailureRatio: rule.clearDuration = .seconds(60)
      case .lockTimeouts, .orphanedFiles: rule.growthOver = .seconds(86_400)
      default: break
      }
      return rule
    }
  }
}
