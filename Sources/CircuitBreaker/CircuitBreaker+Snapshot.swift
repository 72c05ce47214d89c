public import ReliabilityCore

extension CircuitBreaker {
  /// What a breaker knows, to be kept over a restart.
  ///
  ///     try await AtomicFile.replace(path, with: Array(JSONEncoder().encode(breaker.snapshot())))
  ///     // after the restart
  ///     breaker.restore(try JSONDecoder().decode(CircuitBreaker.Snapshot.self, from: Data(bytes)))
  ///
  /// The time that is left is kept, and the moment on the wall clock and on the machine's own. Until the machine starts again
  /// only the latter counts; after that the wall clock is believed between no time at all and the whole open time.
  public struct Snapshot: Hashable, Sendable {
    /// The name of the breaker it was taken of.
    public let name: String
    /// The state it was in.
    public var state: State { memory.state }
    /// When it was taken, by the wall clock.
    public var takenAt: WallTime { WallTime(nanosecondsSince1970: moment.wall) }

    let memory: BreakerMemory
    let moment: PersistedMoment
  }

  /// What the breaker knows now: state, window, and what is left of the open time.
  ///
  /// Probes and other calls in flight are not part of it.
  ///
  /// - Complexity: O(size of the window).
  public func snapshot() -> Snapshot { snapshot(at: .now) }

  func snapshot(at moment: PersistedMoment) -> Snapshot {
    Snapshot(name: name, memory: inspect { $0.machine.memory(at: $1) }, moment: moment)
  }

  /// Goes on where another breaker, usually of an earlier process, was.
  ///
  /// A new era begins: calls in flight no longer count. A window of another shape than the configuration's starts empty. Open
  /// time that went by in between counts.
  ///
  /// - Complexity: O(size of the window).
  public func restore(_ snapshot: Snapshot) { restore(snapshot, at: .now) }

  func restore(_ snapshot: Snapshot, at moment: PersistedMoment) {
    let memory = snapshot.memory
    // How long a window by time may have stood still is bounded by its own length, as everything in it is older then.
    let limit = max(memory.openTime, memory.buckets.isEmpty ? 0 : BreakerTime.distantFuture / 2)
    let elapsed = snapshot.moment.elapsed(until: moment, atMost: .nanoseconds(limit))
    change { $0.restore(memory, elapsed: elapsed.nanoseconds, now: $1) }
  }
}

extension CircuitBreaker.Snapshot: Codable {
  private static let format = "circuit-breaker"
  private static let version = 1

  private enum Key: String, CodingKey {
    case format, version, name, state, openings
    case consecutiveFailures = "consecutive_failures"
    case openTime = "open_time_ns"
    case remainingOpenTime = "remaining_open_time_ns"
    case history, buckets
    case bucketAge = "bucket_age_ns"
    case wall = "wall_ns"
    case bootID = "boot_id"
    case sinceBoot = "since_boot_ns"
  }

  /// Writes it: a format and version first, durations in nanoseconds, a window by count as a text of digits.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(Self.format, forKey: .format)
    try container.encode(Self.version, forKey: .version)
    try container.encode(name, forKey: .name)
    try container.encode(memory.state, forKey: .state)
    try container.encode(memory.openings, forKey: .openings)
    try container.encode(memory.consecutiveFailures, forKey: .consecutiveFailures)
    try container.encode(memory.openTime, forKey: .openTime)
    try container.encode(memory.remainingOpenTime, forKey: .remainingOpenTime)
    try container.encode(
      String(decoding: memory.history.map { $0 + 0x30 }, as: UTF8.self), forKey: .history)
    try container.encode(
      memory.buckets.map { [$0.calls, $0.failures, $0.slowCalls] }, forKey: .buckets)
    try container.encode(memory.bucketAge, forKey: .bucketAge)
    try container.encode(moment.wall, forKey: .wall)
    try container.encode(moment.bootID, forKey: .bootID)
    try container.encode(moment.sinceBoot, forKey: .sinceBoot)
  }

  /// Reads it.
  ///
  /// - Throws: A `DecodingError` for another format, a newer version, or numbers that no breaker has.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    func require(_ condition: Bool, _ key: Key, _ problem: String) throws {
      guard condition else {
        throw DecodingError.dataCorruptedError(
          forKey: key, in: container, debugDescription: problem)
      }
    }
    try require(
      try container.decode(String.self, forKey: .format) == Self.format, .format,
      "this is no snapshot of a circuit breaker")
    try require(
      try container.decode(Int.self, forKey: .version) == Self.version, .version,
      "this snapshot is of a version this program can't read")
    name = try container.decode(String.self, forKey: .name)
    let buckets = try container.decode([[Int]].self, forKey: .buckets)
    try require(buckets.allSatisfy { $0.count == 3 }, .buckets, "a bucket has three numbers")
    memory = BreakerMemory(
      state: try container.decode(CircuitBreaker.State.self, forKey: .state),
      openings: try container.decode(Int.self, forKey: .openings),
      consecutiveFailures: try container.decode(Int.self, forKey: .consecutiveFailures),
      openTime: try container.decode(Int64.self, forKey: .openTime),
      remainingOpenTime: try container.decode(Int64.self, forKey: .remainingOpenTime),
      history: try container.decode(String.self, forKey: .history).utf8.map { $0 &- 0x30 },
      buckets: buckets.map { .init(calls: $0[0], failures: $0[1], slowCalls: $0[2]) },
      bucketAge: try container.decode(Int64.self, forKey: .bucketAge))
    try require(memory.isPlausible, .state, "these numbers are of no circuit breaker")
    moment = PersistedMoment(
      wall: try container.decode(Int64.self, forKey: .wall),
      bootID: try container.decode(String.self, forKey: .bootID),
      sinceBoot: try container.decode(Int64.self, forKey: .sinceBoot))
  }
}
