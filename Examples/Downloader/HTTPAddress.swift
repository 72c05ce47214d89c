internal import Foundation
internal import ReliabilityExampleSupport

/// Where a request goes, taken apart once.
struct HTTPAddress: Hashable, Sendable {
  let url: URL
  /// In lower case, without brackets.
  let host: String
  let port: UInt16
  /// Path and query, percent-encoded.
  let target: String
  /// Whether it is plain http that no proxy stands before.
  let isPlain: Bool

  /// The server, for what is counted by server.
  var server: String { "\(host):\(port)" }

  /// - Throws: `UsageError` when it is not an http or https address of a host.
  init(_ url: URL) throws(UsageError) {
    let parts = URLComponents(url: url, resolvingAgainstBaseURL: true)
    guard let scheme = parts?.scheme?.lowercased(), scheme == "http" || scheme == "https",
      let parts, let host = url.host(percentEncoded: false), !host.isEmpty
    else { throw UsageError("\(url.absoluteString.quotedForDisplay) is not an http or https URL") }
    self.url = url
    self.host = host.lowercased().trimmingCharacters(in: ["[", "]"])
    port = UInt16(clamping: url.port ?? (scheme == "http" ? 80 : 443))
    let path = parts.percentEncodedPath
    target = (path.isEmpty ? "/" : path) + (parts.percentEncodedQuery.map { "?\($0)" } ?? "")
    isPlain = scheme == "http" && !ProxySettings().applies(to: url)
  }
}
