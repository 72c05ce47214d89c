import ReliabilityMetrics
import ReliabilityTesting
import Testing

/// Hands out whatever samples it is given.
private struct Given: MetricsSource {
  var given: [MetricSample]
  init(_ given: MetricSample...) { self.given = given }
  init(_ given: [MetricSample]) { self.given = given }
  func samples() -> [MetricSample] { given }
}

@Suite struct MetricsRegistryTests {
  @Test func snapshotGathersEverySourceByName() {
    let registry = MetricsRegistry(prefix: "app", labels: [("instance", "one")])
    let calls = Counter("calls_total", help: "Calls made")
    calls.increment(by: 3)
    let level = Gauge("level", labels: [("instance", "own")])
    registry.register(level)
    registry.register(calls, labels: [("kind", "test")])
    let snapshot = registry.snapshot()
    #expect(snapshot.families.map(\.name) == ["app_calls_total", "app_level"])
    #expect(snapshot["app_calls_total"].first?.value == 3)
    #expect(snapshot["app_calls_total"].first?.labels.map(\.value) == ["test", "one"])
    #expect(snapshot["app_level"].first?.labels.map(\.value) == ["own"])
    #expect(snapshot.rejections.isEmpty)
  }

  @Test func aSourceRegisteredTwiceIsShownOnceAndOneRemovedNotAtAll() {
    let registry = MetricsRegistry()
    let calls = Counter("calls_total")
    calls.increment()
    registry.register(calls)
    registry.register(calls)
    #expect(registry.snapshot()["calls_total"].map(\.value) == [1])
    registry.unregister(calls)
    registry.unregister(calls)
    #expect(registry.snapshot().families.isEmpty)
  }

  @Test func equalSeriesAreAddedUp() throws {
    let registry = MetricsRegistry()
    let bounds: [Double] = [1, 2]
    let (first, second) = (
      Histogram("size_bytes", bounds: bounds), Histogram("size_bytes", bounds: bounds)
    )
    first.record(0.5)
    second.record(1.5)
    second.record(9)
    for source in [first, second] { registry.register(source) }
    registry.register(
      Given(
        MetricSample(name: "a_total", kind: .counter, labels: [("x", "1"), ("y", "2")], value: 1)))
    registry.register(
      Given(
        MetricSample(name: "a_total", kind: .counter, labels: [("y", "2"), ("x", "1")], value: 2)))
    let snapshot = registry.snapshot()
    #expect(snapshot["a_total"].map(\.value) == [3])
    let sizes = try #require(snapshot["size_bytes"].first?.distribution)
    #expect(sizes.count == 3 && sizes.buckets.map(\.count) == [1, 2] && sizes.sum == 11)
  }

  @Test func whatContradictsIsLeftOutAndNamed() {
    let registry = MetricsRegistry()
    registry.register(
      Given(
        MetricSample(name: "x", kind: .gauge, value: 1),
        MetricSample(name: "x", distribution: .init(buckets: [], count: 0, sum: 0)),
        MetricSample(name: "h", distribution: .init(buckets: [], count: 0, sum: 0)),
        MetricSample(name: "h_count", kind: .gauge, value: 1),
        MetricSample(name: "t_total", kind: .counter, value: 1),
        MetricSample(name: "t", kind: .gauge, value: 1)))
    registry.register(
      Given(
        MetricSample(
          name: "d",
          distribution: .init(buckets: [.init(upperBound: 1, count: 0)], count: 0, sum: 0))))
    registry.register(
      Given(
        MetricSample(
          name: "d",
          distribution: .init(buckets: [.init(upperBound: 2, count: 0)], count: 0, sum: 0))))
    let snapshot = registry.snapshot()
    #expect(snapshot.families.map(\.name) == ["d", "h", "t", "x"])
    #expect(snapshot.rejections.map(\.name) == ["d", "h_count", "t_total", "x"])
  }

