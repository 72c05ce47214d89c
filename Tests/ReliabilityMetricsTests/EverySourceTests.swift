import Foundation
import Reliability
import ReliabilityTestSupport
import Testing

/// One of every source there is, each made to count something.
private struct Everything {
  let breaker = CircuitBreaker(name: "search")
  let keyedBreaker = KeyedCircuitBreaker<String>(name: "hosts")
  let rate = RateLimiter(.perClient, name: "search")
  let keyedRate = KeyedRateLimiter<Int>(.perClient, name: "clients")
  let fixed = ConcurrencyLimiter(.fixed(2), name: "pages")
  let adaptive = ConcurrencyLimiter(.adaptive, name: "search")
  let retries = RetryMetrics(name: "search")
  let budget = RetryBudget(name: "search")
  let reporter = ErrorReporter()
  let lock: BackoffLock
  let lease: NetworkLease
  let log: AppendLog
  let document: AtomicDocument<[Int]>
  let store: TransactionStore
  private let directory: String

  init(in directory: String) async throws {
    self.directory = directory
    lock = BackoffLock("\(directory)/lock")
    lease = NetworkLease("\(directory)/lease")
    log = try await AppendLog("\(directory)/log")
    document = AtomicDocument("\(directory)/document")
    store = try await TransactionStore(directory)
  }

  var sources: [any MetricsSource] {
    [
      breaker, keyedBreaker, rate, keyedRate, fixed, adaptive, retries, budget, reporter, lock,
      lease, log, document, store, TimeoutStatistics.shared, AtomicFileStatistics.shared,
      SweepStatistics.shared, DiskStatistics.shared, Counter("things_total", help: "Things"),
      Gauge("things_now", help: "Things"), Histogram("things_seconds", help: "Things"),
    ]
  }

  /// Something good and something bad happens to each.
  func use() async throws {
    struct Down: Error {}
    for _ in 0..<2 {
      _ = try? await breaker.run { throw Down() }
      try await breaker.run {}
      _ = try? await keyedBreaker.run(for: "a") { throw Down() }
      _ = try? await fixed.run { throw HTTPStatusError(429) }
      try await adaptive.run {}
      try await fixed.run {}
      _ = rate.tryAcquire(9)
      _ = keyedRate.tryAcquire(for: 1, 9)
      budget.deposit()
      _ = budget.withdraw()
      var policy = RetryPolicy(maxAttempts: 2, backoff: .constant(.zero))
      policy.observer = retries.observe
      _ = try? await retry(policy) { throw Down() }
      _ = try? await withTimeout(.zero) {}
      reporter.report(Down())
      try await lock.withLock { _ in }
      try await lease.withLease { _ in }
      try await log.append(Array(#"{"a": 1}"#.utf8))
      try await document.save([1, 2, 3])
      try await store.replace("file", with: [1, 2, 3])
      try await AtomicFile.replace("\(directory)/plain", with: [1])
      try await OrphanSweeper.sweep(directory)
    }
  }
}

@Suite(.realTime, .serialized) struct RealTimeEverySourceTests {
  @Test(
    "One of everything: strict text, base units, few labels, no counter falls"
  )
  func everything() async throws {
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("metrics-tests-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let all = try await Everything(in: directory)
    let registry = MetricsRegistry(prefix: "app")
    for source in all.sources { registry.register(source) }
    var before: [String: Double] = [:]
    for round in 0..<3 {
      try await all.use()
      for format in [MetricsFormat.prometheus, .openMetrics] {
        let text = registry.snapshot().rendered(as: format).text
        let parsed = try PrometheusParser(text, isOpenMetrics: format == .openMetrics)
        #expect(parsed.families.count >= 60, "\(parsed.families.keys.sorted())")
        guard format == .prometheus else { continue }
        let counters = check(parsed)
        for (series, value) in before {
          #expect(counters[series] ?? -1 >= value, "round \(round): \(series) fell")
        }
        before = counters
      }
    }
    for name in ["lease_acquisitions", "file_saves", "transaction_commits", "retry_stops"] {
      #expect(before.contains { $0.key.hasPrefix("app_\(name)_total") && $0.value >= 6 }, "\(name)")
    }
  }

  /// Checks what a grammar can't; returns the counters by series.
  private func check(_ parsed: PrometheusParser) -> [String: Double] {
    var counters: [String: Double] = [:]
    let forbidden = ["_milliseconds", "_ms", "_percent", "_kb", "_minutes", "_nanoseconds"]
    for (name, family) in parsed.families {
      #expect(family.help?.isEmpty == false, "\(name) says what it is")
      #expect((family.kind == "counter") == name.hasSuffix("_total"), "\(name)")
      #expect(!forbidden.contains { name.contains($0) }, "\(name) is in base units")
      if family.kind == "histogram" { #expect(name.hasSuffix("_seconds"), "\(name)") }
      for sample in family.samples {
        for (label, value) in sample.labels where label != "le" {
          #expect(!value.contains("/"), "\(name): \(label)=\(value) is an identifier")
        }
        if family.kind == "counter" {
          counters["\(sample.name)\(sample.labels.sorted { $0.key < $1.key })"] = sample.value
        }
      }
    }
    return counters
  }

  @Test("Ten of a kind with one name are one series, whose counters are the sum")
  func manyOfAKind() throws {
    let registry = MetricsRegistry()
    for _ in 0..<10 {
      let limiter = RateLimiter(.perClient, name: "clients")
      _ = limiter.tryAcquire()
      registry.register(limiter)
    }
    let text = registry.snapshot().rendered(as: .prometheus).text
    let parsed = try PrometheusParser(text, isOpenMetrics: false)
    let allowed = parsed.families["ratelimit_decisions_total"]?.samples.first {
      $0.labels["result"] == "allowed"
    }
    #expect(allowed?.value == 10)
  }
}
