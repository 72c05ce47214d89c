internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Two sites on this machine: one with stories to listen to, full of traps, and one that is down most of the time.
///
/// The same seed makes the same sites, and each fault strikes the first request or all of them, so that every run of the
/// demo tells the same story.
final class DemoSites: Sendable {
  static let stories = 24

  /// The addresses to begin from.
  let seeds: [String]

  private let servers: [HTTPServer]

  /// Starts the servers on free ports of the loopback interface.
  init(seed: UInt64 = 20_250_115) throws(SocketError) {
    let requests = RequestCounter()
    let sounds = DemoSounds(seed: seed)
    let main = try HTTPServer { request in
      Self.main(request, number: requests.next(request.target), sounds)
    }
    let failing = try HTTPServer { request in
      let number = requests.next("all the mirror's pages", counts: request.path != "/")
      return Self.mirror(request, number: number)
    }
    servers = [main, failing]
    seeds = servers.map { "http://127.0.0.1:\($0.port)/" }
  }

  func stop() async { for server in servers { await server.stop() } }

  /// How many requests each target has had.
  private final class RequestCounter: Sendable {
    private let counts = Lock<[String: Int]>([:])

    func next(_ target: String, counts isCounted: Bool = true) -> Int {
      counts.withLock { counts in
        if isCounted { counts[target, default: 0] += 1 }
        return counts[target] ?? 0
      }
    }
  }

  static func page(_ title: String, _ body: String, status: Int = 200) -> HTTPReply {
    let text = "<!doctype html><html><head><meta charset=utf-8><title>\(title)</title></head>"
    return HTTPReply(
      status: status, headers: [HTTPField("Content-Type", "text/html; charset=utf-8")],
      body: .bytes(Array("\(text)<body>\(body)</body></html>\n".utf8)))
  }

  private static func redirect(to location: String) -> HTTPReply {
    HTTPReply(status: 302, headers: [HTTPField("Location", location)])
  }

  /// The site that fails its first ten requests beyond the entrance.
  private static func mirror(_ request: HTTPRequest, number: Int) -> HTTPReply {
    if request.path == "/robots.txt" { return .text(404, "none\n") }
    if request.path == "/" {
      let links = (1...8).map { "<li><a href=/part/\($0)>part \($0)</a>" }.joined()
      return page("A mirror", "<ul>\(links)</ul>")
    }
    return number <= 10 ? .text(500, "down\n") : page("A part of the mirror", "<p>Up again.</p>")
  }

  private static func main(
    _ request: HTTPRequest, number: Int, _ sounds: DemoSounds
  ) -> HTTPReply {
    let parts = request.path.split(separator: "/").map(String.init)
    switch (parts.first ?? "", parts.dropFirst().first.flatMap { Int($0) } ?? 0) {
    case ("", _): return entrance
    case ("robots.txt", _):
      return .text(200, "User-agent: *\nDisallow: /private/\nAllow: /private/open\n")
    case ("stories", let story) where (1...stories).contains(story):
      // Trouble that passes: every sixth story is not to be had at first.
      if story % 6 == 0, number == 1 {
        return .text(503, "later\n", headers: [HTTPField("Retry-After", "1")])
      }
      return Self.story(story)
    case ("media", _): return media(parts.last ?? "", request, number: number, sounds)
    case ("endless", let number):
      return page(
        "More", "<a href=/endless/\(number + 1)>and more</a> <a href=\(number + 2)/>?</a>")
    case ("loop", let step): return redirect(to: "/loop/\(step == 1 ? 2 : 1)")
    case ("moved", _): return redirect(to: "/stories/1")
    case ("away", _): return redirect(to: "http://169.254.169.254/latest/meta-data/")
    case ("huge", _): return endless(type: "text/html")
    case ("slow", _):
      var reply = page("Slow", String(repeating: "<p>wait</p>", count: 200))
      reply.fault = .drip(piece: 1, pause: .milliseconds(50))
      return reply
    case ("garbled", _):
      return HTTPReply(
        status: 200, headers: [HTTPField("Content-Type", "text/html; charset=utf-8")],
        body: .bytes(
          Array("<title>\u{c3}</title>".utf8) + [0xff, 0xfe, 0xc3, 0x28]
            + Array("<a href=/private/x>".utf8)))
    case ("private", _): return page("Private", "<p>Nobody should see this.</p>")
    default: return .text(404, "no such page\n")
    }
  }

