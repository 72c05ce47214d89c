import ReliabilityTestSupport
import Testing

@testable import ReliabilityExampleSupport

@Suite struct HTTPMessageTests {
  @Test func aRequestIsTakenApart() throws {
    let text = "GET /a%20b?x=1 HTTP/1.1\r\nHost: here\r\nX-Two:  spaced \t\r\n\r\n"
    let request = try HTTPRequest(head: Array(text.utf8))
    #expect(request.method == "GET")
    #expect(request.target == "/a%20b?x=1")
    #expect(request.path == "/a%20b")
    #expect(request.header("x-two") == "spaced")
    #expect(request.header("missing") == nil)
  }

  @Test(arguments: [
    ("http://host:80/a?b", "/a?b"), ("http://host", "/"), ("*", "*"), ("/http://x", "/http://x"),
  ])
  func aTargetMayNameTheHost(target: String, path: String) throws {
    let request = try HTTPRequest(head: Array("GET \(target) HTTP/1.1\r\n\r\n".utf8))
    #expect(request.target == path)
  }

  @Test(
    arguments: [
      ("", .length(0), 204), ("", .length(0), 304), ("", .untilClose, 200),
      ("Content-Length: 12\r\n", .length(12), 200),
      ("Transfer-Encoding: Chunked\r\nContent-Length: 5\r\n", .chunked, 200),
    ] as [(String, HTTPResponseHead.Framing, Int)])
  func theEndOfABodyIsTold(fields: String, framing: HTTPResponseHead.Framing, status: Int) throws {
    let head = try HTTPResponseHead(Array("HTTP/1.1 \(status) \r\n\(fields)\r\n".utf8))
    #expect(head.status == status)
    #expect(try head.framing() == framing)
  }

  @Test(arguments: [
    "", "HTTP/1.1\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 999 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "hello\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
  ])
  func anAnswerThatIsNotHTTPIsRefused(text: String) {
    #expect(throws: HTTPRequest.ParseError.malformed) { try HTTPResponseHead(Array(text.utf8)) }
  }

  @Test(arguments: ["-1", "1e3", "99999999999999999999", "", "+5"])
  func aLengthThatIsNoNumberIsRefused(length: String) throws {
    let head = HTTPResponseHead(status: 200, headers: [HTTPField("Content-Length", length)])
    #expect(throws: HTTPRequest.ParseError.malformed) { try head.framing() }
  }

  @Test func linesMayEndInALineFeedAlone() throws {
    let request = try HTTPRequest(head: Array("HEAD / HTTP/1.0\nA: b\n\n".utf8))
    #expect(request.method == "HEAD")
    #expect(request.header("A") == "b")
  }

  @Test(
    arguments: [
      ("", .malformed), ("\r\n\r\n", .malformed), ("GET\r\n\r\n", .malformed),
      ("GET /\r\n\r\n", .malformed), ("GET  / HTTP/1.1\r\n\r\n", .malformed),
      ("GET / HTTP/1.1 x\r\n\r\n", .malformed), ("G\u{0}T / HTTP/1.1\r\n\r\n", .malformed),
      ("GET nowhere HTTP/1.1\r\n\r\n", .malformed), ("G(T / HTTP/1.1\r\n\r\n", .malformed),
      ("GET / FTP/1.1\r\n\r\n", .malformed), ("GET / HTTP/2.0\r\n\r\n", .unsupportedVersion),
      ("GET / HTTP/1.x\r\n\r\n", .unsupportedVersion),
      ("GET / HTTP/1.1\r\nno colon\r\n\r\n", .malformed),
      ("GET / HTTP/1.1\r\n: empty\r\n\r\n", .malformed),
      ("GET / HTTP/1.1\r\nA : b\r\n\r\n", .malformed),
      ("GET / HTTP/1.1\r\n folded: b\r\n\r\n", .malformed),
    ] as [(String, HTTPRequest.ParseError)])
  func nonsenseIsRefused(text: String, error: HTTPRequest.ParseError) {
    #expect(throws: error) { try HTTPRequest(head: Array(text.utf8)) }
  }

  @Test func bytesThatAreNotTextAreRefused() {
    #expect(throws: HTTPRequest.ParseError.malformed) {
      try HTTPRequest(head: Array("GET /".utf8) + [0xff, 0xfe] + Array(" HTTP/1.1\r\n\r\n".utf8))
    }
  }

  @Test(
    arguments: [
      ("bytes=0-", 10, .satisfiable(0..<10)), ("bytes=3-", 10, .satisfiable(3..<10)),
      ("bytes=3-5", 10, .satisfiable(3..<6)), ("bytes=3-99", 10, .satisfiable(3..<10)),
      ("bytes=-4", 10, .satisfiable(6..<10)), ("bytes=-40", 10, .satisfiable(0..<10)),
      ("bytes=10-", 10, .unsatisfiable), ("bytes=-0", 10, .unsatisfiable),
      ("bytes=0-", 0, .unsatisfiable),
      ("bytes=0-9223372036854775807", 10, .satisfiable(0..<10)),
    ] as [(String, Int, HTTPRange.Resolution)])
  func rangesAreResolved(value: String, length: Int, resolution: HTTPRange.Resolution) {
    #expect(HTTPRange(value)?.resolve(length: length) == resolution)
  }

  @Test(arguments: [
    "", "bytes", "bytes=", "bytes=-", "bytes=5-3", "bytes=a-b", "bytes=0-1,3-4", "items=0-1",
    "bytes=+1-2", "bytes=99999999999999999999-", "bytes= 1-2",
  ])
  func whatIsNotOneRangeIsIgnored(value: String) {
    #expect(HTTPRange(value) == nil)
  }

  @Test(
    arguments: [
      (nil, nil, 200), ("bytes=2-4", nil, 206), ("bytes=2-4", "\"v1\"", 206),
      ("bytes=2-4", "\"v0\"", 200), ("bytes=90-", nil, 416), ("nonsense", nil, 200),
    ] as [(String?, String?, Int)])
  func aFileIsAnsweredByRangeAndCondition(range: String?, condition: String?, status: Int) throws {
    var text = "GET / HTTP/1.1\r\n"
    if let range { text += "Range: \(range)\r\n" }
    if let condition { text += "If-Range: \(condition)\r\n" }
    let request = try HTTPRequest(head: Array((text + "\r\n").utf8))
    let reply = HTTPReply.file(
      .bytes(Array("0123456789".utf8)), type: "text/plain", entityTag: "\"v1\"", for: request)
    #expect(reply.status == status)
    #expect(reply.body.count == [200: 10, 206: 3, 416: 0][status])
    let contentRange = reply.headers.first { $0.name == "Content-Range" }?.value
    #expect(contentRange == [206: "bytes 2-4/10", 416: "bytes */10"][status])
  }
}
