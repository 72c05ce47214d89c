import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityCrawler

@Suite struct WebTests {
  @Test(arguments: [
    ("HTTP://Example.ORG:80/a/./b/../c?x=1#y", "http://example.org/a/c?x=1"),
    ("https://example.org", "https://example.org/"),
    ("https://example.org:8443/%7euser/ü", "https://example.org:8443/%7euser/%C3%BC"),
    ("http:\\\\example.org\\a b", "http://example.org/a%20b"),
    ("http://example.org/../../etc/passwd", "http://example.org/etc/passwd"),
    ("http://example.org/%2e%2e/%2E%2e/x", "http://example.org/x"),
    ("http://[::1]:80/", "http://[0:0:0:0:0:0:0:1]/"),
    ("http://example.org./", "http://example.org/"),
    ("  http://example.org/a\nb  ", "http://example.org/ab"),
  ])
  func anAddressHasOneSpelling(text: String, expected: String) {
    #expect(WebAddress(text)?.description == expected)
  }

  @Test(arguments: [
    "file:///etc/passwd", "javascript:alert(1)", "ftp://example.org/", "mailto:a@b",
    "//example.org",
    "http://", "http://user@example.org/", "http://example.org:0/", "http://example.org:70000/",
    "http://exa mple.org/", "http://exämple.org/", "http://[::1", "/path", "", "http://a%2eb/",
    "http://x/" + String(repeating: "a", count: 3_000),
  ])
  func whatIsNotTheWebIsNoAddress(text: String) { #expect(WebAddress(text) == nil) }

  @Test(
    arguments: [
      ("c.html", "http://h/a/c.html"), ("../c", "http://h/c"), ("/x/./y", "http://h/x/y"),
      ("?q", "http://h/a/b?q"), ("#top", "http://h/a/b?old"), ("//other/z", "http://other/z"),
      ("https://s/z", "https://s/z"), ("../../../../x", "http://h/x"), ("a:b/c", nil),
      ("file:///x", nil), ("..%2f..%2fx", "http://h/a/..%2f..%2fx"),
    ] as [(String, String?)])
  func aReferenceIsResolved(reference: String, expected: String?) throws {
    let base = try #require(WebAddress("http://h/a/b?old"))
    #expect(base.resolve(reference)?.description == expected)
  }

  @Test(arguments: [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::", "::1",
    "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "2001::1", "2130706433", "0x7f.1", "127.1",
  ])
  func addressesThatAreNotPublicAreKnown(text: String) throws {
    let addresses = try InternetAddress.all(of: text)
    #expect(!addresses.isEmpty && addresses.allSatisfy { !$0.isPublic })
  }

  @Test(arguments: ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])
  func publicAddressesAreKnown(text: String) throws {
    #expect(try InternetAddress.all(of: text).allSatisfy(\.isPublic))
  }

  @Test func aPageIsReadAsItIsFound() {
    let page = PageScanner.scan(
      Array(
        """
        <!DOCTYPE html><HTML LANG=De><title>A &amp; B &#8212; C</title><base href="/base/">
        <script>var a = "<a href=/no>";</script><!-- <a href=/no2> --><style>a{}</style>
        <a href=one>1</a><A HREF='two&amp;x=1' >2</a><a rel="external nofollow" href=/three>3
        <a href = "s.wav?x">wav</a><audio><source src=t.ogg type=audio/ogg></audio>
        <video><source src=v.mp4 type=video/mp4></video><meta property=og:audio content=/u.mp3>
        <p>Hello   <b>wor</b>ld<td>next < 5<a href="unclosed
        """.utf8))
    #expect(page.title == "A & B — C")
    #expect(page.language == "de")
    #expect(page.base == "/base/")
    #expect(page.links == ["one", "two&x=1", "unclosed"])
    #expect(page.media == ["s.wav?x", "t.ogg", "/u.mp3"])
    #expect(page.text.contains("Hello world next < 5"))
    #expect(!page.text.contains("var a"))
  }

