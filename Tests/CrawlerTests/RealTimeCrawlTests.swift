import Foundation
import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityCrawler

@Suite(.realTime, .serialized, .timeLimit(.minutes(10))) struct RealTimeCrawlTests {
  struct Broken: Error {}

  /// A step that works, or fails for the candidates whose address has a number in it.
  struct Step: VoiceClassifier, LanguageDetector, MetadataExtractor {
    var failing: Set<String> = []
    var languages: Set<String> { ["en"] }
    func classify(_ clip: AudioClip) throws -> Voice {
      if failing.contains("voice") { throw Broken() }
      return .child(hertz: 300)
    }
    func detect(_ text: String) throws -> DetectedLanguage? {
      if failing.contains("language") { throw Broken() }
      return DetectedLanguage(code: "en", confidence: 1)
    }
    func extract(_ material: FindMaterial) throws -> FindMetadata {
      if failing.contains("metadata") { throw Broken() }
      return try BasicMetadataExtractor().extract(material)
    }
  }

  /// Two pages with three sounds.
  static func smallSite() throws -> Site {
    try Site { request in
      switch request.path {
      case "/":
        Site.page("<title>One</title><a href=two><audio src=a.wav></audio><a href=b.wav>b</a>")
      case "/two": Site.page("<a href=/>back</a><audio src=c.wav></audio><audio src=a.wav></audio>")
      case "/a.wav", "/b.wav", "/c.wav": Site.sound()
      default: nil
      }
    }
  }

  @Test func aSmallSiteIsCommittedWhole() async throws {
    let site = try Self.smallSite()
    let scratch = ScratchDirectory()
    var crawl = TestCrawl([site.url], in: scratch.path)
    crawl.steps.language = Step()
    let result = try await crawl.run()
    #expect(Set(result.outputs.urls) == Set(["a", "b", "c"].map { "\(site.url)\($0).wav" }))
    #expect(result.outputs.orphans == [])
    #expect(result.figures.pages == 2)
    #expect(result.figures.candidates == 3)
    let again = try await crawl.run()
    #expect(again.figures.known == 3 && again.figures.committed == 0)
    #expect(again.outputs.urls.count == 3)
    await site.stop()
  }

  @Test(arguments: ["voice", "language", "metadata"])
  func aStepThatFailsLeavesNoTraceAndAFullReport(step: String) async throws {
    let site = try Self.smallSite()
    let scratch = ScratchDirectory()
    var crawl = TestCrawl([site.url], in: scratch.path)
    let failing = Step(failing: [step])
    crawl.steps = Crawl.Steps(voice: failing, language: failing, metadata: failing)
    let result = try await crawl.run()
    #expect(result.outputs.known == [])
    #expect(result.figures.committed == 0)
    #expect(result.errors.split(separator: "\n").count == 3)
    #expect(result.errors.contains("a.wav") && result.errors.contains(step))
    #expect(result.errors.contains("recovery") && result.errors.contains("\"state\""))
    // Once the step works, everything is found.
    crawl.steps = Crawl.Steps()
    #expect(try await crawl.run().outputs.urls.count == 3)
    await site.stop()
  }

  @Test(arguments: [404, 503])
  func aSoundThatCanNeverBeFetchedLeavesNoTraceAndAFullReport(status: Int) async throws {
    let site = try Site { request in
      switch request.path {
      case "/": Site.page("<audio src=bad.wav></audio><audio src=good.wav></audio>")
      case "/bad.wav": .text(status, "no\n")
      case "/good.wav": Site.sound()
      default: nil
      }
    }
    let scratch = ScratchDirectory()
    let result = try await TestCrawl([site.url], in: scratch.path).run()
    #expect(result.outputs.urls == ["\(site.url)good.wav"])
    #expect(result.outputs.orphans == [])
    let reports = result.errors.split(separator: "\n")
    #expect(reports.count == 1)
    #expect(result.errors.contains("bad.wav") && result.errors.contains("\(status)"))
    #expect(result.errors.contains("recovery") && result.errors.contains("\"state\""))
    await site.stop()
  }

  @Test func aSoundThatFailsAtFirstIsFetchedAgain() async throws {
    let count = Tries()
    let site = try Site { request in
      if request.path == "/" {
        return Site.page((0..<4).map { "<audio src=\($0).wav></audio>" }.joined())
      }
      guard request.path.hasSuffix(".wav") else { return nil }
      guard count.next(request.path) == 1 else { return Site.sound() }
      switch request.path {
      case "/0.wav": return .text(503, "later\n", headers: [HTTPField("Retry-After", "0")])
      case "/1.wav": return Site.sound(fault: .reset(after: 1_000))
      case "/2.wav": return Site.sound(fault: .shortBody(after: 1_000))
      default: return Site.sound()
      }
    }
    let scratch = ScratchDirectory()
    let result = try await TestCrawl([site.url], in: scratch.path).run()
    #expect(result.outputs.urls.count == 4, "\(result.errors)")
    await site.stop()
  }

  final class Tries: Sendable {
    private let counts = Lock<[String: Int]>([:])
    func next(_ name: String) -> Int {
      counts.withLock { counts in
        counts[name, default: 0] += 1
        return counts[name] ?? 0
      }
    }
  }

  /// Endless pages, loops, two gigabytes, wrong types, garbage, and ways out: nothing of it gets in.
  @Test func aHostileSiteGetsNothingIn() async throws {
    let inside = try Site { _ in Site.sound() }
    let port = inside.port
    let site = try Site { request in
      let path = request.path
      if path == "/" {
        return Site.page(
          """
          <a href=/endless/1>e</a><a href=/loop/1>l</a><a href=/chain/1>c</a><a href=/big>b</a>
          <a href=/bigger>b</a><a href=/slow>s</a><a href=/garbage>g</a><a href=/pdf>p</a>
          <a href=file:///etc/passwd>f</a><a href=/out>o</a><a href=/outfile>o</a><a href=/nowhere>n</a>
          <a href="/\(String(repeating: "x", count: 5_000))">long</a>
          <audio src="http://127.0.0.1:\(port)/x.wav"></audio><audio src="http://localhost:\(port)/x.wav">
          <audio src="http://[::ffff:127.0.0.1]:\(port)/x.wav"></audio>
          <audio src="http://[::1]:\(port)/x.wav"></audio><audio src="http://2130706433:\(port)/x.wav">
          <audio src="http://169.254.169.254/x.wav"></audio><audio src="file:///etc/x.wav"></audio>
          <audio src=/redirected.wav></audio><audio src=/big.wav></audio><audio src=/html.wav></audio>
          <audio src="/..%2f..%2f..%2fetc%2fpasswd.wav"></audio><audio src="/%00.wav"></audio>
          <audio src=/good.wav></audio><audio src=/lying.wav></audio>
          """)
      }
      if path.hasPrefix("/endless/") {
        let number = Int(path.dropFirst(9)) ?? 0
        return Site.page((1...50).map { "<a href=/endless/\(number * 50 + $0)>x</a>" }.joined())
      }
      switch path {
      case "/loop/1": return HTTPReply(status: 302, headers: [HTTPField("Location", "/loop/2")])
      case "/loop/2": return HTTPReply(status: 301, headers: [HTTPField("Location", "/loop/1")])
      case "/out":
        return HTTPReply(status: 302, headers: [HTTPField("Location", "http://127.0.0.1:\(port)/")])
      case "/outfile":
        return HTTPReply(status: 302, headers: [HTTPField("Location", "file:///etc/passwd")])
      case "/nowhere": return HTTPReply(status: 302)
      case "/redirected.wav":
        return HTTPReply(
          status: 302, headers: [HTTPField("Location", "http://127.0.0.1:\(port)/x.wav")])
      case "/big": return Site.endless("text/html")
      case "/bigger": return Site.endless("text/html", count: 3 << 20)
      case "/big.wav": return Site.endless("audio/wav")
      case "/html.wav": return Site.page("<p>no</p>")
      case "/pdf": return Site.page("%PDF", type: "application/pdf")
      case "/slow":
        var reply = Site.page(String(repeating: "<p>x</p>", count: 1_000))
        reply.fault = .drip(piece: 1, pause: .milliseconds(200))
        return reply
      case "/garbage":
        return HTTPReply(
          status: 200, headers: [HTTPField("Content-Type", "text/html; charset=\u{fffd}\"")],
          body: .bytes((0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }))
      case "/lying.wav":
        return HTTPReply(
          status: 200, headers: [HTTPField("Content-Type", "audio/wav")],
          body: .bytes(Array("RIFF\u{1}\u{1}\u{1}\u{1}WAVEdata\u{7f}\u{7f}\u{7f}\u{7f}".utf8)))
      case "/good.wav": return Site.sound()
      default:
        if path.hasPrefix("/chain/") {
          let number = Int(path.dropFirst(7)) ?? 0
          return HTTPReply(status: 302, headers: [HTTPField("Location", "/chain/\(number + 1)")])
        }
        return nil
      }
    }
    let scratch = ScratchDirectory()
    var crawl = TestCrawl([site.url], in: scratch.path)
    crawl.plan.mostPages = 150
    crawl.settings.timeout = .seconds(2)
    let result = try await crawl.run()
    #expect(inside.requests == [])
    #expect(result.outputs.urls == ["\(site.url)good.wav"])
    #expect(result.outputs.orphans == [])
    #expect(result.figures.pages + result.figures.pagesFailed <= 150)
    #expect(result.leftOut > 0)
    #expect(result.errors.contains("not a public address"))
    #expect(result.errors.contains("leads back"))
    #expect(result.errors.contains("redirects in a row"))
    let outside = scratch.names.filter {
      !["urls.txt", "metadata.jsonl", "manifest.json", "errors.jsonl"].contains($0)
        && !$0.hasPrefix(".")
        && $0 != "errors.jsonl.lock"
    }
    #expect(outside == [])
    await site.stop()
    await inside.stop()
  }

  @Test func privateAddressesAreVisitedWhenThatIsAllowed() async throws {
    let inside = try Site { $0.path == "/x.wav" ? Site.sound() : nil }
    let port = inside.port
    let site = try Site { request in
      request.path == "/" ? Site.page("<audio src=http://127.0.0.1:\(port)/x.wav></audio>") : nil
    }
    let scratch = ScratchDirectory()
    var crawl = TestCrawl([site.url], in: scratch.path)
    crawl.settings.allowsPrivate = true
    #expect(try await crawl.run().outputs.urls == ["http://127.0.0.1:\(port)/x.wav"])
    await site.stop()
    await inside.stop()
  }

  @Test func robotsRulesAndTheCrawlDelayAreKept() async throws {
    let site = try Site { request in
      switch request.path {
      case "/robots.txt": .text(200, "User-agent: *\nDisallow: /no\nCrawl-delay: 0.2\n")
      case "/": Site.page("<a href=/no/1>x</a><a href=/yes>y</a><audio src=/no.wav></audio>")
      case "/yes": Site.page("fine")
      default: Site.sound()
      }
    }
    let scratch = ScratchDirectory()
    let start = ContinuousClock.now
    let result = try await TestCrawl([site.url], in: scratch.path).run()
    #expect(ContinuousClock.now - start >= .milliseconds(190))
    #expect(result.figures.rejected == ["robots.txt": 2])
    #expect(site.requests.sorted() == ["/", "/robots.txt", "/yes"])
    await site.stop()
  }

  @Test func aSiteWhoseRobotsFileCannotBeReadIsLeftAlone() async throws {
    let site = try Site { $0.path == "/robots.txt" ? .text(500, "down\n") : Site.page("x") }
    let scratch = ScratchDirectory()
    let result = try await TestCrawl([site.url], in: scratch.path).run()
    #expect(result.figures.seedsFailed == 1)
    #expect(!site.requests.contains("/"))
    await site.stop()
  }

  @Test func aCrawlGoesOnWhereACancelledOneWas() async throws {
    let site = try Site { request in
      if request.path.hasSuffix(".wav") { return Site.sound() }
      let number = Int(request.path.dropFirst()) ?? (request.path == "/" ? 0 : -1)
      guard (0..<40).contains(number) else { return nil }
      return Site.page(
        "<a href=/\(2 * number + 1)>a</a><a href=/\(2 * number + 2)>b</a><audio src=/\(number).wav>"
      )
    }
    let scratch = ScratchDirectory()
    var crawl = TestCrawl([site.url], in: scratch.path)
    crawl.keepsState = true
    crawl.plan.workers = 2
    crawl.plan.depth = 10
    let (first, path) = (crawl, scratch.path)
    let task = Task { try await first.run() }
    while ((try? await Outputs.read(path))?.urls.count ?? 0) < 5 {
      try await ContinuousClock().sleep(for: .milliseconds(2))
    }
    task.cancel()
    let interrupted = try await task.value
    let result = try await crawl.run()
    #expect(result.outputs.urls.count == 40)
    #expect(result.outputs.orphans == [] && result.outputs.duplicates == 0)
    // Nothing that was committed was fetched again.
    for url in interrupted.outputs.urls {
      let target = "/" + (url.split(separator: "/").last ?? "")
      #expect(site.requests.count { $0 == target } == 1)
    }
    await site.stop()
  }
}
