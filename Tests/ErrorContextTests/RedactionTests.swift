import ErrorContext
import ReliabilityTestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

@Suite struct RedactionTests {
  static let cases: [(String, String)] = [
    ("https://me:pw@host:80/a/b?sig=1&x=2#frag", "https://<private>@host:80/a/b?<private>"),
    ("see https://host/a#access_token=x.", "see https://host/a#<private>"),
    ("postgres://u:p@ss@db/x", "postgres://<private>@db/x"),
    ("postgres://u:p/ss@db/x", "postgres://<private>@db/x"),
    ("postgres://u:p?ss@db/x", "postgres://<private>@db/x"),
    ("http://[::1]:8080/a?b", "http://[::1]:8080/a?<private>"),
    ("http://host:8080/~me@home", "http://host:8080/~me@home"),
    ("\"https://h/p?q=1\", next", "\"https://h/p?<private>\", next"),
    ("Authorization: Bearer abc.def ghi\nAccept: */*", "Authorization: <private>\nAccept: */*"),
    (
      "[\"Authorization\": \"Bearer abc\", \"Accept\": \"x\"]",
      "[\"Authorization\": \"<private>\", \"Accept\": \"x\"]"
    ),
    ("Set-Cookie: a=b; Path=/", "Set-Cookie: <private>"),
    ("cookie=\"x y\" z", "cookie=\"<private>\" z"),
    ("sent Bearer abcdefgh123 to it", "sent Bearer <private> to it"),
    ("run --password hunter2 --verbose", "run --password <private> --verbose"),
    ("run --password=hunter2 file", "run --password=<private> file"),
    ("[\"--api-key\", \"hunter2\", \"x\"]", "[\"--api-key\", \"<private>\", \"x\"]"),
    ("run --token --verbose", "run --token --verbose"),
    ("password: hunter2", "password: <private>"),
    ("DB_PASSWORD='a b' X=1", "DB_PASSWORD='<private>' X=1"),
    ("{\"client_secret\":\"a\\\"b\",\"id\":1}", "{\"client_secret\":\"<private>\",\"id\":1}"),
    ("{\\\"token\\\":\\\"abc\\\",\\\"id\\\":1}", "{\\\"token\\\":\\\"<private>\\\",\\\"id\\\":1}"),
    ("a?user=1&access_token=abc&x=2", "a?user=1&access_token=<private>&x=2"),
    ("the password is wrong", "the password is wrong"),
    ("Unexpected token }", "Unexpected token }"),
    ("file:///tmp/x: no such file", "file:///tmp/x: no such file"),
    ("plain text, 3 of 4", "plain text, 3 of 4"),
    ("Login(token: Optional(\"a b\"), n: 1)", "Login(token: <private> n: 1)"),
    ("t(authToken: Token(value: \"a\", n: 3), x: 1)", "t(authToken: <private> x: 1)"),
    ("[\"X-Api-Key\": [\"a\", \"b\"], \"n\": 1]", "[\"X-Api-Key\": <private> \"n\": 1]"),
    ("{\"credentials\": {\"v\": \"a b\"}, \"n\": 1}", "{\"credentials\": <private> \"n\": 1}"),
    ("{\\\"tokens\\\":[\\\"a\\\",\\\"b\\\"]} x", "{\\\"tokens\\\":<private> x"),
    (
      "[AnyHashable(\"X-Api-Key\"): \"a b\", AnyHashable(\"Cookie\"): \"c=d; e\"]",
      "[AnyHashable(\"X-Api-Key\"): \"<private>\", AnyHashable(\"Cookie\"): \"<private>\"]"
    ),
    ("env[\"TOKEN\"] = \"a b\"", "env[\"TOKEN\"] = \"<private>\""),
    ("{:password => \"a b\", n: 1}", "{:password => \"<private>\", n: 1}"),
    ("\"{\"\"password\"\":\"\"a b\"\"}\"", "\"{\"\"password\"\":\"\"<private>\"\"}\""),
    ("{\"password\":\"\",\"n\":1}", "{\"password\":\"\",\"n\":1}"),
    ("<a:password>a b</a:password>", "<a:password><private></a:password>"),
    ("usage: log in <password> <file>", "usage: log in <password> <file>"),
    ("Unexpected token: { at line 3", "Unexpected token: <private> at line 3"),
    ("credentials: { user: 'a b' } x", "credentials: <private> x"),
    ("{\"secrets\": {\n  \"v\": \"a b\"\n}, \"n\": 1}", "{\"secrets\": <private> \"n\": 1}"),
    ("DB_PASS=x --pass y", "DB_PASS=<private> --pass <private>"),
    ("bypass=1 compass=2 passed: 3", "bypass=1 compass=2 passed: 3"),
    ("X-Amz-Signature=abc", "X-Amz-Signature=<private>"),
    ("Bearer  abcdefgh123 x", "Bearer  <private> x"),
    ("postgres://u:p^s@db/x", "postgres://<private>@db/x"),
    ("https://u:p{s@db/x?y", "https://<private>@db/x?<private>"),
    ("https://oauth2:eyJhbGciOi", "https://<private>"),
    ("see http://host:8080.", "see http://host:8080."),
    ("see (http://host:8080), a@b", "see (http://host:8080), a@b"),
    ("https://h/p;jsessionid=abc?x", "https://h/p;jsessionid=<private>"),
    ("https://proxy/https://u:p@h/a?b", "https://proxy/https://<private>@h/a?<private>"),
    ("", ""), ("://", "://"), ("token=", "token="), ("https://", "https://"),
  ]

