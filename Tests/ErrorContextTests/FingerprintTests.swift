import ErrorContext
import Testing

@Suite struct FingerprintTests {
  private func fingerprint(_ text: String) -> String {
    ErrorReport(Described(description: text)).fingerprint
  }

  @Test(
    "Ids, numbers, addresses, paths, URLs and quoted names don't change it",
    arguments: [
      ("job 17 failed", "job 4711 failed"),
      ("id 3F2504E0-4F89-11D3-9A0C-0305E82C3301", "id 6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
      ("no file /tmp/a/b.txt here", "no file /var/x.json here"),
      ("at 0x7ffee3 now", "at 0x10a9 now"),
      ("peer 10.0.0.1:80 reset", "peer 192.168.1.77:8080 reset"),
      ("peer [::1]:80 reset", "peer [fe80::1]:8080 reset"),
      ("GET https://a.example/x?y failed", "GET https://b.example/z failed"),
      ("no key \"anna\" found", "no key \"bob\" found"),
      ("The file “a b.txt” is missing", "The file “c.txt” is missing"),
      ("took 1.5s, gave up", "took 17.25s, gave up"),
      ("hash deadbeef bad", "hash cafebabefeed bad"),
      ("a\n  b", "a b"),
      ("user jane@a.example unknown", "user bob@b.example unknown"),
    ])
  func stable(one: String, other: String) {
    #expect(fingerprint(one) == fingerprint(other))
  }

  @Test("Different words, types, categories and contexts do")
  func distinguishes() {
    let base = fingerprint("connection reset")
    #expect(base != fingerprint("connection refused"))
    #expect(base != ErrorReport(NetworkError("connection reset")).fingerprint)
    #expect(fingerprint("it's broken, isn't it") != fingerprint("it's working, isn't it"))
    withErrorContext("inside") { #expect(base != fingerprint("connection reset")) }
    #expect(
      ErrorReport(Classified(category: .network)).fingerprint
        != ErrorReport(Classified(category: .database)).fingerprint)
  }

  @Test("It is the same in every process: the value of a known error is pinned")
  func pinned() {
    #expect(fingerprint("connection reset by peer 7").count == 16)
    #expect(fingerprint("connection reset by peer 7") == "ca32cc1c310926d0")
  }

  @Test("However long an id in a long message is, and in whatever context's name")
  func longMessages() {
    let rest = String(repeating: "something went wrong here ", count: 60) + "at the end"
    #expect(
      fingerprint("job 7 failed: " + rest)
        == fingerprint("job 71234567890123456789012345678901234567890 failed: " + rest))
    let inOne = withErrorContext("download 7") { fingerprint("reset") }
    let inOther = withErrorContext("download 8") { fingerprint("reset") }
    #expect(inOne == inOther)
  }
}
