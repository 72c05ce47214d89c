public import ReliabilityCore
import ReliabilityMetrics

extension ResilientCache {
  /// Requests by result, loads by outcome and time, what went and why, and how full it is.
  public func samples() -> [MetricSample] {
    let (statistics, count, cost, spaces, loading) = guarded.withLock {
      ($0.statistics, $0.table.count, $0.table.cost, $0.table.namespaceCount, $0.loads.count)
    }
    func gauge(_ metric: String, _ value: Double, _ help: String) -> MetricSample {
      MetricSample(
        name: metric, kind: .gauge, labels: [("cache", name)], value: value, help: help)
    }
    return statistics.samples("cache", name) + [
      gauge("cache_hit_ratio", statistics.hitRatio, "Part of the requests answered without a load"),
      gauge("cache_entries", Double(count), "Entries, those included that are over"),
      gauge("cache_cost", Double(cost), "What all entries cost together"),
      gauge("cache_namespaces", Double(spaces), "Namespaces that have entries"),
      gauge("cache_loads_running", Double(loading), "Loads that run"),
    ] + loadTimes.samples()
  }
}

extension CacheStatistics {
  func samples(_ label: String, _ name: String) -> [MetricSample] {
    func counter(
      _ metric: String, _ value: Int, _ help: String, _ more: (name: String, value: String)? = nil
    ) -> MetricSample {
      MetricSample(
        name: metric, kind: .counter, labels: [(label, name)] + (more.map { [$0] } ?? []),
        value: Double(value), help: help)
    }
    func hits(_ kind: String, _ value: Int) -> MetricSample {
      counter("cache_hits_total", value, "Requests answered without a load", ("kind", kind))
    }
    func loads(_ outcome: String, _ value: Int) -> MetricSample {
      counter("cache_load_failures_total", value, "Loads without a value", ("outcome", outcome))
    }
    func removals(_ reason: String, _ value: Int) -> MetricSample {
      counter("cache_removals_total", value, "Entries that went", ("reason", reason))
    }
    func refusals(_ reason: String, _ value: Int) -> MetricSample {
      counter("cache_refusals_total", value, "Values that were not kept", ("reason", reason))
    }
    return [
      hits("fresh", self.hits), hits("stale", staleHits), hits("negative", negativeHits),
      counter("cache_misses_total", misses, "Requests for which nothing was there"),
      counter("cache_shared_loads_total", sharedLoads, "Misses that waited for another's load"),
      counter("cache_loads_total", self.loads, "Loads that were started"),
      loads("error", loadFailures), loads("cancelled", loadCancellations),
      counter("cache_fallbacks_total", fallbacks, "Errors answered with a stale value"),
      removals("count", countEvictions), removals("cost", costEvictions),
      removals("expired", expirations), removals("invalidated", invalidations),
      refusals("oversized", oversized), refusals("outdated", outdated),
    ]
  }
}
