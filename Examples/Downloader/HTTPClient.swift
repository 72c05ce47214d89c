internal import Foundation
import Reliability
internal import ReliabilityExampleSupport

/// Reads HTTP bodies piece by piece, while they arrive.
///
/// Plain http goes over a connection of its own on a thread of its own; https, and http through a proxy, over
/// URLSession.
struct HTTPClient {
  /// Sends a GET and hands the exchange over, from which the answer is read while it arrives.
  ///
  /// The connection is given up when the body of this call ends early, by whatever way.
  ///
  /// - Parameters:
  ///   - url: An http or https address.
  ///   - headers: Further header fields.
  ///   - body: Reads the answer.
  /// - Throws: What `body` throws.
  func withExchange<Result>(
    _ url: URL, headers: [String: String] = [:], _ body: (Exchange) async throws -> Result
  ) async throws -> Result {
    let fields =
      Self.fields + headers.sorted { $0.key < $1.key }.map { HTTPField($0.key, $0.value) }
    let exchange = Exchange()
    let transfer = Transfer()
    start(url, fields, exchange, transfer)
    defer {
      exchange.abandon()
      transfer.cancel()
    }
    return try await body(exchange)
  }

  /// What every request says: a decoded body has neither the promised length nor positions to resume from.
  static let fields = [
    HTTPField("Accept", "*/*"), HTTPField("Accept-Encoding", "identity"),
    HTTPField("User-Agent", "swift-reliability-downloader"),
  ]

  /// A request that is under way.
  struct Begun: Sendable {
    let exchange: Exchange
    fileprivate let transfer: Transfer

    /// Nobody reads the answer any more.
    func giveUp() {
      exchange.abandon()
      transfer.cancel()
    }
  }

  /// Sends a GET over URLSession.
  ///
  /// - Parameters:
  ///   - address: Where to.
  ///   - fields: All header fields.
  ///   - policy: To which addresses it may go.
  /// - Returns: The exchange; to be given up in the end.
  /// - Throws: `AddressBook.Failure`, or `CancellationError`.
  func begin(
    _ address: HTTPAddress, _ fields: [HTTPField], _ policy: AddressPolicy
  ) async throws -> Begun {
    if policy != .any { try await AddressBook.shared.check(address.host, policy) }
    let begun = Begun(exchange: Exchange(), transfer: Transfer())
    SecureSession.shared.start(address.url, fields, begun.exchange, begun.transfer)
    return begun
  }

  private func start(
    _ url: URL, _ fields: [HTTPField], _ exchange: Exchange, _ transfer: Transfer
  ) {
    guard url.scheme?.lowercased() == "http", !ProxySettings().applies(to: url) else {
      return SecureSession.shared.start(url, fields, exchange, transfer)
    }
    let parts = URLComponents(url: url, resolvingAgainstBaseURL: true)
    let path = parts.map { $0.percentEncodedPath.isEmpty ? "/" : $0.percentEncodedPath } ?? "/"
    let query = parts?.percentEncodedQuery.map { "?\($0)" } ?? ""
    let host = (url.host(percentEncoded: false) ?? "").trimmingCharacters(in: ["[", "]"])
    let fetch = HTTPFetch(
      host: host, port: UInt16(clamping: url.port ?? 80), target: path + query, headers: fields)
    guard transfer.begin({ fetch.cancel() }) else { return exchange.ended(nil) }
    Thread.detachNewThread {
      self.run(fetch, url, fields, exchange, transfer)
    }
  }

  private func run(
    _ fetch: HTTPFetch, _ url: URL, _ fields: [HTTPField], _ exchange: Exchange,
    _ transfer: Transfer
  ) {
    var destination: URL?
    do throws(HTTPFetch.Failure) {
      unsafe try fetch.run { head in
        destination = Self.redirect(head, from: url)
        if destination == nil { exchange.received(head) } else { fetch.cancel() }
      } onBytes: { bytes in
        if destination == nil { unsafe exchange.received(bytes) }
      }
    } catch {
      // The end of a redirect's own connection doesn't matter.
      if destination == nil { return exchange.ended(DownloadError(.connection, cause: error)) }
    }
    guard let destination else { return exchange.ended(nil) }
    guard exchange.allowsRedirect() else {
      return exchange.ended(URLError(.httpTooManyRedirects))
    }
    start(destination, fields, exchange, transfer)
  }

  /// Where an answer leads, or `nil` when it is the answer itself: never out of http and https.
  static func redirect(_ head: HTTPResponseHead, from url: URL) -> URL? {
    guard [301, 302, 303, 307, 308].contains(head.status),
      let location = head.header("Location"),
      let destination = URL(string: location, relativeTo: url)?.absoluteURL,
      let host = destination.host(), !host.isEmpty
    else { return nil }
    let scheme = destination.scheme?.lowercased()
    return scheme == "http" || scheme == "https" ? destination : nil
  }
}

/// What has to be done to give a transfer up, wherever it has got to.
final class Transfer: Sendable {
  private let state = Lock<(cancel: (@Sendable () -> Void)?, isCancelled: Bool)>((nil, false))

  /// The next stage begins.
  ///
  /// - Returns: `false` when the transfer was given up before.
  func begin(_ cancel: @escaping @Sendable () -> Void) -> Bool {
    state.withLock { state in
      state.cancel = cancel
      return !state.isCancelled
    }
  }

  func cancel() {
    let cancel = state.withLock { state in
      state.isCancelled = true
      return state.cancel
    }
    cancel?()
  }
}
