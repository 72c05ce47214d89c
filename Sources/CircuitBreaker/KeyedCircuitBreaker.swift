public import ReliabilityCore

/// A circuit breaker for each of many things of a kind: a host, a tenant, a shard.
///
///     let breakers = KeyedCircuitBreaker<String>(name: "origin", configuration: .recommended)
///     let page = try await breakers.run(for: url.host) {
///       try await withTimeout(.seconds(10)) { try await fetch(url) }
///     }
///     print(breakers.count)  // 1
///
/// A breaker is made when its key is first used, in one or two allocations, and no task or timer belongs to it. At most
/// ``capacity`` are kept. When a further key comes, one that was not used for longest goes, if it would admit
/// the next caller anyway (it is closed, or its open time is over) and nobody holds it or a ticket of it. A breaker that is open,
/// set by a person, or in use goes only when the ``patience`` least recently used ones are all like that. Whoever holds a breaker that went can go on using it; the key has
/// a new one.
public final class KeyedCircuitBreaker<Key: Hashable & Sendable>: MetricsSource {
  /// What the breakers protect: the label of their metrics and the beginning of their names.
  public let name: String

  /// The largest number of breakers that are kept.
  public let capacity: Int

  /// How many of the least recently used breakers are asked before one goes that should have stayed.
  public var patience: Int { 64 }

  private let settings: BreakerSettings
  fileprivate let guarded = Lock(Guarded())

  fileprivate struct Guarded {
    var table = RecencyTable<Key, CircuitBreaker>()
    /// What the breakers that went had counted.
    var former = BreakerCounts()
    var evictions = 0
    var forcedEvictions = 0
  }

  /// Makes a table without breakers.
  ///
  /// - Parameters:
  ///   - name: What the breakers protect: one of a small set of words.
  ///   - configuration: Of every breaker.
  ///   - capacity: The largest number of breakers, 1 to 10,000,000; about 600 bytes each, and the window.
  /// - Precondition: `configuration.validate()` does not throw.
  public init(
    name: String = "default", configuration: CircuitBreaker.Configuration = .default,
    capacity: Int = 10_000
  ) {
    requireValid(configuration.validate)
    requireValid { () throws(ConfigurationError) in try Self.validate(capacity: capacity) }
    self.name = name
    self.capacity = capacity
    settings = BreakerSettings(configuration)
  }

  /// Checks a capacity that came from outside the code.
  ///
  /// - Throws: A `ConfigurationError` that names the field and the rule it breaks.
  public static func validate(capacity: Int) throws(ConfigurationError) {
    try check(
      (1...10_000_000).contains(capacity), "capacity", "must be between 1 and 10000000")
  }

  /// How many breakers there are.
  public var count: Int { guarded.withLock { $0.table.count } }

  /// The breaker of a key, made when there is none.
  ///
  /// Its name is this one's name and the key's description.
  public func breaker(for key: Key) -> CircuitBreaker {
    if let known = guarded.withLock({ $0.table.use(key) }) { return known }
    let new = CircuitBreaker(label: BreakerName(kind: name, key: key), settings: settings)
    let (breaker, gone) = guarded.withLock { guarded in guarded.insert(new, key, capacity, patience)
    }
    _ = consume gone
    return breaker
  }

  /// The state of a key's breaker, closed when there is none; the key does not count as used.
  public func state(of key: Key) -> CircuitBreaker.State {
    guarded.withLock { $0.table.peek(key) }?.state ?? .closed
  }

  /// Runs the body under the breaker of a key; see ``CircuitBreaker/run(_:)``.
  ///
  /// - Parameters:
  ///   - key: What is called.
  ///   - body: The call. Runs where the caller runs.
  /// - Returns: What the body returns.
  /// - Throws: ``CircuitOpenError`` when the call is turned away, otherwise what the body throws.
  @inlinable
  public nonisolated(nonsending) func run<Result: ~Copyable>(
    for key: Key, _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    try await breaker(for: key).run(body)
  }

  /// Asks the breaker of a key for the right to make one call; see ``CircuitBreaker/admit()``.
  ///
  /// - Throws: ``CircuitOpenError`` when the call is turned away.
  public func admit(for key: Key) throws -> CircuitBreaker.Ticket {
    try breaker(for: key).admit()
  }

  /// What every breaker knows, by key, of those that know more than a new one.
  ///
  /// - Complexity: O(number of breakers).
  public func snapshots() -> [Key: CircuitBreaker.Snapshot] {
    var snapshots: [Key: CircuitBreaker.Snapshot] = [:]
    for (key, breaker) in guarded.withLock({ $0.table.all }) where breaker.knowsSomething {
      snapshots[key] = breaker.snapshot()
    }
    return snapshots
  }

  /// Goes on where the breakers of an earlier process were; see ``CircuitBreaker/restore(_:)``.
  ///
  /// Of more than ``capacity`` some are not kept.
  public func restore(_ snapshots: [Key: CircuitBreaker.Snapshot]) {
    for (key, snapshot) in snapshots { breaker(for: key).restore(snapshot) }
  }

  /// How many breakers are in which state, and the calls of all of them together; never a key.
  ///
  /// - Complexity: O(number of breakers).
  public func samples() -> [MetricSample] {
    let (breakers, former, evictions, forced) = guarded.withLock {
      ($0.table.all.map(\.value), $0.former, $0.evictions, $0.forcedEvictions)
    }
    var counts = former
    var states: [CircuitBreaker.State: Int] = [:]
    for breaker in breakers {
      counts.add(breaker.counts)
      states[breaker.state, default: 0] += 1
    }
    let label = (name: "name", value: name)
    func evicted(_ value: Int, active: Bool) -> MetricSample {
      MetricSample(
        name: "breaker_evictions_total", kind: .counter,
        labels: [label, (name: "active", value: "\(active)")], value: Double(value),
        help: "Breakers that went to make room")
    }
    return CircuitBreaker.State.allCases.map {
      MetricSample(
        name: "breakers", kind: .gauge,
        labels: [label, (name: "state", value: $0.rawValue)],
        value: Double(states[$0, default: 0]), help: "Breakers in this state")
    }
      + counts.samples(label)
      + [evicted(evictions - forced, active: false), evicted(forced, active: true)]
  }
}

extension KeyedCircuitBreaker.Guarded {
  /// Adds a breaker for a key, unless somebody else was faster.
  fileprivate mutating func insert(
    _ new: CircuitBreaker, _ key: Key, _ capacity: Int, _ patience: Int
  ) -> (breaker: CircuitBreaker, gone: CircuitBreaker?) {
    if let known = table.use(key) { return (known, nil) }
    if table.count < capacity {
      table.insert(key, new)
      return (new, nil)
    }
    var isForced = true
    let gone = table.replace(with: key, new, asking: patience) { breaker in
      // Every ticket, and every call that runs, refers to its breaker.
      let mayGo = isKnownUniquelyReferenced(&breaker) && breaker.isExpendable
      if mayGo { isForced = false }
      return mayGo
    }
    former.add(gone.counts)
    evictions += 1
    if isForced { forcedEvictions += 1 }
    return (new, gone)
  }
}

extension CircuitBreaker {
  /// Whether it may be forgotten while nobody uses it: the next caller would be admitted anyway.
  ///
  /// What a person set is never forgotten for that.
  var isExpendable: Bool { inspect { guarded, now in guarded.machine.isExpendable(at: now) } }

  /// Whether it differs from a new one.
  var knowsSomething: Bool {
    inspect { guarded, _ in
      guarded.machine.state != .closed || guarded.machine.consecutiveFailures > 0
        || guarded.machine.window.tally.calls > 0
    }
  }
}
