internal import Reliability
internal import ReliabilityExampleSupport

/// Who may ask for what, and how often.
final class ServeGate: Sendable {
  private let token: AccessToken?
  private let isLoopback: Bool
  /// Clients by address; of version 6 by network.
  let limiter: KeyedRateLimiter<String>

  /// - Parameters:
  ///   - token: What clients must send, when they must.
  ///   - isLoopback: Whether only this machine can connect.
  ///   - perMinute: How many requests a client may send in a minute.
  ///   - burst: How many of them at once.
  init(token: AccessToken?, isLoopback: Bool, perMinute: Int, burst: Int) {
    self.token = token
    self.isLoopback = isLoopback
    limiter = KeyedRateLimiter(
      RateLimit(perMinute, per: .seconds(60), burst: burst), name: "client")
  }

  /// Lets a request pass.
  ///
  /// Probes and collectors come at a pace of their own and are not limited; probes need no token either.
  ///
  /// - Throws: ``ServeProblem``.
  func admit(_ request: HTTPRequest) throws(ServeProblem) {
    let path = request.path
    let isProbe = path == "/health" || path.hasPrefix("/health/")
    if !isProbe, path != "/metrics" {
      let decision = limiter.tryAcquire(for: request.client)
      if !decision.isAllowed {
        var problem = ServeProblem(429, "too many requests; slow down")
        problem.retryAfter = decision.retryAfter ?? .seconds(60)
        throw problem
      }
    }
    try refuseStrangers(request)
    // The page shows nothing by itself: it asks for the token.
    if let token, !isProbe, path != "/", !token.isIn(request) {
      var problem = ServeProblem(401, "the token is missing or wrong")
      problem.headers = [HTTPField("WWW-Authenticate", "Bearer")]
      throw problem
    }
  }

  /// Turns away what a page of another site makes a browser on this machine send.
  ///
  /// A name of that site may resolve to 127.0.0.1, and a form may be sent anywhere; but the browser says whose page it is.
  private func refuseStrangers(_ request: HTTPRequest) throws(ServeProblem) {
    guard let host = request.header("Host") else { return }
    if isLoopback, !Self.isLocal(host) {
      throw ServeProblem(421, "this server does not serve \(host.quotedForDisplay)")
    }
    if let origin = request.header("Origin"), origin != "http://\(host)",
      origin != "https://\(host)"
    {
      throw ServeProblem(403, "requests of other sites' pages are refused")
    }
  }

  static func isLocal(_ host: String) -> Bool {
    var name = host[...]
    if name.hasPrefix("[") {
      name = name.dropFirst().prefix { $0 != "]" }
    } else if let colon = name.lastIndex(of: ":") {
      name = name[..<colon]
    }
    return name.lowercased() == "localhost" || name == "::1"
      || AddressBook.isLoopback(String(name))
  }
}
