import ReliabilityCore
import Testing

@Suite struct HTTPStatusErrorTests {
  @Test(arguments: [100, 200, 204, 206, 301, 304, 399])
  func statusThatIsNoFailurePasses(status: Int) throws {
    try HTTPStatusError.check(status)
  }

  @Test(arguments: [
    (400, ErrorCategory.validation, false), (401, .validation, false), (404, .validation, false),
    (408, .timeout, true), (410, .validation, false), (425, .validation, true),
    (429, .overload, true), (500, .dependency, true), (501, .dependency, false),
    (502, .dependency, true), (503, .dependency, true), (504, .timeout, true),
    (505, .dependency, false), (507, .fileSystem, false), (0, .network, false),
    (-1, .network, false), (999, .network, false), (.max, .network, false),
  ])
  func statusIsClassified(status: Int, category: ErrorCategory, retryable: Bool) {
    let error = #expect(throws: HTTPStatusError.self) { try HTTPStatusError.check(status) }
    #expect(error?.category == category)
    #expect(error?.retryability.isRetryable == retryable)
    #expect(error?.userMessage?.isEmpty == false)
  }

  @Test func serverHintIsReadInBothForms() throws {
    let now = WallTime(secondsSince1970: 784_111_777)  // Sun, 06 Nov 1994 08:49:37 GMT
    let seconds = #expect(throws: HTTPStatusError.self) {
      try HTTPStatusError.check(503, retryAfter: "120", now: now)
    }
    #expect(seconds?.retryability == .retryable(after: .seconds(120)))
    let date = #expect(throws: HTTPStatusError.self) {
      try HTTPStatusError.check(429, retryAfter: "Sun, 06 Nov 1994 08:50:37 GMT", now: now)
    }
    #expect(date?.retryAfter == .seconds(60))
  }

  @Test(arguments: [
    ("0", Duration.seconds(0)), ("  7\t", .seconds(7)),
    ("Sun, 06 Nov 1994 08:49:37 GMT", .seconds(10)),
    ("Sunday, 06-Nov-94 08:49:37 GMT", .seconds(10)),
    ("Sun Nov  6 08:49:37 1994", .seconds(10)), ("Sun, 06 Nov 1994 08:00:00 GMT", .zero),
  ])
  func retryAfterIsParsed(value: String, wait: Duration) {
    let now = WallTime(secondsSince1970: 784_111_767)
    #expect(RetryAfter.parse(value, now: now) == wait)
  }

  @Test func retryAfterThatOverflowsIsAVeryLongWait() {
    let wait = RetryAfter.parse("99999999999999999999999999")
    #expect(wait != nil && wait! > .seconds(86_400 * 365))
    #expect(RetryAfter.parse("9223372036854775807") != nil)
  }

  @Test(arguments: [
    "", " ", "soon", "-1", "+5", "1.5", "1e3", "٣", "12 s", "Sun, 06 Nov 1994 08:49:37 CET",
    "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 25:49:37 GMT",
    "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov 19940 08:49:37 GMT", ", , , , ,", "\u{0}",
  ])
  func retryAfterThatIsNeitherFormIsIgnored(value: String) {
    #expect(RetryAfter.parse(value) == nil)
  }
}
