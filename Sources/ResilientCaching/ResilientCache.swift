public import ReliabilityCore
import ReliabilityMetrics

/// Keeps values that were costly to get, within bounds, and has each of them loaded once however many ask for it.
///
///     let pages = ResilientCache<String, Page>(name: "pages")
///     let page = try await pages.value(for: url) {
///       try await fetch(url)
///     }
///     print(pages.statistics.hitRatio)
///
/// At most so many entries, and of at most so much cost, are kept; the least recently used one goes first. An entry lives as the
/// ``CachePolicy`` says. The cache has no timer and no task but those of the loads that run: time is looked at when somebody asks.
///
/// What holds, whatever callers do:
/// - Of all who ask for a key, one load serves all. It belongs to the cache: whoever asked first may be cancelled, and the
///   others get their value. When all have left, it is cancelled.
/// - A load that began before its key was invalidated or set is not kept, and nobody who asks later gets its value.
/// - No entry of another era or version is given out.
/// - A value is kept whole or not at all; no error, and no cancellation, takes the place of a value.
///
/// A key's `hash(into:)` runs outside the lock, its `==` under it: that must not use the cache. All other code of yours (loads,
/// weigher, era, observer, what a `deinit` does) runs outside.
public final class ResilientCache<Key: Hashable & Sendable, Value: Sendable>: MetricsSource {
  /// What is cached, for events and metrics.
  public let name: String

  /// The policy it was made with.
  public let policy: CachePolicy

  @usableFromInline let clock: NanosecondClock
  @usableFromInline let currentEra: (@Sendable () -> UInt64)?
  @usableFromInline let guarded: Lock<CacheStateMachine<Key, Value>>
  @usableFromInline let weigher: (@Sendable (Key, Value) -> Int)?
  private let observer: (@Sendable (Event) -> Void)?
  let loadTimes: Histogram

  /// Makes an empty cache.
  ///
  /// - Parameters:
  ///   - name: What is cached: one of a small set of words, as it becomes a metric label.
  ///   - policy: How much is kept, and for how long.
  ///   - weigher: What a value costs, in the unit of `CachePolicy.maximumCost`. Less than zero counts as zero; without one
  ///     every value costs 1. Called outside locks.
  ///   - era: The number of the present era, such as a circuit breaker's: `{ breaker.era }`. When it is another one, all
  ///     entries are invalid, which takes O(loads that run) under the lock; a number must not come again. Called at every
  ///     request, outside locks, so it must be quick.
  ///   - observer: Is told what happens. Called outside locks, by whoever made it happen.
  /// - Precondition: `policy.validate()` does not throw.
  public init(
    name: String = "default", policy: CachePolicy = .default,
    weigher: (@Sendable (Key, Value) -> Int)? = nil, era: (@Sendable () -> UInt64)? = nil,
    observer: (@Sendable (Event) -> Void)? = nil
  ) {
    requireValid(policy.validate)
    self.name = name
    self.policy = policy
    self.weigher = weigher
    self.observer = observer
    clock = NanosecondClock(policy.clock)
    currentEra = era
    var generator = policy.randomness.makeGenerator()
    guarded = Lock(
      CacheStateMachine(
        name: name, rules: CacheRules(policy), isObserved: observer != nil, era: era?() ?? 0,
        seed: generator.next()))
    loadTimes = Histogram(
      "cache_load_seconds", help: "Time a load took", labels: [("cache", name)])
  }

  deinit {
    // Whoever waits keeps the cache; what still runs are refreshes, for which there is no more use.
    let tasks = guarded.withLock { $0.loads.values.compactMap(\.task) }
    for task in tasks { task.cancel() }
  }

  /// The value of a key if it is fresh, which counts as a use of it.
  ///
  /// - Complexity: O(1): the key is hashed once and compared once, under one lock, and the clock is read once.
  @inlinable
  public func value(for key: Key) -> Value? {
    let address = CacheAddress(key, in: CacheSpace())
    return hit(address) ?? missed(address)
  }

  /// The value of a key if it is fresh; not a use of it, and not counted.
  public func peek(_ key: Key) -> Value? { peek(CacheAddress(key, in: CacheSpace())) }

  /// Keeps a value for a key, in place of another one.
  ///
  /// A load of the key that still runs is out of date: its value goes to those who wait for it and is not kept.
  ///
  /// - Parameters:
  ///   - value: The value.
  ///   - key: Its key.
  ///   - timeToLive: How long it is fresh, greater than zero, and exactly so long; by default as the policy says.
  /// - Returns: Whether it is kept: `false` when it alone costs more than all may, and then the key has no value any more; also
  ///   when the era changed during the call, as the value may be of the one before.
  @discardableResult @inlinable
  public func set(_ value: Value, for key: Key, timeToLive: Duration? = nil) -> Bool {
    set(value, CacheAddress(key, in: CacheSpace()), timeToLive)
  }

  /// Removes a key.
  ///
  /// A load of the key that still runs is out of date, and cancelled when nobody waits for it.
  ///
  /// - Returns: The value that was there, fresh or stale.
  @discardableResult
  public func remove(_ key: Key) -> Value? { remove(CacheAddress(key, in: CacheSpace())) }

