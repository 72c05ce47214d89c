internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// Fetches pages, media and robots.txt: with retries, a breaker and a pace for each site, limits of size and time, and
/// only from where the crawl may go.
final class Fetcher: Sendable {
  enum Purpose: Sendable {
    case page, media, robots

    var limits: BodySink.Limits {
      switch self {
      case .page: BodySink.Limits(most: 2 << 20, kept: 2 << 20)
      case .media: BodySink.Limits(most: 256 << 20, kept: 2 << 20, isHashed: true)
      case .robots: BodySink.Limits(most: 4 << 20, kept: RobotsRules.sizeLimit)
      }
    }

    /// How much more time than a page it may take.
    var patience: Int { self == .media ? 10 : 1 }
  }

  struct Settings: Sendable {
    var attempts = 3
    var timeout = Duration.seconds(30)
    var backoff = Duration.milliseconds(500)
    /// How many requests a second a public site gets.
    var rate = 10
    var allowsPrivate = false
    var workers = 20
    var breaker = CircuitBreaker.Configuration.default
    var mostRedirects = 10
  }

  /// What a site's robots.txt says.
  private struct SiteRules: Sendable {
    var robots: RobotsRules
    /// Keeps to the site's crawl delay.
    var pacer: RateLimiter?
    /// Why robots.txt could not be read.
    var failure: CrawlError?
  }

  private let settings: Settings
  private let threads: FetchThreads
  private let connections = HTTPConnections()
  private let breakers: KeyedCircuitBreaker<String>
  private let pace: KeyedRateLimiter<String>
  private let sites = ResilientCache<String, SiteRules>(name: "robots")
  /// The sites the user named: they may be private.
  private let named: Set<String>

  init(_ settings: Settings, named: Set<String>) {
    self.settings = settings
    self.named = named
    threads = FetchThreads(limit: settings.workers)
    breakers = KeyedCircuitBreaker(name: "site", configuration: settings.breaker)
    pace = KeyedRateLimiter(
      RateLimit(settings.rate, per: .seconds(1), burst: 2 * settings.rate), name: "site")
  }

  /// Lets go of threads and connections.
  func stop() {
    threads.stop()
    connections.close()
  }

  /// Fetches an address.
  ///
  /// - Parameters:
  ///   - address: What to fetch.
  ///   - purpose: What for.
  ///   - follows: Whether a redirect may be followed to an address.
  /// - Throws: ``Rejection`` where robots.txt forbids it; ``CrawlError``, `HTTPStatusError`, `TimeoutError`,
  ///   `CircuitOpenError`, `URLError`; `CancellationError`.
  func fetch(
    _ address: WebAddress, _ purpose: Purpose,
    follows: (WebAddress) -> Bool = { _ in true }
  ) async throws -> Fetched {
    var address = address
    var visited: Set<WebAddress> = []
    while true {
      guard visited.insert(address).inserted else { throw CrawlError(.redirectLoop) }
      guard visited.count <= settings.mostRedirects + 1 else {
        throw CrawlError(.tooManyRedirects(settings.mostRedirects))
      }
      let rules = purpose == .robots ? nil : try await siteRules(of: address)
      if let rules, !rules.robots.allows(address.target) {
        throw Rejection(step: "robots.txt", reason: "the site does not want it fetched")
      }
      let (head, fetched) = try await insistently(address, purpose, rules?.pacer)
      guard let location = Self.redirect(head) else { return fetched }
      guard let next = address.resolve(location), follows(next) else {
        throw CrawlError(.redirectRefused(location))
      }
      breadcrumb("redirected to \(next)")
      address = next
    }
  }

  private static func redirect(_ head: HTTPResponseHead) -> String? {
    [301, 302, 303, 307, 308].contains(head.status) ? head.header("Location") : nil
  }

  /// One address, as often as the policy says.
  private func insistently(
    _ address: WebAddress, _ purpose: Purpose, _ pacer: RateLimiter?
  ) async throws -> (HTTPResponseHead, Fetched) {
    let policy = RetryPolicy(
      maxAttempts: settings.attempts, backoff: .exponential(base: settings.backoff))
    return try await retry(policy) {
      if let pacer { try await pacer.acquire() }
      if !isOwnMachine(address) { try await pace.acquire(for: address.site) }
      return try await breakers.run(for: address.site) {
        try await withTimeout(settings.timeout * purpose.patience, kind: .attempt) {
          try await once(address, purpose)
        }
      }
    }
  }