  private static var entrance: HTTPReply {
    let stories = (1...stories).map { "<li><a href='/stories/\($0)'>Story \($0)</a>" }.joined()
    return page(
      "Stories to listen to",
      """
      <h1>Stories</h1><ul>\(stories)</ul>
      <p><a href=/endless/1>More</a> <a href=/loop/1>Round</a> <a href=/moved>Moved</a>
      <a href=/away>Away</a> <a href=/huge>Large</a> <a href=/slow>Slow</a>
      <a href=/garbled>Garbled</a> <a href=/missing>Missing</a> <a href=/private/diary>Diary</a>
      <a href="file:///etc/passwd">A file</a> <a href="javascript:alert(1)">A script</a>
      <audio src="http://169.254.169.254/latest/secret.wav"></audio>
      <audio src="http://127.0.0.1:9/inside.wav"></audio>
      <audio src="/media/gone.wav"></audio> <audio src="/media/broken.wav"></audio>
      <audio src="/media/page.wav"></audio> <audio src="/media/cut.wav"></audio>
      <audio src="/media/endless.wav"></audio> <audio src="/media/%2e%2e%2f%2e%2e%2fescape.wav"></audio>
      """)
  }

  private static func story(_ number: Int) -> HTTPReply {
    let (language, text) = DemoTexts.all[number % DemoTexts.all.count]
    let sounds = [2 * number - 1, 2 * number].map {
      "<audio controls src=../media/\($0).wav></audio>"
    }
    return page(
      "Story \(number)",
      "<div lang=\(language)><p>\(text)</p>\(sounds.joined())</div><a href=/stories/\(number % stories + 1)>next</a>"
    )
  }

  private static func media(
    _ name: String, _ request: HTTPRequest, number: Int, _ sounds: DemoSounds
  ) -> HTTPReply {
    switch name {
    case "gone.wav": return .text(404, "gone\n")
    case "page.wav": return page("Not a sound", "<p>Surprise.</p>")
    case "endless.wav": return endless(type: "audio/wav")
    case "broken.wav":
      return HTTPReply(
        status: 200, headers: [HTTPField("Content-Type", "audio/wav")],
        body: .bytes(Array("RIFF\u{0}\u{0}\u{0}\u{0}WAVEfmt ".utf8)))
    default: break
    }
    guard let index = name == "cut.wav" ? 1 : Int(name.prefix { $0.isNumber }),
      (1...2 * stories).contains(index)
    else { return .text(404, "no such sound\n") }
    let bytes = sounds.file(index)
    var reply = HTTPReply.file(
      .bytes(bytes), type: "audio/wav", entityTag: "\"\(index)\"", for: request)
    if name == "cut.wav" {
      reply.fault = .shortBody(after: bytes.count / 2)
    } else if number == 1 {
      switch index % 9 {
      case 2: reply.fault = .reset(after: bytes.count / 2)
      case 4: reply.fault = .shortBody(after: bytes.count / 3)
      case 6: return .text(503, "later\n", headers: [HTTPField("Retry-After", "1")])
      case 8 where index < 9: reply.fault = .stall(after: bytes.count / 2, for: .seconds(20))
      default: break
      }
    }
    return reply
  }

  /// Promises two gigabytes.
  private static func endless(type: String) -> HTTPReply {
    HTTPReply(
      status: 200, headers: [HTTPField("Content-Type", type)],
      body: HTTPBody(count: 2 << 30) { _, buffer in
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0x20)
      })
  }
}

/// The sounds of the demo, each made when it is first asked for.
private final class DemoSounds: Sendable {
  private let seed: UInt64
  private let made = Lock<[Int: [UInt8]]>([:])

  init(seed: UInt64) { self.seed = seed }

  func file(_ number: Int) -> [UInt8] {
    if let file = made.withLock({ $0[number] }) { return file }
    let kinds: [SoundMaker.Kind] = [
      .voice(300), .voice(260), .voice(120), .voice(340), .melody, .voice(380), .whiteNoise,
      .voice(180), .voice(310), .silence, .voice(280), .chords, .voice(95),
    ]
    let file = SoundMaker().file(kinds[number % kinds.count], seed: seed &+ UInt64(number))
    made.withLock { $0[number] = file }
    return file
  }
}

/// A site of many small pages that lead to each other as the branches of a tree.
enum PlainSite {
  static func start(pages count: Int) throws(SocketError) -> HTTPServer {
    let pages = (0..<count).map { number in
      let links = (10 * number + 1...10 * number + 10).filter { $0 < count }
        .map { "<li><a href=\"/page/\($0)\">Page \($0)</a></li>" }.joined()
      let text = String(repeating: "<p>\(DemoTexts.all[number % 6].text)</p>", count: 3)
      return Array(
        "<!doctype html><title>Page \(number)</title><body><ul>\(links)</ul>\(text)</body>".utf8)
    }
    return try HTTPServer { request in
      let number = request.path == "/" ? 0 : Int(request.path.dropFirst(6)) ?? -1
      guard pages.indices.contains(number) else { return .text(404, "no such page\n") }
      return HTTPReply(
        status: 200, headers: [HTTPField("Content-Type", "text/html; charset=utf-8")],
        body: .bytes(pages[number]))
    }
  }
}