  @Test func labelSetsBeyondTheLimitBecomeOther() {
    let registry = MetricsRegistry(maximumSeries: 3)
    registry.register(
      Given(
        (0..<10).map {
          MetricSample(name: "seen_total", kind: .counter, labels: [("id", "\($0)")], value: 1)
        }))
    let samples = registry.snapshot()["seen_total"]
    #expect(samples.count == 4)
    #expect(samples.reduce(0) { $0 + $1.value } == 10)
    #expect(samples.contains { $0.labels.first?.value == "other" && $0.value == 7 })
  }

  @Test("P29: a registry lets go of what is taken out, and keeps no figures of what is gone")
  func sourcesThatAreTakenOutAreReleased() {
    let registry = MetricsRegistry()
    weak var gone: Counter?
    for _ in 0..<1_000 {
      let counter = Counter("calls_total")
      gone = counter
      registry.register(counter)
      _ = registry.snapshot()
      registry.unregister(counter)
    }
    #expect(gone == nil)
    #expect(registry.snapshot()["calls_total"].isEmpty)
  }

  @Test func badSettingsTrap() async {
    await #expect(processExitsWith: .failure) { _ = MetricsRegistry(maximumSeries: 0) }
    await #expect(processExitsWith: .failure) { _ = MetricsRegistry(prefix: "9 lives") }
  }

  @Test func sourcesMayRegisterOthersWhileTheyAreAsked() {
    final class Eager: MetricsSource {
      let registry: MetricsRegistry
      init(_ registry: MetricsRegistry) { self.registry = registry }
      func samples() -> [MetricSample] {
        registry.register(Counter("late_total"))
        return []
      }
    }
    let registry = MetricsRegistry()
    registry.register(Eager(registry))
    #expect(registry.snapshot().families.isEmpty)
    #expect(registry.snapshot().families.map(\.name) == ["late_total"])
  }
}

@Suite struct MetricsDocumentTests {
  static let hostile = [
    "", " ", "\"", "\\", "\n", "\\n", "\r\n", "a\"b\\c\nd", "}", "{", ",", "=", "é", "🦆", "\u{0}",
    "\u{2028}",
    "# EOF", "le=\"1\"", "a,b=\"c\"",
  ]

  private func registry() -> MetricsRegistry {
    let registry = MetricsRegistry(labels: [("instance", Self.hostile.joined())])
    registry.register(
      Given(
        Self.hostile.enumerated().flatMap { index, text in
          [
            MetricSample(
              name: "seen_total", kind: .counter, labels: [("v", text)], value: Double(index),
              help: Self.hostile.joined()),
            MetricSample(
              name: "name " + text, kind: .gauge, labels: [("la\(text)bel", text), ("le", text)],
              value: -.infinity, help: text),
            MetricSample(
              name: "noTotal", kind: .counter, labels: [("quantile", text)], value: .nan),
            MetricSample(
              name: "1st", labels: [("__v", text)],
              distribution: .init(
                buckets: [
                  .init(upperBound: 2, count: 9), .init(upperBound: 1, count: 3),
                  .init(upperBound: .infinity, count: 99),
                ],
                count: 5, sum: .infinity)),
          ]
        }))
    let histogram = Histogram("duration_seconds", help: "Time")
    for n in 0..<1000 { histogram.record(Double(n) / 100) }
    registry.register(histogram)
    return registry
  }

  @Test(arguments: [false, true])
  func hostileNamesAndLabelsParseStrictly(isOpenMetrics: Bool) throws {
    let snapshot = registry().snapshot()
    let document = snapshot.rendered(as: isOpenMetrics ? .openMetrics : .prometheus)
    let parsed = try PrometheusParser(document.text, isOpenMetrics: isOpenMetrics)
    #expect(parsed.families.count == snapshot.families.count)
    let seen = try #require(parsed.families[isOpenMetrics ? "seen" : "seen_total"])
    #expect(seen.help == Self.hostile.joined())
    #expect(Set(seen.samples.map { $0.labels["v"] }) == Set(Self.hostile))
    for sample in seen.samples {
      #expect(sample.labels["instance"] == Self.hostile.joined())
      #expect(Self.hostile[Int(sample.value)] == sample.labels["v"])
    }
    let durations = try #require(parsed.families["duration_seconds"])
    #expect(durations.samples.first { $0.name.hasSuffix("_count") }?.value == 1000)
  }

