extension ResilientCache {
  /// Something that happened in a cache, for its observer.
  ///
  ///     let cache = ResilientCache<String, Page>(name: "pages", observer: { event in
  ///       print(event)  // pages: refreshFailed, next in 2.0 seconds
  ///     })
  ///
  /// Hits and misses are no events; ``ResilientCache/statistics`` counts them.
  public struct Event: Sendable {
    /// What can happen; the raw value is fit for a metric label.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
      /// A load brought a value, which is kept.
      case loaded
      /// A load failed, or said that there is no value; those who waited for it got its error.
      case loadFailed
      /// A load failed, and those who waited for it got a stale value.
      case fellBack
      /// A load in the background failed; the stale value stays.
      case refreshFailed
      /// A load was cancelled, or said so itself.
      case loadCancelled
      /// An entry went to make room.
      case evicted
      /// A value was not kept: it alone costs more than all may.
      case oversized
      /// A value was not kept: its key was invalidated or set while it was loaded.
      case outdated
      /// All entries went: by hand, or since the era or the version changed.
      case cleared
    }

    /// The name of the cache.
    public let cache: String
    /// What happened.
    public let kind: Kind
    /// The key, unless it is about all of them.
    public let key: Key?
    /// The namespace of the key, `nil` when it has none.
    public let namespace: String?
    /// The error of the load, when one failed.
    public let error: (any Error)?
    /// After which time the load is tried again, when a stale value is there meanwhile.
    public let retryAfter: Duration?
  }
}

extension ResilientCache.Event: CustomStringConvertible {
  /// One line for a log, without the key and the error's message.
  public var description: String {
    "\(cache): \(kind.rawValue)" + (retryAfter.map { ", next in \($0)" } ?? "")
  }
}
