/// What a cache has done so far, in whole numbers that never fall.
///
///     let statistics = cache.statistics
///     print(statistics.hitRatio, statistics.misses, statistics.evictions)
public struct CacheStatistics: Hashable, Sendable {
  /// Requests that were answered with a fresh value.
  public internal(set) var hits = 0
  /// Requests that were answered at once with a stale value.
  public internal(set) var staleHits = 0
  /// Requests that were answered from the memory that there is no value.
  public internal(set) var negativeHits = 0
  /// Requests for which nothing usable was there.
  public internal(set) var misses = 0
  /// Of the misses, those that waited for a load that somebody else had started.
  public internal(set) var sharedLoads = 0
  /// Loads that were started, in the background or not.
  public internal(set) var loads = 0
  /// Loads that threw an error which is no answer.
  public internal(set) var loadFailures = 0
  /// Loads that were cancelled, since nobody waited any more or by themselves; neither a success nor a failure.
  public internal(set) var loadCancellations = 0
  /// Requests that waited for a load, and got a stale value in place of its error.
  public internal(set) var fallbacks = 0
  /// Entries that went because there were too many.
  public internal(set) var countEvictions = 0
  /// Entries that went because all together cost too much.
  public internal(set) var costEvictions = 0
  /// Entries that were found to be over.
  public internal(set) var expirations = 0
  /// Entries that were removed by hand, replaced by ``ResilientCache/set(_:for:timeToLive:)``, or died with their era or version.
  public internal(set) var invalidations = 0
  /// Values that were not kept, as one alone costs more than all may.
  public internal(set) var oversized = 0
  /// Values that were not kept, as the key was invalidated or set while they were loaded; one that is too large besides counts
  /// as ``oversized``.
  public internal(set) var outdated = 0

  /// Requests in all.
  public var requests: Int { hits + staleHits + negativeHits + misses }

  /// Entries that made room for others.
  public var evictions: Int { countEvictions + costEvictions }

  /// The part of the requests that was answered without a load, 0 when there was no request.
  public var hitRatio: Double {
    requests == 0 ? 0 : Double(requests - misses) / Double(requests)
  }
}

extension CacheStatistics {
  /// Why an entry went.
  @usableFromInline enum Removal { case count, cost, expired, invalidated }

  @usableFromInline mutating func countRemoval(_ removal: Removal) {
    switch removal {
    case .count: countEvictions += 1
    case .cost: costEvictions += 1
    case .expired: expirations += 1
    case .invalidated: invalidations += 1
    }
  }
}
