import ReliabilityTestSupport
import Testing

@testable import ReliabilityCrawler

/// What the guides say about the crawler is so.
@Suite struct GuideTests {
  @Test func everyCallOfTheCrawlerIsUnderstood() throws {
    let calls = try Guides.calls(of: "crawler")
    #expect(calls.count > 5)
    for (line, words) in calls {
      let arguments = words.map { $0 == "URL" ? "https://example.org/" : $0 }
      #expect(throws: Never.self, "\(line)") { _ = try Options(arguments) }
    }
  }
}
