import Reliability

/// What a job of the mix does, with every part of the library in its place: a budgeted retry, a pooled connection, a limit of time, a
/// ladder, a cache, a file in pieces, a manifest that all share, and a lock.
final class MixWork: Sendable {
  struct Manifest: Codable, Sendable {
    /// How often each name was saved.
    var saves: [String: Int] = [:]
  }

  private final class Connection: Sendable {}

  let seed: UInt64
  let scratch: Scratch
  let manifest: AtomicDocument<Manifest>
  let lock: BackoffLock
  private let pool: ResourcePool<Connection>
  private let cache: ResilientCache<Int, Int>
  private let ladder: FallbackLadder<MediaQuality>
  let connections = Tally()
  /// Saves of the manifest that were acknowledged, and those that failed.
  let saves = Tally()
  let saveFailures = Tally()
  let saveTimes = Histogram("save_seconds", help: "Time to save the manifest")
  /// Jobs that met trouble, those that were done all the same, and all that were done.
  let troubled = Tally()
  let troubledButDone = Tally()
  let done = Tally()
  /// Jobs that needed more memory than the best quality may take, and those that a lower rung served.
  let needy = Tally()
  let steppedDown = Tally()
  private let inside = Lock(0)

  init(seed: UInt64, scratch: Scratch) {
    self.seed = seed
    self.scratch = scratch
    let connections = connections
    manifest = AtomicDocument(scratch.file("manifest.json"))
    lock = BackoffLock(scratch.file("shared.lock"))
    pool = ResourcePool(name: "mix", configuration: PoolConfiguration(minimum: 2, maximum: 10)) {
      connections.add()
      return Connection()
    } close: { _ in
      connections.add(-1)
    }
    cache = ResilientCache(name: "mix", policy: CachePolicy(capacity: 200))
    ladder = .mediaQuality(name: "mix", memoryLifetime: .milliseconds(1))
  }

  func stop() async { await pool.stop() }

  func perform(_ job: MixJob, attempt: Int, _ findings: Findings) async throws {
    let trouble = job.trouble(seed: seed)
    if attempt == 1, trouble != .none { troubled.add() }
    if attempt == 1, trouble == .memory { needy.add() }
    try await call(job, trouble, attempt)
    try await writeFile(job, trouble, attempt)
    try await save(job)
    try await exclude(findings)
    done.add()
    if trouble != .none { troubledButDone.add() }
  }

  /// The call to the other side.
  private func call(_ job: MixJob, _ trouble: MixJob.Trouble, _ attempt: Int) async throws {
    let isBad = attempt <= job.bad(seed: seed)
    _ = try await pool.withResource { _ in
      try await withTimeout(.milliseconds(trouble == .hang && isBad ? 20 : 60_000)) {
        switch trouble {
        case .refused: throw ValidationError("there is no such page", field: "url")
        case .network where isBad: throw NetworkError("the line is down")
        case .busy where isBad: throw HTTPStatusError(503, retryAfter: nil)
        case .hang where isBad: try await ContinuousClock().wait(for: .seconds(3600))
        case .memory: try await stepDown(job)
        default: break
        }
      }
    }
    _ = try await cache.value(for: job.number % 500) { job.number % 500 }
  }

  /// A download that needs too much memory at first.
  private func stepDown(_ job: MixJob) async throws {
    let outcome = try await ladder.run { rung in
      if job.isTooLarge || rung.index < 1 + job.number % 3 {
        throw RetryableError("the process ran out of memory", category: .memoryExhaustion)
      }
    }
    if outcome.index > 0 { steppedDown.add() }
  }

  /// A file in pieces that takes its name only when it is whole.
  private func writeFile(_ job: MixJob, _ trouble: MixJob.Trouble, _ attempt: Int) async throws {
    let file = try await AtomicFile(replacing: scratch.file("file \(job.number % 100)"))
    for piece in 0..<3 {
      try await file.append([UInt8](repeating: UInt8(piece), count: 1000))
      if trouble == .brokenFile, attempt <= job.bad(seed: seed), piece == 1 {
        throw NetworkError("the connection was reset")
      }
    }
    try await file.publish()
  }

  private func save(_ job: MixJob) async throws {
    let start = ContinuousClock.now
    do {
      try await Self.save("name \(job.number % 100)", in: manifest)
      saves.add()
      saveTimes.record(ContinuousClock.now - start)
    } catch {
      saveFailures.add()
      throw error
    }
  }

  private static func save(_ name: String, in manifest: AtomicDocument<Manifest>) async throws {
    try await manifest.update(default: Manifest()) { $0.saves[name, default: 0] += 1 }
  }

  /// Another process that saves the same manifest.
  static func save(_ arguments: Arguments) async throws {
    let manifest = AtomicDocument<Manifest>(arguments["manifest"] ?? "")
    for _ in 0..<arguments.int("count", default: 1) {
      try await save(arguments["label"] ?? "", in: manifest)
    }
  }

  /// A moment that must be alone.
  private func exclude(_ findings: Findings) async throws {
    try await lock.withLock { _ in
      let alone = inside.withLock { count in
        count += 1
        return count == 1
      }
      findings.expect(alone, "two hold the lock")
      await Task.yield()
      inside.withLock { $0 -= 1 }
    }
  }
}
