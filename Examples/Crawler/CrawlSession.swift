internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// One run of the command: opens what a crawl needs, runs it, and says what came of it.
struct CrawlSession {
  let options: Options
  let directory: String
  /// Where people read.
  let terminal: Terminal

  /// - Returns: The exit status.
  func run() async throws -> Int32 {
    let start = ContinuousClock.now
    let plan = options.plan
    let screen = CrawlScreen(terminal, isQuiet: options.isQuiet)
    // Before anything is made on the disk: it may refuse what was asked for.
    var steps = Crawl.Steps()
    steps.language = try languageDetector(screen)
    try Self.prepare(directory)
    let ledger = try await Ledger(directory)
    let state = await openState(screen)
    let letters = await openLetters(state, screen)
    let failures = try await FailureLog(directory, letters: letters)
    if let state, !state.earlier.isEmpty, !options.isQuiet {
      terminal.write(
        "Goes on with an interrupted crawl: \(state.earlier.done.count) pages were done.\n")
    }

    let tally = CrawlTally()
    let fetcher = Fetcher(settings(tally), named: Set(plan.seeds.map(\.site)))
    let crawl = Crawl(
      plan, steps: steps, fetcher: fetcher, ledger: ledger, failures: failures, state: state,
      tally: tally
    ) { news in screen.show(news) }
    let work = Task { await crawl.perform() }
    let interruption = Interruption { work.cancel() }
    let result = await work.value
    interruption.stop()
    fetcher.stop()
    await failures.close()

    var summary = CrawlSummary(result.figures)
    summary.take(ledger.lockStatistics)
    try? await ledger.close()
    let outputs = try await Outputs.read(directory)
    summary.urls = outputs.urls.count
    summary.orphanedURLs = outputs.orphans.count + outputs.duplicates
    summary.deadLetters = failures.deadLetters
    summary.pagesLeftOut = result.leftOut
    summary.isComplete = result.isComplete
    if failures.lost.count > 0 {
      screen.warn(
        "\(failures.lost.count) reports could not be written: \(failures.lost.first ?? "")")
    }
    summary.warnings = screen.warnings
    summary.seconds = (ContinuousClock.now - start) / .seconds(1)
    if !options.isQuiet { terminal.write(summary.report(on: terminal)) }
    if options.isJSON { Terminal(.output).write(try summary.json() + "\n") }
    if interruption.happened, !summary.isComplete { return 130 }
    return summary.isGood ? 0 : 1
  }

  private func settings(_ tally: CrawlTally) -> Fetcher.Settings {
    var settings = Fetcher.Settings()
    settings.attempts = options.attempts
    settings.timeout = options.timeout
    settings.rate = options.rate
    settings.allowsPrivate = options.allowsPrivate
    settings.workers = options.plan.workers
    settings.backoff = .milliseconds(options.mode == .demo ? 100 : 500)
    // A rate, because some broken pages are usual; of a site that is down, every page is broken.
    settings.breaker = CircuitBreaker.Configuration(
      consecutiveFailures: nil, failureRate: 0.5, window: .time(.seconds(10)), minimumVolume: 10,
      openTime: .exponential(base: .milliseconds(options.mode == .demo ? 300 : 2_000)))
    settings.breaker.observer = { event in
      tally.add { $0.breakerTransitions["\(event.from)>\(event.to)", default: 0] += 1 }
    }
    return settings
  }

  /// The detector, or `nil` when it can't start and nothing depends on it.
  private func languageDetector(_ screen: CrawlScreen) throws -> (any LanguageDetector)? {
    let detector: TrigramLanguageDetector
    do throws(TrigramLanguageDetector.NoSamples) {
      if let directory = options.languageData {
        detector = try .learning(from: directory)
      } else {
        detector = try TrigramLanguageDetector(samples: LanguageSamples.all)
      }
    } catch {
      if options.plan.language != nil { throw error }
      screen.warn(
        "The language detector can't start: \(error). Consequence: finds carry no language. "
          + "The crawl goes on.")
      return nil
    }
    if let language = options.plan.language, !detector.languages.contains(language) {
      throw UsageError(
        "--language must be one of \(detector.languages.sorted().joined(separator: ", ")), "
          + "not \(language.quotedForDisplay)")
    }
    return detector
  }

  private func openState(_ screen: CrawlScreen) async -> CrawlState? {
    let path = options.state ?? "\(directory)/.crawler"
    do {
      try Self.prepare(path)
      return try await CrawlState(in: path, plan: options.plan.identity)
    } catch {
      screen.warn(
        "No progress can be kept in \(path.quotedForDisplay): \(FailureText.reason(of: error)) "
          + "Consequence: after an interruption the crawl begins at the seeds; what is committed stays."
      )
      return nil
    }
  }

  private func openLetters(
    _ state: CrawlState?, _ screen: CrawlScreen
  ) async -> DeadLetterQueue<FailedVisit>? {
    guard let state else { return nil }
    do {
      return try await FailureLog.letters(in: state.path)
    } catch {
      screen.warn(
        "Dead letters can't be kept: \(FailureText.reason(of: error)) "
          + "Consequence: failures are in \(FailureLog.name) only.")
      return nil
    }
  }

  private static func prepare(_ path: String) throws {
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw OutputError(path: path, cause: error)
    }
  }

  /// The path of a directory that only this run uses.
  static func temporaryPath() -> String {
    FileManager.default.temporaryDirectory
      .appendingPathComponent("crawler-demo-\(UUID().uuidString)").path
  }
}

/// A directory that can't be used.
struct OutputError: ClassifiedError, ErrorWithCauses, CustomStringConvertible {
  let path: String
  let cause: any Error
  var causes: [any Error] { [cause] }
  var category: ErrorCategory { .fileSystem }
  var retryability: Retryability { .notRetryable }
  var userMessage: String? { "\(description)." }
  var suggestedActions: [String] { ["Choose another one with --output."] }
  var description: String { "the directory \(path.quotedForDisplay) can't be made" }
}
