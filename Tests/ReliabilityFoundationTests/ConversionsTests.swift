import ErrorContext
import Foundation
import ReliabilityCore
import ReliabilityFoundation
import Testing

@Suite struct ConversionsTests {
  @Test(
    "Dates and wall times convert both ways to within a microsecond",
    arguments: [0, 1.5, -1.5, 1_736_951_422.25, -9e9])
  func dates(seconds: Double) {
    let date = Date(timeIntervalSince1970: seconds)
    #expect(abs(Date(WallTime(date)).timeIntervalSince(date)) < 2e-6)
  }

  @Test("Dates beyond what a wall time holds are limited, never trapped on")
  func extremeDates() {
    #expect(WallTime(Date.distantFuture) == WallTime(nanosecondsSince1970: .max))
    #expect(WallTime(Date.distantPast) == WallTime(nanosecondsSince1970: .min))
    #expect(
      WallTime(Date(timeIntervalSince1970: .infinity)) == WallTime(nanosecondsSince1970: .max))
    #expect(WallTime(Date(timeIntervalSince1970: .nan)) == WallTime(nanosecondsSince1970: 0))
  }

  @Test("An address in a context is private, and a public one loses user info and query")
  func urls() throws {
    let url = try #require(URL(string: "https://me:pw@host/a?sig=1"))
    let values: ContextValues = [
      "a": url, "b": .public(url), "c": UUID(), "d": .public(Date(timeIntervalSince1970: 0)),
    ]
    #expect(
      "\(values)"
        == "a=<private> b=https://<private>@host/a?<private> c=<private> d=1970-01-01T00:00:00Z")
  }

  @Test("A report goes through Data and back")
  func reportData() throws {
    let report = ErrorReport(NetworkError("down"))
    #expect(try ErrorReport(jsonData: report.jsonData(pretty: true)) == report)
    #expect(throws: DecodingError.self) { try ErrorReport(jsonData: Data("[]".utf8)) }
  }
}