  @Test("Secrets are hidden and the rest stays", arguments: cases)
  func redacts(text: String, expected: String) {
    #expect(Redaction.standard.redact(text) == expected)
    #expect(Redaction.standard.redact(expected) == expected)
  }

  @Test("Command lines lose what follows a password-like option")
  func arguments() {
    let arguments = [
      "curl", "-u", "me:pw", "--token", "abc", "--password=x", "-H", "Authorization: Basic eA==",
      "https://h/?q=1", "plain",
    ]
    #expect(
      Redaction.standard.redact(arguments: arguments) == [
        "curl", "-u", "me:<private>", "--token", "<private>", "--password=<private>", "-H",
        "Authorization: <private>", "https://h/?<private>", "plain",
      ])
  }

  @Test("A program adds names of its own secrets")
  func additionalNames() {
    let redaction = Redaction(additionalNames: ["Kundennummer"])
    #expect(redaction.redact("Kunden-Nummer=12") == "Kunden-Nummer=<private>")
    #expect(Redaction.standard.redact("Kunden-Nummer=12") == "Kunden-Nummer=12")
  }

  @Test("Random text never traps, and redacting twice is redacting once", arguments: 0..<500)
  func randomText(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let pieces = [
      "https", "://", "@", "?", "#", ":", "/", "\"", "'", "\\", "=", " ", "\n", "--password",
      "token",
      "Authorization", "Bearer ", "é", "<private>", "&", ",", "abcdefgh", "[", "]",
    ]
    var text = ""
    for _ in 0..<30 { text += pieces.randomElement(using: &random)! }
    let once = Redaction.standard.redact(text)
    let twice = Redaction.standard.redact(once)
    #expect(Redaction.standard.redact(twice) == twice, "seed \(seed): \(text)")
  }

  @Test(
    "The work grows with the length alone, whatever the text repeats", .offThePool,
    arguments: [
      "a://b:c^", "a://", "a://b/", "<password>", ":password>", "token=(", "Bearer (", "token=\"",
      "a://b?", "token: ", "token:{ ", "token:{ a ", "\"", "[token](",
    ])
  func linear(piece: String) {
    // Four times the text is four times the work. Were it the square, it would be sixteen times, however busy the machine is.
    let text = String(repeating: piece, count: 10_000 / piece.utf8.count)
    let long = text + text + text + text
    // The least of some repetitions: what disturbs one only adds.
    var least = (0..<3).map { _ in workOf { _ = Redaction.standard.redact(text) } }.min()!
    var leastOfLong = UInt64.max
    for _ in 0..<10 {
      leastOfLong = min(leastOfLong, workOf { _ = Redaction.standard.redact(long) })
      if leastOfLong < 8 * least { return }
      least = min(least, workOf { _ = Redaction.standard.redact(text) })
    }
    Issue.record("\(leastOfLong) ns for four times what takes \(least) ns")
  }

  /// Nanoseconds of the processor, for this thread alone: others that use the machine do not count.
  private func workOf(_ body: () -> Void) -> UInt64 {
    let start = threadTime()
    body()
    return threadTime() - start
  }

  private func threadTime() -> UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  @Test("Values are private unless marked, and a marked one still loses its secrets")
  func values() {
    let values: ContextValues = [
      "account": "jane", "count": 3, "id": .public("42"), "url": .public("https://h/?q=1"),
      "password": .public("oops"), "none": nil as String?,
    ]
    #expect(
      "\(values)"
        == "account=<private> count=<private> id=42 url=https://h/?<private> password=<private> none=nil"
    )
    #expect(values.entries[0].value.unredacted == "jane")
  }
}