  /// Removes all entries, also those of all namespaces; all loads that still run are out of date.
  ///
  /// - Complexity: O(loads that run) under the lock; the values are released after it.
  public func removeAll() { change { $0.clear(&$1) } }

  /// How many entries there are; some of them may be over and not found to be yet.
  public var count: Int { guarded.withLock { $0.table.count } }

  /// What all entries cost together.
  public var cost: Int { guarded.withLock { $0.table.cost } }

  /// The version of the data, 0 to begin with.
  public var version: UInt64 { guarded.withLock { $0.version } }

  /// Enters a later version of the data: no entry of an earlier one is given out, no load that began earlier is kept.
  ///
  /// For a schema, a configuration or an index that has changed. A version that is not later changes nothing, so messages that
  /// say so may arrive twice and in any order.
  ///
  /// - Parameter version: A number that grows with the data.
  /// - Complexity: O(loads that run) under the lock; the values are released after it.
  public func advance(toVersion version: UInt64) {
    change { $0.advance(toVersion: version, &$1) }
  }

  /// What it has done so far.
  public var statistics: CacheStatistics { guarded.withLock { $0.statistics } }
}

extension ResilientCache {
  @inlinable @inline(__always)
  var moment: CacheMoment { CacheMoment(now: clock.now, era: currentEra?() ?? 0) }

  @inlinable @inline(__always)
  func hit(_ address: CacheAddress<Key>) -> Value? {
    let moment = moment
    return guarded.withLock { $0.hit(address, moment) }
  }

  @inline(never) @usableFromInline
  func missed(_ address: CacheAddress<Key>) -> Value? {
    changeNow { $0.get(address, $1, &$2) }
  }

  func peek(_ address: CacheAddress<Key>) -> Value? {
    let moment = moment
    return guarded.withLock { $0.peek(address, moment) }
  }

  @inlinable
  func set(_ value: Value, _ address: CacheAddress<Key>, _ timeToLive: Duration?) -> Bool {
    precondition(timeToLive.map { $0 > .zero } ?? true, "timeToLive must be greater than zero")
    // First: if the era changes while the weigher runs, the value is of the one before.
    let moment = moment
    let (cost, life) = (cost(of: value, address), timeToLive.map { CacheRules.lifetime($0) })
    let isKept: Bool? = change {
      $0.isLate(moment) ? nil : $0.set(address, value, cost: cost, life: life, moment, &$1)
    }
    return isKept ?? setLate(value, address, cost, life, moment)
  }

  /// Keeps a value if the era in which it was set, which others seem to have left, is the present one after all.
  @inline(never) @usableFromInline
  func setLate(
    _ value: Value, _ address: CacheAddress<Key>, _ cost: Int, _ life: Int64?, _ before: CacheMoment
  ) -> Bool {
    let moment = moment
    guard moment.era == before.era else { return false }
    return change { $0.set(address, value, cost: cost, life: life, moment, &$1) }
  }

  func remove(_ address: CacheAddress<Key>) -> Value? {
    changeNow { $0.remove(address, $1, &$2) }
  }

  @inlinable
  func cost(of value: Value, _ address: CacheAddress<Key>) -> Int {
    weigher?(address.key, value) ?? 1
  }

  /// Runs a change of the state machine, and does afterwards what it left to do.
  @inlinable
  func change<Answer: Sendable>(
    _ body: (inout CacheStateMachine<Key, Value>, inout CacheStateMachine<Key, Value>.Aftermath) ->
      Answer
  ) -> Answer {
    let (answer, after) = guarded.withLock { machine in
      var after = CacheStateMachine<Key, Value>.Aftermath()
      let answer = body(&machine, &after)
      return (answer, after)
    }
    if !(after.abandoned.isEmpty && after.events.isEmpty) { finish(after) }
    return answer
  }

  /// Runs a change at the present moment.
  ///
  /// Before the lock is had, others may have entered a later era than the one that was read: then it is read again. One that is
  /// still read is the present one (what was taken for a later one was read late itself, or the number has come again). The rounds
  /// are limited so that also an era that breaks its rule hangs nobody.
  func changeNow<Answer: Sendable>(
    _ body: (
      inout CacheStateMachine<Key, Value>, CacheMoment,
      inout CacheStateMachine<Key, Value>.Aftermath
    ) -> Answer
  ) -> Answer {
    var before: UInt64?
    for _ in 0..<8 {
      let moment = moment
      let answer: Answer? = change {
        $0.isLate(moment) && moment.era != before ? nil : body(&$0, moment, &$1)
      }
      if let answer { return answer }
      before = moment.era
    }
    let moment = moment
    return change { body(&$0, moment, &$1) }
  }

  @inline(never) @usableFromInline
  func finish(_ after: CacheStateMachine<Key, Value>.Aftermath) {
    for load in after.abandoned { load.task?.cancel() }
    if let observer { for event in after.events { observer(event) } }
  }
}
