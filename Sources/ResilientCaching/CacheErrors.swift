public import ReliabilityCore

/// There is no value for this key, and that is the answer.
///
/// A load that throws it has its answer remembered for ``CachePolicy/negativeTimeToLive``, and those who ask meanwhile get it
/// thrown:
///
///     let user = try await users.value(for: id) {
///       guard let user = try await database.user(id) else { throw NoSuchValueError() }
///       return user
///     }
public struct NoSuchValueError: ClassifiedError, Hashable {
  /// Makes the error.
  public init() {}

  /// Always `validation`: it is the key that is wrong.
  public var category: ErrorCategory { .validation }

  /// Never: the answer stays the same for a while.
  public var retryability: Retryability { .notRetryable }
}

extension NoSuchValueError: CustomStringConvertible {
  /// One line for a log.
  public var description: String { "there is no such value" }
}

/// A load asked the cache for something that, directly or not, waits for this very load.
///
///     try await cache.value(for: "a") {
///       try await cache.value(for: "a") { 1 }  // would wait for itself: throws
///     }
///
/// Found when the request is made, so nothing hangs: also when the circle goes over several keys, or over loads that
/// different tasks have started. A circle through two caches is found when it was made by one chain of calls; one that two tasks
/// close over two caches is not.
public struct RecursiveLoadError: ClassifiedError, Hashable {
  /// The name of the cache.
  public let cache: String

  /// Always `validation`: the program is wrong.
  public var category: ErrorCategory { .validation }

  /// Never.
  public var retryability: Retryability { .notRetryable }
}

extension RecursiveLoadError: CustomStringConvertible {
  /// One line for a log.
  public var description: String { "cache \(cache): a load waits for itself" }
}
