import AtomicStore
import ReliabilityCore
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import DurableJobs

/// Cuts the power after every call and looks at every state the disk may be in.
@Suite(.serialized, .offThePool) struct FileStoreCrashTests {
  struct Violated: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
  }

  /// Whether there is time for several times as many states: some minutes.
  private static let isLong = isLongRun

  private static func exploration(_ samples: Int) -> ExplorationOptions {
    var options = ExplorationOptions()
    (options.exhaustiveStates, options.samples) = (samples, samples)
    options.secondCrashStates = 1
    return options
  }

  private static func open(
    _ disk: SimulatedDisk, _ access: FileJobStore.Access = .readWrite
  ) async throws -> FileJobStore {
    // What a crash does to a lock's file is explored with the lock; here it begins anew.
    for name in ["jobs.lock", "jobs.owner"] {
      try? disk.fileSystem.backend.unlink("data/" + name, in: nil)
    }
    var options = FileJobStore.Options()
    options.access = access
    options.limits.endedKept = 100
    let clock = ManualClock()
    return try await FileJobStore(
      "data/jobs", options: options, clock: clock,
      moments: { PersistedMoment(wall: Machine.origin, bootID: "b", sinceBoot: 0) },
      fileSystem: disk.fileSystem)
  }

  private static func job(_ size: Int) -> JobSubmission {
    var options = JobOptions()
    options.tags = ["x"]
    return JobSubmission(
      kind: "k",
      payload: Array("\"".utf8) + [UInt8](repeating: 0x61, count: size * 3)
        + Array("\"".utf8),
      options: options)
  }

  /// Everything that happens to jobs; each acknowledgement says the state that may not be lost.
  ///
  /// - Parameter compacts: Whether the file is compacted in between.
  @Sendable private static func live(_ disk: SimulatedDisk, compacts: Bool) async throws {
    let store = try await open(disk)
    let ids = try await store.insert((0..<6).map { _ in job(300) }).map(\.id)
    for id in ids { disk.acknowledge("\(id) is there") }
    let items = try await store.claim(.some(5)).items.map(\.lease)
    #expect(try await store.renew(items, for: .seconds(60)).isEmpty)
    _ = try await store.settle([JobSettlement(items[0], .completed(note: nil))])
    disk.acknowledge("\(ids[0]) completed")
    _ = try await store.settle([
      JobSettlement(items[1], .failed(.some, isDead: true)),
      JobSettlement(items[2], .retry(after: .seconds(1), .some)),
    ])
    disk.acknowledge("\(ids[1]) dead")
    disk.acknowledge("\(ids[2]) live")
    try await withThrowingTaskGroup { group in
      group.addTask {
        _ = try await store.cancel(ids[3], reason: "r")
        disk.acknowledge("\(ids[3]) cancelled")
      }
      for _ in 0..<2 {
        group.addTask {
          let id = try await store.insert([job(700)])[0].id
          disk.acknowledge("\(id) is there")
        }
      }
      group.addTask {
        // Its renewal writes nothing, and nothing may depend on it.
        _ = try await store.renew([items[4]], for: .seconds(90))
        let turn = try await store.settle(
          [JobSettlement(items[4], .completed(note: nil))], claiming: .some(1))
        if turn.accepted == [true] { disk.acknowledge("\(ids[4]) completed") }
        if let next = turn.claim?.items.first {
          _ = try await store.settle([JobSettlement(next.lease, .released(after: .zero))])
        }
      }
      if compacts { group.addTask { try await store.compact() } }
      try await group.waitForAll()
    }
    // Many sectors in one write, of which a power cut leaves any.
    let batch = try await store.insert((0..<4).map { _ in job(450) }).map(\.id)
    for id in batch { disk.acknowledge("\(id) is there") }
    _ = try await store.redrive(ids[1])
    disk.acknowledge("\(ids[1]) live")
    if compacts { try await store.compact() }
    let last = try await store.claim(.some(9)).items.map(\.lease)
    _ = try await store.settle(last.prefix(2).map { JobSettlement($0, .completed(note: "n")) })
    for lease in last.prefix(2) { disk.acknowledge("\(lease.id) completed") }
    _ = try await store.renew(Array(last), for: .seconds(60))
    try await store.close()
  }

  private static func check(_ store: FileJobStore, _ acknowledged: [String]) async throws {
    var wanted: [String: String] = [:]
    for note in acknowledged {
      let words = note.split(separator: " ", maxSplits: 1).map(String.init)
      wanted[words[0]] = words[1]
    }
    let jobs = try await store.jobs(JobQuery())
    let byID = Dictionary(uniqueKeysWithValues: jobs.map { ("\($0.id)", $0) })
    for (id, state) in wanted {
      guard let job = byID[id] else { throw Violated("\(id) is lost, which was \(state)") }
      switch state {
      case "completed": guard job.state == .completed else { throw Violated("\(id) \(job.state)") }
      case "cancelled": guard job.state == .cancelled else { throw Violated("\(id) \(job.state)") }
      // What came after may be there already.
      case "dead":
        guard job.attempts > 0 || job.redrives > 0 else { throw Violated("\(id) forgot") }
      case "live": guard job.state != .dead else { throw Violated("\(id) \(job.state)") }
      default: break
      }
      if !job.state.isEnd || job.state == .dead {
        guard job.payload.count > 300, job.options.tags == ["x"] else {
          throw Violated("\(id) is not whole")
        }
      }
    }
    // All or none of the first six.
    let first = (1...6).filter { byID["\($0)"] != nil }.count
    guard first == 0 || first == 6 else { throw Violated("\(first) of six") }
    guard store.health.strayChanges == 0, store.health.unknownRecords == 0 else {
      throw Violated("stray")
    }
  }

  private static func explore(compacts: Bool) async throws -> ExplorationReport {
    try await SimulatedDisk.explore(
      options: exploration(isLong ? 12_000 : 2000),
      prepare: { disk in
        try disk.write("data/other", "x")
        try await open(disk).close()
      },
      run: { disk in try await live(disk, compacts: compacts) },
      check: { disk, acknowledged in
        try await check(try await open(disk, .readOnly), acknowledged)
      })
  }

  @Test(.timeLimit(.minutes(20)))
  func nothingAcknowledgedIsLostByAPowerCut() async throws {
    let report = try await Self.explore(compacts: false)
    print("FileJobStore: \(report)")
    #expect(report.distinctStates >= 3000)
  }

  @Test(.timeLimit(.minutes(20)))
  func nothingAcknowledgedIsLostByAPowerCutDuringACompaction() async throws {
    let report = try await Self.explore(compacts: true)
    print("FileJobStore, compaction: \(report)")
    #expect(report.distinctStates >= (isLongRun ? 6500 : 4000))
  }

  /// The next owner goes on, and the power is cut again.
  @Test(.timeLimit(.minutes(20)))
  func theNextOwnerLosesNothingEither() async throws {
    let report = try await SimulatedDisk.explore(
      options: Self.exploration(Self.isLong ? 300 : 4),
      prepare: { disk in try disk.write("data/other", "x") },
      run: { disk in try await Self.live(disk, compacts: true) },
      recover: { disk in _ = try await Self.open(disk) },
      check: { disk, acknowledged in
        let store = try await Self.open(disk)
        try await Self.check(store, acknowledged)
        let id = try await store.insert([Self.job(301)])[0].id
        guard let item = try await store.claim(.some(100)).items.last, item.job.id == id else {
          throw Violated("the next job is not there")
        }
        guard try await store.settle([JobSettlement(item.lease, .completed(note: nil))]) == [true]
        else { throw Violated("the next job can't be settled") }
        for job in try await store.jobs(JobQuery())
        where job.state == .cancelled && job.attempts > 0 {
          throw Violated("a cancelled job ran")
        }
      })
    print("FileJobStore, next owner: \(report)")
    #expect(report.distinctStates >= (Self.isLong ? 3000 : 250))
  }

  @Test(.timeLimit(.minutes(10)))
  func acknowledgingBeforeTheSyncIsFound() async throws {
    await #expect(throws: CrashViolation.self) {
      try await SimulatedDisk.explore(
        options: Self.exploration(60),
        prepare: { disk in
          try disk.write("data/other", "x")
          try await Self.open(disk).close()
        },
        run: { disk in
          var options = FileJobStore.Options()
          options.durability = .none
          let store = try await FileJobStore(
            "data/jobs", options: options, fileSystem: disk.fileSystem)
          for _ in 0..<6 {
            let id = try await store.insert([Self.job(300)])[0].id
            disk.acknowledge("\(id) is there")
          }
        },
        check: { disk, acknowledged in
          try await Self.check(try await Self.open(disk, .readOnly), acknowledged)
        })
    }
  }
}
