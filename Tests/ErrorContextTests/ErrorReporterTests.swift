import ErrorContext
import Testing

@Suite struct ErrorReporterTests {
  final class Recorder: ErrorSink {
    let reports = Lock<[ErrorReport]>([])
    func receive(_ report: ErrorReport) { reports.withLock { $0.append(report) } }
    var count: Int { reports.withLock { $0.count } }
  }

  @Test("Every sink gets the report, also after one that throws; the failure is counted")
  func throwingSink() {
    let recorder = Recorder()
    let reporter = ErrorReporter()
    reporter.add { _ in throw Plain() }
    reporter.add(recorder)
    let report = reporter.report(NetworkError("down"))
    #expect(recorder.reports.withLock { $0 } == [report])
    #expect(sample(reporter, "error_sink_failures_total") == 1)
    #expect(sample(reporter, "errors_reported_total") == 1)
  }

  @Test("A sink that reports to its own reporter does not come back to itself")
  func reentrantSink() {
    let reporter = ErrorReporter()
    let calls = Lock(0)
    reporter.add { [unowned reporter] _ in
      calls.withLock { $0 += 1 }
      reporter.report(Plain())
      reporter.add { _ in }
    }
    reporter.report(Plain())
    #expect(calls.withLock { $0 } == 1)
    #expect(sample(reporter, "error_reports_dropped_total") == 1)
  }

  @Test("A removed sink gets nothing more")
  func removedSink() {
    let recorder = Recorder()
    let reporter = ErrorReporter()
    let id = reporter.add(recorder)
    reporter.report(Plain())
    reporter.remove(id)
    reporter.report(Plain())
    #expect(recorder.count == 1)
  }

  @Test("A cancellation is reported to nobody")
  func cancellation() {
    let recorder = Recorder()
    let reporter = ErrorReporter(sinks: [recorder])
    reporter.report(CancellationError())
    #expect(recorder.count == 0)
  }

  @Test("A reader that doesn't read keeps the newest reports, the rest is counted as dropped")
  func slowReader() async {
    let reporter = ErrorReporter()
    let stream = reporter.reports(keeping: 3)
    for number in 0..<10 { reporter.report(Described(description: "number \(number) of ten")) }
    var iterator = stream.makeAsyncIterator()
    #expect(await iterator.next()?.detail == "number 7 of ten")
    #expect(sample(reporter, "error_reports_dropped_total") == 7)
  }

  @Test("Counting by category stays bounded however many categories there are")
  func boundedCategories() {
    let reporter = ErrorReporter()
    for number in 0..<500 { reporter.report(Classified(category: .init(rawValue: "c\(number)"))) }
    let counted = reporter.samples().filter { $0.name == "errors_reported_total" }
    #expect(counted.count == 33)
    #expect(counted.map(\.value).reduce(0, +) == 500)
  }

  @Test("Reports from many tasks all arrive")
  func concurrent() async {
    let recorder = Recorder()
    let reporter = ErrorReporter(sinks: [recorder])
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<100 { group.addTask { reporter.report(Plain()) } }
    }
    #expect(recorder.count == 100)
  }

  private func sample(_ reporter: ErrorReporter, _ name: String) -> Double? {
    reporter.samples().first { $0.name == name }?.value
  }

  @Test("Two reporters that forward to each other do not go round in circles")
  func forwardingBothWays() {
    let (one, other) = (ErrorReporter(), ErrorReporter())
    let received = Lock((one: 0, other: 0))
    one.add { report in
      received.withLock { $0.one += 1 }
      other.deliver(report)
    }
    other.add { report in
      received.withLock { $0.other += 1 }
      one.deliver(report)
    }
    one.report(Plain())
    #expect(received.withLock { $0 == (1, 1) })
    #expect(one.samples().first { $0.name == "error_reports_dropped_total" }?.value == 1)
  }

  @Test("A sink may use its reporter while it is being released")
  func releasedSinkUsesReporter() {
    final class Flushing: ErrorSink {
      let reporter: ErrorReporter
      init(_ reporter: ErrorReporter) { self.reporter = reporter }
      func receive(_ report: ErrorReport) {}
      deinit { reporter.report(Plain()) }
    }
    let reporter = ErrorReporter()
    let id = reporter.add(Flushing(reporter))
    reporter.remove(id)
    reporter.remove(id)
    #expect(reporter.samples().first?.value == 1)
  }
}

@Suite struct WithFallbackTests {
  @Test("A failure gives the value and is reported with its context")
  func failure() async throws {
    let recorder = ErrorReporterTests.Recorder()
    let reporter = ErrorReporter(sinks: [recorder])
    let value = try await withErrorContext("page") {
      try await withFallback(7, reporter: reporter) { () async throws -> Int in throw Plain() }
    }
    #expect(value == 7)
    #expect(recorder.reports.withLock { $0.first?.context.first?.name } == "page")
    #expect(try withFallback(8, reporter: reporter) { throw Plain() } == 8)
    #expect(recorder.count == 2)
  }

  @Test("A success is returned as it is, nil included, and the value isn't even evaluated")
  func success() throws {
    func unexpected() -> Int? {
      Issue.record("evaluated")
      return 1
    }
    let reporter = ErrorReporter()
    #expect(try withFallback(unexpected(), reporter: reporter) { nil } == nil)
    #expect(reporter.samples().allSatisfy { $0.value == 0 })
  }

  @Test("A cancellation is thrown on, also when it is wrapped, and not reported")
  func cancellation() async {
    let recorder = ErrorReporterTests.Recorder()
    let reporter = ErrorReporter(sinks: [recorder])
    #expect(throws: CancellationError.self) {
      try withFallback(1, reporter: reporter) { throw CancellationError() }
    }
    await #expect(throws: CancellationError.self) {
      try await withFallback(1, reporter: reporter) { () async throws in
        throw Group(causes: [CancellationError()])
      }
    }
    #expect(recorder.count == 0)
  }

  @MainActor @Test("On the main actor the body may use what is not Sendable")
  func mainActor() async throws {
    final class Box { var value = 0 }
    let box = Box()
    let same = try await withFallback(Box()) {
      MainActor.assertIsolated()
      await Task.yield()
      box.value += 1
      return box
    }
    #expect(same === box)
  }
}
