import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport

@testable import ReliabilityCrawler

/// A site made for one test, on this machine.
final class Site: Sendable {
  private let server: HTTPServer
  private let log: Log

  /// What was asked for, in order.
  var requests: [String] { log.targets.withLock { $0 } }

  private final class Log: Sendable { let targets = Lock<[String]>([]) }

  init(_ answer: @escaping @Sendable (HTTPRequest) -> HTTPReply?) throws {
    let log = Log()
    self.log = log
    server = try HTTPServer { request in
      log.targets.withLock { $0.append(request.target) }
      return answer(request) ?? .text(404, "none\n")
    }
  }

  var url: String { "http://127.0.0.1:\(server.port)/" }
  var port: UInt16 { server.port }
  func stop() async { await server.stop() }

  static func page(_ body: String, type: String = "text/html") -> HTTPReply {
    HTTPReply(
      status: 200, headers: [HTTPField("Content-Type", type)], body: .bytes(Array(body.utf8)))
  }

  static let childSound: [UInt8] = {
    var maker = SoundMaker()
    maker.seconds = 0.6
    return maker.file(.voice(300), seed: 1)
  }()

  static func sound(fault: HTTPFault? = nil) -> HTTPReply {
    HTTPReply(
      status: 200, headers: [HTTPField("Content-Type", "audio/wav")], body: .bytes(childSound),
      fault: fault)
  }

  static func endless(_ type: String, count: Int = 2 << 30) -> HTTPReply {
    HTTPReply(
      status: 200, headers: [HTTPField("Content-Type", type)],
      body: HTTPBody(count: count) { _, buffer in
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0x41)
      })
  }
}

/// One crawl in this process.
struct TestCrawl {
  var plan = Crawl.Plan()
  var steps = Crawl.Steps()
  var settings = Fetcher.Settings()
  var keepsState = false
  let directory: String

  init(_ seeds: [String], in directory: String) {
    self.directory = directory
    plan.seeds = seeds.compactMap { WebAddress($0) }
    plan.workers = 8
    settings.workers = 8
    settings.attempts = 2
    settings.timeout = .seconds(30)
    settings.backoff = .milliseconds(1)
    settings.breaker = CircuitBreaker.Configuration(
      consecutiveFailures: nil, failureRate: 1, minimumVolume: 100)
  }

  struct Result {
    var figures: CrawlTally.Figures
    var leftOut: Int
    var outputs: Outputs
    var errors: String
    var news: [String]
  }

  func run() async throws -> Result {
    let ledger = try await Ledger(directory)
    var state: CrawlState?
    if keepsState { state = try await CrawlState(in: directory, plan: plan.identity) }
    let failures = try await FailureLog(directory, letters: nil)
    let fetcher = Fetcher(settings, named: Set(plan.seeds.map(\.site)))
    let news = News()
    let crawl = Crawl(
      plan, steps: steps, fetcher: fetcher, ledger: ledger, failures: failures, state: state
    ) { piece in news.lines.withLock { $0.append("\(piece)") } }
    let (figures, leftOut, _) = await crawl.perform()
    fetcher.stop()
    let directory = directory
    // In a task of its own, which nobody has cancelled.
    let outputs = try await Task {
      await failures.close()
      try await ledger.close()
      return try await Outputs.read(directory)
    }.value
    let errors = (try? String(contentsOfFile: "\(directory)/errors.jsonl", encoding: .utf8)) ?? ""
    return Result(
      figures: figures, leftOut: leftOut, outputs: outputs,
      errors: errors,
      news: news.lines.withLock { $0 })
  }

  private final class News: Sendable { let lines = Lock<[String]>([]) }
}
