internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Visits pages, looks at the media they refer to, and commits what fits.
final class Crawl: Sendable {
  struct Plan: Sendable {
    var seeds: [WebAddress] = []
    var mostPages = 1_000
    var depth = 5
    var workers = 20
    /// The language a find's page must be in, or `nil` for any.
    var language: String?
    /// The voice a find must have, or `nil` for any recording.
    var voice: String?

    /// The same text for crawls that can go on with each other's state.
    var identity: String {
      let seeds = seeds.map(\.description).sorted().joined(separator: " ")
      return "\(seeds) depth=\(depth) language=\(language ?? "") voice=\(voice ?? "")"
    }
  }

  /// What is done with a candidate.
  struct Steps: Sendable {
    var voice: any VoiceClassifier = PitchVoiceClassifier()
    /// `nil` when languages are not looked at.
    var language: (any LanguageDetector)?
    var metadata: any MetadataExtractor = BasicMetadataExtractor()
  }

  private let plan: Plan
  private let steps: Steps
  private let fetcher: Fetcher
  private let ledger: Ledger
  private let failures: FailureLog
  private let state: CrawlState?
  private let queue: WorkQueue
  private let tally: CrawlTally
  private let say: @Sendable (CrawlNews) -> Void
  /// Where pages may be: the seeds' sites, and those that seeds are redirected to.
  private let home: Lock<Set<String>>

  /// Makes a crawl.
  ///
  /// - Parameters:
  ///   - plan: What to do.
  ///   - steps: How candidates are looked at.
  ///   - fetcher: Fetches.
  ///   - ledger: Takes the finds.
  ///   - failures: Takes the failures.
  ///   - state: What an interrupted crawl left, and where this one leaves the same.
  ///   - tally: Counts.
  ///   - say: Is told what a person might want to see.
  init(
    _ plan: Plan, steps: Steps, fetcher: Fetcher, ledger: Ledger, failures: FailureLog,
    state: CrawlState?, tally: CrawlTally = CrawlTally(),
    say: @escaping @Sendable (CrawlNews) -> Void = { _ in }
  ) {
    self.plan = plan
    self.steps = steps
    self.fetcher = fetcher
    self.ledger = ledger
    self.failures = failures
    self.state = state
    self.tally = tally
    self.say = say
    home = Lock(Set(plan.seeds.map(\.site)))
    var frontier = Frontier(mostPages: plan.mostPages)
    if let earlier = state?.earlier {
      for address in earlier.done { frontier.skip(address, wasPage: true) }
      for address in earlier.decided { frontier.skip(address, wasPage: false) }
    }
    for seed in plan.seeds { frontier.add(Frontier.Page(address: seed, depth: 0)) }
    for page in state?.earlier.pages ?? [] { frontier.add(page) }
    queue = WorkQueue(frontier)
  }

  /// The figures so far.
  var figures: CrawlTally.Figures { tally.figures }

  /// Crawls until there is nothing left, a limit is reached, or the task is cancelled.
  ///
  /// - Returns: The figures, and how many pages were found and not begun.
  func perform() async -> (figures: CrawlTally.Figures, leftOut: Int, isComplete: Bool) {
    await withTaskCancellationHandler {
      await withTaskGroup { group in
        for _ in 0..<plan.workers { group.addTask { await self.work() } }
      }
    } onCancel: {
      queue.close()
    }
    let isComplete = !Task.isCancelled
    await keep { try await $0.close(isComplete: isComplete) }
    let leftOut = queue.update { $0.pagesWaiting + $0.leftOut }
    return (tally.figures, leftOut, isComplete)
  }

  private func work() async {
    while let job = await queue.next() {
      var isDecided = true
      switch job {
      case .page(let page): await visit(page)
      case .candidate(let candidate): isDecided = await examine(candidate)
      }
      let isCancelled = Task.isCancelled
      let finished = queue.update { [isDecided] in $0.finish(job, isDecided: isDecided) }
      if let finished, !isCancelled { await keep { try await $0.note(done: finished) } }
    }
  }

  /// Notes something in the state; that it can't be is said once and changes nothing else.
  private func keep(_ note: (CrawlState) async throws -> Void) async {
    guard let state else { return }
    do {
      try await note(state)
    } catch {
      if error is CancellationError { return }
      guard tally.stateFailed() else { return }
      say(
        .warning(
          "Progress can't be noted any more: \(FailureText.reason(of: error)) "
            + "Consequence: after an interruption some pages are read again."))
    }
  }

