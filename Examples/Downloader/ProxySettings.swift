internal import Foundation

/// Whether the environment names a proxy for plain http, as curl and therefore URLSession on Linux read it.
///
///     ProxySettings(["http_proxy": "http://proxy:3128", "no_proxy": ".example.org"]).applies(to: url)
struct ProxySettings {
  private let isSet: Bool
  /// What needs no proxy, in lower case; `nil` when nothing does.
  private let exceptions: [Substring]?

  /// - Parameter environment: The environment variables.
  init(_ environment: [String: String] = ProcessInfo.processInfo.environment) {
    func value(_ names: String...) -> String {
      names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    }
    // Not in upper case: a CGI program finds the request's `Proxy` field there.
    isSet = !value("http_proxy", "all_proxy", "ALL_PROXY").isEmpty
    let list = value("no_proxy", "NO_PROXY").lowercased()
    exceptions =
      list.trimmingCharacters(in: .whitespaces) == "*"
      ? nil : list.split { $0 == "," || $0 == " " }
  }

  /// Whether requests to this address go to the proxy.
  ///
  /// A name among the exceptions stands for itself and what ends in a dot and it, with or without a dot before it; an address
  /// for itself. Loopback is never asked for elsewhere.
  func applies(to url: URL) -> Bool {
    guard isSet, let exceptions else { return false }
    var host = (url.host(percentEncoded: false) ?? "").lowercased()
    host = host.trimmingCharacters(in: ["[", "]"])
    while host.hasSuffix(".") { host.removeLast() }
    if host == "localhost" || host == "::1" || host.hasPrefix("127.") { return false }
    return !exceptions.contains { exception in
      var name = exception.drop { $0 == "." || $0 == "[" }
      while name.last == "." || name.last == "]" { name.removeLast() }
      return !name.isEmpty && (host == name || host.hasSuffix("." + name))
    }
  }
}
