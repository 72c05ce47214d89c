import Testing

@testable import ReliabilityMetrics

@Suite struct CounterTests {
  @Test func aNewCounterStandsAtZero() {
    #expect(Counter("things_total").value == 0)
  }

  @Test func incrementsAddUp() {
    let counter = Counter("things_total")
    counter.increment()
    counter.increment(by: 41)
    #expect(counter.value == 42)
  }

  @Test(arguments: [0, -1, Int.min])
  func zeroAndNegativeAmountsAreIgnored(amount: Int) {
    let counter = Counter("things_total")
    counter.increment(by: 7)
    counter.increment(by: amount)
    #expect(counter.value == 7)
  }

  @Test func hugeAmountsSaturateInsteadOfWrappingAround() {
    let counter = Counter("things_total")
    var last = 0
    for _ in 0..<1000 {
      counter.increment(by: .max)
      let value = counter.value
      #expect(value >= 1 << 56 && value >= last)
      last = value
    }
    counter.increment()
    #expect(counter.value == last)
  }

  @Test func noIncrementIsLostBetweenThreads() async {
    let counter = Counter("things_total")
    await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          for amount in 1...1000 { counter.increment(by: amount) }
        }
      }
    }
    #expect(counter.value == 8 * 500_500)
  }

  @Test func aReaderNeverSeesTheCountFallWhileOthersCount() async {
    let counter = Counter("things_total")
    await withTaskGroup { group in
      for _ in 0..<3 {
        group.addTask { for _ in 0..<20_000 { counter.increment() } }
      }
      group.addTask {
        var last = 0
        while last < 60_000 {
          let value = counter.value
          #expect(value >= last && value <= 60_000)
          last = value
          await Task.yield()
        }
      }
    }
    #expect(counter.value == 60_000)
  }

  @Test func theSampleCarriesNameKindLabelsHelpAndValue() {
    let counter = Counter("things_total", help: "Things", labels: [("color", "red")])
    counter.increment(by: 3)
    #expect(
      counter.samples() == [
        MetricSample(
          name: "things_total", kind: .counter, labels: [("color", "red")], value: 3,
          help: "Things")
      ])
  }
}

@Suite struct GaugeTests {
  @Test func aNewGaugeStandsAtZero() {
    #expect(Gauge("things").value == 0)
  }

  @Test func setIncrementAndDecrementMoveIt() {
    let gauge = Gauge("things")
    gauge.set(to: 10)
    gauge.increment()
    gauge.increment(by: 2.5)
    gauge.decrement()
    gauge.decrement(by: 0.5)
    #expect(gauge.value == 12)
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity, .greatestFiniteMagnitude, -0.0])
  func everyValueIsShownAsItIs(value: Double) {
    let gauge = Gauge("things")
    gauge.set(to: value)
    #expect(gauge.value.bitPattern == value.bitPattern)
    gauge.increment(by: .nan)
    #expect(gauge.value.isNaN)
    gauge.set(to: 1)
    #expect(gauge.value == 1)
  }

  @Test func noChangeIsLostBetweenThreads() async {
    let gauge = Gauge("things")
    await withTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          for amount in 1...1000 {
            gauge.increment(by: Double(amount))
            gauge.decrement()
          }
        }
      }
    }
    #expect(gauge.value == 8 * (500_500 - 1000))
  }

  @Test func theSampleCarriesNameKindLabelsHelpAndValue() {
    let gauge = Gauge("things", help: "Things", labels: [("color", "red")])
    gauge.set(to: -1.5)
    #expect(
      gauge.samples() == [
        MetricSample(
          name: "things", kind: .gauge, labels: [("color", "red")], value: -1.5, help: "Things")
      ])
  }
}

@Suite struct MetricIdentityTests {
  /// Whether making the identity would trap, without trapping.
  private func rule(
    _ name: String, _ labels: [(name: String, value: String)] = [], isCounter: Bool = false
  ) -> String? {
    var identity = MetricIdentity("valid", help: "", labels: [])
    (identity.name, identity.labels) = (name, labels)
    do {
      try identity.validate(isCounter: isCounter)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test(arguments: ["a", "A9", "_x", ":rule", "request_duration_seconds"])
  func namesOfThePrometheusDataModelAreAccepted(name: String) {
    #expect(rule(name) == nil)
  }

  @Test(arguments: ["", "9a", "a-b", "a b", "ä", "a\n", "a\"", "a\u{301}"])
  func otherNamesAreRefusedWithTheRule(name: String) throws {
    #expect(try #require(rule(name)).contains("must consist of letters"))
  }

  @Test func countersAndOnlyTheyEndInTotal() {
    #expect(rule("x_total", isCounter: true) == nil)
    #expect(rule("x", isCounter: true)?.contains("must end in _total") == true)
    #expect(rule("x_total")?.contains("must not end in _total") == true)
  }

  @Test func labelValuesMayBeAnything() {
    #expect(rule("x", [("a", ""), ("b", "\"\\\n\u{0}é")]) == nil)
  }

  @Test(arguments: ["", "0", "a:b", "__reserved", "le", "quantile", "a b"])
  func badLabelNamesAreRefused(label: String) throws {
    #expect(try #require(rule("x", [(label, "v")])).contains("label \"\(label)\" of x must"))
  }

  @Test func aLabelThatOccursTwiceIsRefused() {
    #expect(rule("x", [("a", "1"), ("b", "1"), ("a", "2")])?.contains("twice") == true)
  }

  @Test func aBadNameTrapsWhereTheMetricIsMade() async {
    await #expect(processExitsWith: .failure) { _ = Counter("without_suffix") }
    await #expect(processExitsWith: .failure) { _ = Gauge("9") }
    await #expect(processExitsWith: .failure) { _ = Histogram("x", bounds: [2, 1]) }
  }
}