  // MARK: Pages

  private func visit(_ page: Frontier.Page) async {
    let isSeed = page.depth == 0
    do {
      let values: ContextValues = [
        "url": .public(page.address.description), "depth": .public(page.depth),
        "state": .public(tally.description),
      ]
      try await withErrorContext("visit page", values) {
        let fetched = try await fetcher.fetch(page.address, .page) { next in
          isSeed || home.withLock { $0.contains(next.site) }
        }
        if isSeed { home.withLock { _ = $0.insert(fetched.address.site) } }
        guard ["text/html", "application/xhtml+xml", ""].contains(fetched.mediaType) else {
          if isSeed { throw CrawlError(.wrongType(fetched.contentType)) }
          throw Rejection(step: "content type", reason: "\(fetched.mediaType) is not a page")
        }
        await follow(page, fetched)
      }
      tally.add { $0.pages += 1 }
    } catch {
      if Task.isCancelled { return }
      if let rejection = error.underlying(as: Rejection.self), !isSeed {
        return tally.add { $0.rejected[rejection.step, default: 0] += 1 }
      }
      await failed(
        error, kind: "page", page.address, from: nil,
        recovery: "The page was left out; the crawl went on without it.")
      tally.add { figures in
        figures.pagesFailed += 1
        if isSeed { figures.seedsFailed += 1 }
      }
    }
  }

  /// Takes in where a page leads.
  private func follow(_ page: Frontier.Page, _ fetched: Fetched) async {
    let scanned = PageScanner.scan(PageText.utf8(fetched.bytes, contentType: fetched.contentType))
    let base = scanned.base.flatMap { fetched.address.resolve($0) } ?? fetched.address
    let context = PageContext(
      address: page.address, title: scanned.title, text: scanned.text, depth: page.depth)
    var refused = 0
    var candidates: [WebAddress] = []
    for reference in scanned.media {
      if let address = base.resolve(reference) { candidates.append(address) } else { refused += 1 }
    }
    var links: [WebAddress] = []
    let sites = home.withLock { $0 }
    for reference in scanned.isNoFollow ? [] : scanned.links {
      guard let address = base.resolve(reference) else {
        refused += 1
        continue
      }
      if sites.contains(address.site), page.depth < plan.depth { links.append(address) }
    }
    let (found, media) = (links, candidates)
    let known = Set(candidates.filter { ledger.contains($0.description) })
    let (newLinks, newMedia, newKnown) = queue.update { frontier in
      (
        found.filter { frontier.add(Frontier.Page(address: $0, depth: page.depth + 1)) },
        media.count {
          !known.contains($0) && frontier.add(Frontier.Candidate(address: $0, page: context))
        },
        known.count { frontier.addKnown($0) }
      )
    }
    let outside = refused
    tally.add { figures in
      figures.candidates += newMedia
      figures.known += newKnown
      figures.linksRefused += outside
    }
    await keep { try await $0.note(links: newLinks, depth: page.depth + 1) }
  }

  // MARK: Candidates

  /// - Returns: Whether it is decided; if not, the next crawl has to look at it again.
  private func examine(_ candidate: Frontier.Candidate) async -> Bool {
    let url = candidate.address.description
    let progress = StepProgress()
    do {
      let values: ContextValues = [
        "url": .public(url), "page": .public(candidate.page.address.description),
        "state": .public(tally.description),
      ]
      let material = try await withErrorContext("examine candidate", values) {
        try await examine(candidate, progress)
      }
      progress.begin("commit")
      let isNew = try await commit(material, url)
      tally.add { figures in
        if isNew { figures.committed += 1 } else { figures.known += 1 }
      }
      if isNew { say(.found(url: url, voice: material.voice, language: material.language?.code)) }
    } catch {
      if Task.isCancelled { return false }
      let step = progress.name
      if let rejection = error.underlying(as: Rejection.self) {
        tally.add { $0.rejected[rejection.step, default: 0] += 1 }
        say(.rejected(url: url, rejection))
      } else {
        tally.add { $0.failedSteps[step, default: 0] += 1 }
        await failed(
          error, kind: step, candidate.address, from: candidate.page.address,
          recovery: "The candidate was left out; nothing of it is in the outputs.")
        // What could not be written is not the candidate's fault: the next crawl looks at it again.
        if step == "commit" {
          tally.add { $0.commitsFailed += 1 }
          return false
        }
      }
      await keep { try await $0.note(decided: candidate.address) }
    }
    return true
  }

