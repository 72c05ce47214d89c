internal import Foundation
internal import Reliability
internal import ReliabilityExampleSupport

/// What a server says about a file before it is downloaded.
struct VideoInfo: Codable, Hashable, Sendable {
  var url: String
  var contentType: String?
  var bytes: Int?
  var entityTag: String?
  var lastModified: String?
  var acceptsRanges: Bool
}

/// Asks servers about files, once for everybody who wants to know at the same time, and remembers the answers.
final class VideoInfoCache: Sendable {
  /// `nil` when caching is switched off.
  let cache: ResilientCache<String, VideoInfo>?
  private let timeout: Duration
  private let policy: AddressPolicy

  init(_ settings: Settings) {
    timeout = settings.videoInfoTimeout
    policy = settings.policy
    guard settings.enablesCaching else {
      cache = nil
      return
    }
    var rules = CachePolicy(
      capacity: settings.cacheMaxSize, timeToLive: settings.videoInfoLife)
    rules.staleIfError = settings.videoInfoLife
    rules.isNegative = { ($0.underlying(as: HTTPStatusError.self))?.statusCode == 404 }
    cache = ResilientCache(name: "video_info", policy: rules)
  }

  /// What there is to know about a file.
  ///
  /// - Throws: What the server said; a `TimeoutError`; `AddressBook.Failure`.
  func info(of item: DownloadItem) async throws -> VideoInfo {
    guard let cache else { return try await ask(item) }
    return try await cache.value(for: item.url.absoluteString) { try await self.ask(item) }
  }

  private func ask(_ item: DownloadItem) async throws -> VideoInfo {
    try await withTimeout(timeout) {
      var address = item.address
      for _ in 0...10 {
        let head = try await Self.head(address, policy, timeout)
        guard let next = HTTPClient.redirect(head, from: address.url) else {
          try HTTPStatusError.check(head.status, retryAfter: head.header("Retry-After"))
          return VideoInfo(
            url: item.url.absoluteString, contentType: head.header("Content-Type"),
            bytes: head.header("Content-Length").flatMap { Int($0) },
            entityTag: head.header("ETag"), lastModified: head.header("Last-Modified"),
            acceptsRanges: head.header("Accept-Ranges")?.lowercased() == "bytes")
        }
        address = try HTTPAddress(next)
      }
      throw URLError(.httpTooManyRedirects)
    }
  }

  private static func head(
    _ address: HTTPAddress, _ policy: AddressPolicy, _ silence: Duration
  ) async throws -> HTTPResponseHead {
    guard address.isPlain else {
      // URLSession hands the head over as soon as it is there; the body is not waited for.
      let begun = try await HTTPClient().begin(address, HTTPClient.fields, policy)
      defer { begun.giveUp() }
      return try await begun.exchange.response()
    }
    let fetch = try await HTTPFetch.prepared(
      method: "HEAD", host: address.host, port: address.port, target: address.target,
      headers: HTTPClient.fields, policy: policy, silence: silence)
    return try await withTaskCancellationHandler {
      try await BlockingThreads.shared.run {
        let answer = try fetch.open()
        defer { answer.finish() }
        return answer.head
      }
    } onCancel: {
      fetch.cancel()
    }
  }
}