  /// Random pieces of markup, and pages made to be slow: no trap, and time in proportion to their length.
  @Test(.offThePool) func noPageIsTooStrange() {
    var chance = SeededGenerator(seed: 5)
    let pieces = [
      "<", ">", "<a", " href=", "\"", "'", "<!--", "-->", "</", "<script", "</script>", "&#",
      "&amp;", ";",
      "\u{0}", "ü", "<title>", "=", "/", "<a href=x>", "<audio src=", "<![CDATA[",
    ]
    for _ in 0..<400 {
      let count = Int.random(in: 0..<60, using: &chance)
      let text = (0..<count).map { _ in pieces.randomElement(using: &chance)! }.joined()
      _ = PageScanner.scan(Array(text.utf8))
    }
    for piece in ["<", "<a ", "<a href=\"", "<!--", "<script>", "<a b=c ", "&", "<title>", "</"] {
      let page = PageScanner.scan(Array(String(repeating: piece, count: 20_000).utf8))
      #expect(page.links.count <= PageScanner.linkLimit)
      #expect(page.text.utf8.count <= PageScanner.textLimit + 4)
    }
    let bytes = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &chance) }
    _ = PageScanner.scan(PageText.utf8(bytes, contentType: "text/html; charset=utf-8"))
    _ = PageText.utf8(bytes, contentType: "text/html; charset=utf-16")
  }

  @Test func charsetsAreHonoured() {
    func text(_ bytes: [UInt8], _ type: String) -> String {
      String(decoding: PageText.utf8(bytes, contentType: type), as: UTF8.self)
    }
    #expect(text([0x68, 0xe4], "text/html; charset=ISO-8859-1") == "hä")
    #expect(text([0x80], "text/html; charset=\"windows-1252\"") == "€")
    #expect(text([0xff, 0xfe, 0x68, 0, 0xe4, 0], "") == "hä")
    #expect(text([0xef, 0xbb, 0xbf, 0x68], "text/html; charset=latin1") == "h")
    #expect(text(Array("<meta charset=latin1>".utf8) + [0xe4], "text/html").hasSuffix("ä"))
    #expect(text([0x68, 0xe4], "text/html") == "h\u{fffd}")
  }

  @Test func robotsRulesDecideByTheLongestPattern() {
    let rules = RobotsRules(
      """
      User-agent: other
      Disallow: /
      user-agent: *
      Disallow: /private # not this
      Allow: /private/open
      Disallow: /*.pdf$
      Crawl-delay: 2.5
      Disallow:
      """)
    #expect(rules.allows("/"))
    #expect(!rules.allows("/private/x"))
    #expect(rules.allows("/private/open/x"))
    #expect(!rules.allows("/a/b.pdf"))
    #expect(rules.allows("/a/b.pdf?x"))
    #expect(rules.allows("/robots.txt"))
    #expect(rules.crawlDelay == .seconds(2.5))
    let own = RobotsRules(
      "User-agent: Swift-Reliability-Crawler\nAllow: /\nUser-agent: *\nDisallow: /")
    #expect(own.allows("/x"))
    #expect(RobotsRules("User-agent: *\nCrawl-delay: 1e9").crawlDelay == RobotsRules.longestDelay)
    #expect(
      !RobotsRules("User-agent: *\nDisallow: /" + String(repeating: "*a", count: 200) + "$")
        .allows("/" + String(repeating: "a", count: 2_000)) == true)
  }

  @Test func aFrontierGivesOutEachAddressOnceAndKnowsWhenAPageIsDone() throws {
    var frontier = Frontier(mostPages: 2, capacity: 4)
    func address(_ text: String) throws -> WebAddress {
      try #require(WebAddress("http://h/\(text)"))
    }
    let page = Frontier.Page(address: try address("1"), depth: 0)
    let isNew = [frontier.add(page), frontier.add(page)]
    #expect(isNew == [true, false])
    let first = frontier.next()
    #expect(first == .page(page))
    let context = PageContext(address: page.address, title: "", text: "", depth: 0)
    let candidate = Frontier.Candidate(address: try address("a.wav"), page: context)
    let isTaken = [
      frontier.add(candidate), frontier.add(Frontier.Page(address: try address("2"), depth: 1)),
      frontier.add(Frontier.Page(address: try address("3"), depth: 1)),
      frontier.add(Frontier.Page(address: try address("4"), depth: 1)),
    ]
    #expect(isTaken == [true, true, true, false])
    #expect(frontier.leftOut == 1)
    let unfinished = frontier.finish(.page(page))
    #expect(unfinished == nil)
    let second = frontier.next()
    #expect(second == .candidate(candidate))
    let finished = frontier.finish(.candidate(candidate))
    #expect(finished?.address == page.address)
    let next = frontier.next()
    let third = try #require(next)
    let fourth = frontier.next()
    #expect(fourth == nil && !frontier.isDone)
    let last = frontier.finish(third)
    #expect(last != nil && frontier.isDone && frontier.pagesWaiting == 1)
  }
}