  /// One request.
  private func once(
    _ address: WebAddress, _ purpose: Purpose
  ) async throws -> (HTTPResponseHead, Fetched) {
    let sink = BodySink(purpose.limits)
    let fields = [
      HTTPField("Accept", purpose == .page ? "text/html, application/xhtml+xml" : "*/*"),
      HTTPField("Accept-Encoding", "identity"),
      HTTPField("User-Agent", "\(RobotsRules.agent)/1.0"),
    ]
    let ending: HTTPVisit.Ending
    if address.isSecure {
      try await look(at: address)
      try await SecureFetch.shared.get(address, fields, into: sink)
      ending = .complete
    } else {
      ending = try await visit(address, fields, sink)
    }
    guard let head = sink.head else { throw CrawlError(.connection) }
    if Self.redirect(head) == nil {
      try HTTPStatusError.check(head.status, retryAfter: head.header("Retry-After"))
      guard (200..<300) ~= head.status else { throw HTTPStatusError(head.status) }
    }
    let fetched = try sink.fetched(from: address)
    if ending == .shortBody, (200..<300) ~= head.status {
      throw CrawlError(.shortBody(received: fetched.byteCount))
    }
    return (head, fetched)
  }

  private func visit(
    _ address: WebAddress, _ fields: [HTTPField], _ sink: BodySink
  ) async throws -> HTTPVisit.Ending {
    let silence = settings.timeout
    let visit = HTTPVisit(
      host: address.host, port: address.port, target: address.target, headers: fields,
      allowsPrivate: allowsPrivate(address), silence: max(1, Int(silence.components.seconds)),
      over: connections)
    do {
      return try await threads.run(cancel: { visit.cancel() }) {
        unsafe try visit.run(onHead: { sink.take($0) }, onBytes: { unsafe sink.take($0) })
      }
    } catch let refusal as HTTPVisit.Refusal {
      throw CrawlError(.privateAddress("\(refusal)"))
    } catch let failure as HTTPFetch.Failure {
      if case .silent = failure {
        throw TimeoutError(kind: .stall, limit: silence, elapsed: silence)
      }
      throw CrawlError(.connection, cause: failure)
    } catch let error as SocketError {
      throw CrawlError(.connection, cause: error)
    }
  }

  /// Refuses a host whose addresses are not public, for connections that others make.
  private func look(at address: WebAddress) async throws {
    guard !allowsPrivate(address) else { return }
    let host = address.host
    do {
      let addresses = try await threads.run(cancel: {}) { try InternetAddress.all(of: host) }
      if let own = addresses.first(where: { !$0.isPublic }) {
        throw CrawlError(.privateAddress("\(host) is at \(own), which is not a public address"))
      }
    } catch let failure as HTTPFetch.Failure {
      throw CrawlError(.connection, cause: failure)
    }
  }

  private func allowsPrivate(_ address: WebAddress) -> Bool {
    settings.allowsPrivate || named.contains(address.site)
  }

  /// A server on the user's own machine or network needs no consideration beyond what its robots.txt asks for.
  private func isOwnMachine(_ address: WebAddress) -> Bool {
    address.host == "localhost" || InternetAddress(address.host)?.isPublic == false
  }

  private func siteRules(of address: WebAddress) async throws -> SiteRules {
    let rules = try await sites.value(for: address.site) { try await self.loadRules(of: address) }
    if let failure = rules.failure { throw failure }
    return rules
  }

  /// Reads a site's robots.txt (RFC 9309, section 2.3.1): one that is missing allows everything, one that can't be had
  /// nothing.
  private func loadRules(of address: WebAddress) async throws -> SiteRules {
    guard let file = address.resolve("/robots.txt") else { return SiteRules(robots: .none) }
    do {
      let fetched = try await fetch(file, .robots)
      let robots = RobotsRules(String(decoding: fetched.bytes, as: UTF8.self))
      let pacer = robots.crawlDelay.flatMap { delay in
        delay > .zero ? RateLimiter(RateLimit(1, per: delay, burst: 1), name: "crawl_delay") : nil
      }
      return SiteRules(robots: robots, pacer: pacer)
    } catch let error as HTTPStatusError where error.category == .validation {
      return SiteRules(robots: .none)
    } catch let error as CrawlError where error.code.isRefusal {
      return SiteRules(robots: .none, failure: error)
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      return SiteRules(
        robots: .none, failure: CrawlError(.robotsUnavailable(site: address.site), cause: error))
    }
  }
}

extension CrawlError.Code {
  fileprivate var isRefusal: Bool { if case .privateAddress = self { true } else { false } }
}
