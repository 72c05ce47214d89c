import Foundation
import Testing

@testable import ReliabilityDownloader

@Suite struct ProxySettingsTests {
  private func applies(_ url: String, _ environment: [String: String]) throws -> Bool {
    ProxySettings(environment).applies(to: try #require(URL(string: url)))
  }

  @Test(arguments: ["http_proxy", "all_proxy", "ALL_PROXY"])
  func aProxyThatIsNamedIsUsed(name: String) throws {
    #expect(try applies("http://example.org/a", [name: "http://proxy:1"]))
    #expect(try !applies("http://example.org/a", [name: ""]))
  }

  @Test func withoutOneThereIsNone() throws {
    #expect(try !applies("http://example.org/a", [:]))
    // In upper case it may be the header of somebody's request.
    #expect(try !applies("http://example.org/a", ["HTTP_PROXY": "http://proxy:1"]))
  }

  @Test(arguments: [
    "http://localhost/", "http://127.0.0.1:8080/", "http://127.1.2.3/", "http://[::1]/",
  ])
  func loopbackIsNeverAskedForElsewhere(url: String) throws {
    #expect(try !applies(url, ["http_proxy": "http://proxy:1"]))
  }

  @Test(arguments: [
    ("example.org", true), (".example.org", true), ("EXAMPLE.ORG", true), ("org", true),
    ("other.net, example.org", true), ("other.net example.org", true), ("*", true),
    (" * ", true), ("example.org.", true), ("example", false), ("ample.org", false),
    ("example.org.evil", false), ("", false), (",", false), (".", false), ("10.0.0.1", false),
    ("*.example.org", false), ("www.example.org.", true), ("a.www.example.org", false),
  ])
  func noProxyNamesWhatNeedsNone(exceptions: String, isDirect: Bool) throws {
    for name in ["no_proxy", "NO_PROXY"] {
      let environment = ["http_proxy": "http://proxy:1", name: exceptions]
      #expect(try applies("http://www.Example.org./a", environment) == !isDirect, "\(exceptions)")
    }
  }

  @Test(arguments: [
    ("http://10.0.0.1/", "10.0.0.1"), ("http://[2001:4860::1]/", "2001:4860::1"),
    ("http://[2001:4860::1]:80/", "[2001:4860::1]"),
  ])
  func noProxyNamesAddressesToo(url: String, exception: String) throws {
    #expect(try !applies(url, ["http_proxy": "http://proxy:1", "no_proxy": exception]))
    #expect(try applies(url, ["http_proxy": "http://proxy:1", "no_proxy": "10.0.0.2"]))
  }
}