  /// Every step before the commit; none of them leaves anything behind.
  private func examine(
    _ candidate: Frontier.Candidate, _ progress: StepProgress
  ) async throws -> FindMaterial {
    func begin(_ step: String) {
      progress.begin(step)
      breadcrumb("step \(step)")
    }
    begin("fetch")
    let media = try await fetcher.fetch(candidate.address, .media)
    let type = media.mediaType
    guard
      type.hasPrefix("audio/")
        || ["", "application/octet-stream", "application/ogg"].contains(type)
    else { throw CrawlError(.wrongType(media.contentType)) }

    begin("voice")
    let clip: AudioClip
    do throws(AudioClip.Malformed) {
      clip = try AudioClip(media.bytes, secondsLimit: 10)
    } catch {
      throw CrawlError(.badAudio(error.description))
    }
    if clip.format == nil, type.hasSuffix("wav") || type.hasSuffix("wave") {
      throw CrawlError(.badAudio("it does not begin as a WAV file"))
    }
    let voice = try Self.step("voice") { try steps.voice.classify(clip) }
    if let wanted = plan.voice, voice.name != wanted {
      let why = if case .unknown(let reason) = voice { reason } else { "it is \(voice.name)'s" }
      throw Rejection(step: "voice", reason: "not a \(wanted)'s voice: \(why)")
    }

    begin("language")
    var language: DetectedLanguage?
    if let detector = steps.language {
      language = try Self.step("language") { try detector.detect(candidate.page.text) }
    }
    if let wanted = plan.language, language?.code != wanted {
      throw Rejection(
        step: "language", reason: "its page is in \(language?.code ?? "a language nobody knows")")
    }
    return FindMaterial(
      address: candidate.address, page: candidate.page, media: media, clip: clip, voice: voice,
      language: language)
  }

  private func commit(_ material: FindMaterial, _ url: String) async throws -> Bool {
    let values: ContextValues = [
      "url": .public(url), "outputs": .public(ledger.directory),
      "state": .public(tally.description),
    ]
    return try await withErrorContext("commit", values) {
      let metadata = try Self.step("metadata") { try steps.metadata.extract(material) }
      let find = Find(url: url, metadata: metadata)
      return try await retry(
        RetryPolicy(maxAttempts: 3, backoff: .exponential(base: .milliseconds(100)))
      ) {
        try await ledger.commit(find)
      }
    }
  }

  private static func step<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
    do {
      return try body()
    } catch {
      throw CrawlError(.step(name), cause: error)
    }
  }

  /// Reports a failure: to the log, to the dead letters, and to whoever watches.
  private func failed(
    _ error: any Error, kind: String, _ address: WebAddress, from page: WebAddress?,
    recovery: String
  ) async {
    let attempts = (error as? ContextualError)?.attempts ?? []
    let report = ErrorReport(
      error,
      download: ErrorReport.DownloadDetails(
        title: address.title.isEmpty ? address.host : address.title, url: address.description,
        attempts: attempts, recoveryTaken: recovery))
    tally.add { $0.errors[report.category.rawValue, default: 0] += 1 }
    await failures.write(
      report, kind: kind,
      FailedVisit(url: address.description, page: page?.description), recovery: recovery)
    say(.failed(url: address.description, FailureText.reason(of: error)))
  }
}

/// Which step a candidate has reached.
private final class StepProgress: Sendable {
  private let step = Lock("fetch")
  var name: String { step.withLock { $0 } }
  func begin(_ name: String) { step.withLock { $0 = name } }
}

/// Something a person might want to see while a crawl runs.
enum CrawlNews: Sendable {
  case found(url: String, voice: Voice, language: String?)
  case rejected(url: String, Rejection)
  case failed(url: String, String)
  case warning(String)
}

/// What to tell a person about an error, in a sentence.
enum FailureText {
  static func reason(of error: any Error) -> String {
    let report = ErrorReport(error)
    return report.userMessage.replacing("\n", with: " ")
  }
}
