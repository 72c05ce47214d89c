import ReliabilityExampleSupport
import Testing

@testable import ReliabilityDownloader

@Suite struct DownloadPlanTests {
  @Test(arguments: [
    ("http://host/a.txt", "a.txt"), ("HTTPS://host:8080/x/y/a.txt?q=1/2#f", "a.txt"),
    ("http://[::1]:80/a", "a"), ("http://host/a%20b%C3%BC.txt", "a bü.txt"),
    ("http://host/..%5Cx", "..\\x"), ("http://host/x/...", "..."), ("http://host//a", "a"),
    ("http://host/a%3Fb", "a?b"),
  ])
  func theFileNameIsTheLastPartOfThePathDecoded(url: String, name: String) throws {
    #expect(try DownloadPlan(urls: [url]).items.map(\.name) == [name])
  }

  @Test(arguments: [
    ("", "is not a URL"), ("nonsense", "is not a"), ("/etc/passwd", "is not a"),
    ("http://", "host"), ("http:///a.txt", "host"), ("http://ho st/a", "is not a URL"),
    ("ftp://host/a", "is not an http or https URL"), ("file:///etc/passwd", "is not an http"),
    ("http://host", "has no file name"), ("http://host/", "has no file name"),
    ("http://host/a/", "has no file name"), ("http://host/?x=a", "has no file name"),
    ("http://host/..", "would leave the output directory"),
    ("http://host/.", "would leave the output directory"),
    ("http://host/%2e%2E", "would leave the output directory"),
    ("http://host/..%2Fetc%2Fpasswd", "would leave the output directory"),
    ("http://host/%2Fetc%2Fpasswd", "would leave the output directory"),
    ("http://host/a%00b", "control character"), ("http://host/a%0Ab", "control character"),
    ("http://host/a%1B%5B31m", "control character"), ("http://host/%FF", "not UTF-8"),
    ("http://host/a%", "is not a URL"),
    ("http://host/" + String(repeating: "a", count: 256), "256 bytes"),
    ("http://host:0/a", "impossible port"), ("http://host:65536/a", "port"),
  ])
  func anAddressThatCannotBeAFileIsRefusedWithAReason(url: String, reason: String) throws {
    let error = #expect(throws: UsageError.self) { try DownloadPlan(urls: [url]) }
    let text = try #require(error?.description)
    #expect(text.contains(reason), "\(text)")
    #expect(!text.contains("\n"))
  }

  @Test func aPasswordInAnAddressIsRefusedAndNotRepeated() throws {
    let error = #expect(throws: UsageError.self) {
      try DownloadPlan(urls: ["https://ada:secret@host/a"])
    }
    #expect(error?.description.contains("user name or password") == true)
    #expect(error?.description.contains("secret") == false)
  }

  @Test func aNameOfTheGreatestLengthIsAccepted() throws {
    let name = String(repeating: "a", count: 255)
    #expect(try DownloadPlan(urls: ["http://host/\(name)"]).items[0].name == name)
  }

  @Test func twoAddressesWithOneFileNameAreRefusedNamingBoth() throws {
    let error = #expect(throws: UsageError.self) {
      try DownloadPlan(urls: ["http://host/x/a", "http://host/b", "http://host/y/%61"])
    }
    let text = try #require(error?.description)
    #expect(text.contains("http://host/x/a") && text.contains("http://host/y/%61"))
  }

  @Test func theSameAddressTwiceIsRefused() throws {
    let error = #expect(throws: UsageError.self) {
      try DownloadPlan(urls: ["http://host/a", "http://host/a"])
    }
    #expect(error?.description == "\"http://host/a\" was given twice; give it once")
  }

  @Test func checksumsFindTheirAddress() throws {
    let digest = String(repeating: "a", count: 64)
    let plan = try DownloadPlan(
      urls: ["http://host/a?x=y", "http://host/b"], checksums: [("http://host/a?x=y", digest)])
    #expect(plan.items.map(\.checksum) == [digest, nil])
    #expect(throws: UsageError.self) {
      try DownloadPlan(urls: ["http://host/b"], checksums: [("http://host/a", digest)])
    }
    #expect(throws: UsageError.self) {
      try DownloadPlan(
        urls: ["http://host/b"],
        checksums: [
          ("http://host/b", digest), ("http://host/b", String(repeating: "b", count: 64)),
        ])
    }
  }
}