  @Test func jsonHoldsWhatTheTextHolds() throws {
    let document = registry().snapshot().rendered(as: .json)
    #expect(document.contentType == "application/json")
    #expect(document.text.hasPrefix(#"{"metrics":[{"name":"#))
    #expect(
      document.text.contains(
        #"{"name":"duration_seconds","kind":"histogram","help":"Time","samples":[{"labels""#))
    #expect(!document.text.contains("nan") && !document.text.contains("inf,"))
  }

  @Test func theParserRefusesWhatACollectorRefuses() {
    for bad in [
      "a 1", "# TYPE a gauge\na 1", "# TYPE a gauge\na{b=\"c\"} 1\na{b=\"c\"} 2\n",
      "# TYPE a gauge\na{b=\"\\x\"} 1\n",
      "# TYPE a gauge\nb 1\n", "# TYPE a gauge\na nan\n", "# TYPE a gauge\na 1\n# TYPE a gauge\n",
      "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_sum 1\na_count 1\n",
      "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ] {
      #expect(throws: (any Error).self) { try PrometheusParser(bad, isOpenMetrics: false) }
    }
  }

  @Test func emptyRegistriesMakeValidDocuments() throws {
    let snapshot = MetricsRegistry().snapshot()
    #expect(
      try PrometheusParser(snapshot.rendered(as: .prometheus).text, isOpenMetrics: false).families
        .isEmpty)
    #expect(snapshot.rendered(as: .openMetrics).text == "# EOF\n")
    #expect(snapshot.rendered(as: .json).text == #"{"metrics":[]}"#)
  }

  @Test func countersNeverFallWhileTheyAreCounted() async throws {
    let counter = Counter("calls_total")
    let registry = MetricsRegistry()
    registry.register(counter)
    try await withThrowingTaskGroup { group in
      for _ in 0..<2 { group.addTask { for _ in 0..<20_000 { counter.increment() } } }
      var last = 0.0
      for _ in 0..<200 {
        let text = registry.snapshot().rendered(as: .prometheus).text
        let value = try #require(
          PrometheusParser(text, isOpenMetrics: false).families["calls_total"]?.samples.first?.value
        )
        #expect(value >= last)
        last = value
      }
      try await group.waitForAll()
    }
    #expect(registry.snapshot()["calls_total"].first?.value == 40_000)
  }

  @Test(
    arguments: [
      (nil, MetricsFormat.prometheus), ("", .prometheus), ("*/*", .prometheus),
      ("text/html", .prometheus),
      ("application/json", .json), ("application/json;q=0.4, text/plain;q=0.5", .prometheus),
      (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        .openMetrics
      ),
      ("application/openmetrics-text; version=0.0.1, */*;q=0.1", .prometheus),
      ("application/json;q=0", .prometheus),
      ("Application/JSON ; Q=1.0", .json), (";;;,,,q=", .prometheus),
    ] as [(String?, MetricsFormat)])
  func acceptHeaderChoosesTheFormat(accept: String?, format: MetricsFormat) {
    #expect(MetricsFormat.negotiated(accept: accept) == format)
  }

  @Test func contentTypesAreExact() {
    #expect(MetricsFormat.prometheus.contentType == "text/plain; version=0.0.4; charset=utf-8")
    #expect(
      MetricsFormat.openMetrics.contentType.hasPrefix("application/openmetrics-text; version=1.0.0")
    )
  }
}
