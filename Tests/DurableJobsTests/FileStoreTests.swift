import AtomicStore
import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// A machine with a disk and clocks, on which stores are opened, closed and lost.
final class Machine: Sendable {
  let disk: SimulatedDisk
  let clock: ManualClock
  /// How far the wall clock is off.
  let wallOffset = Lock<Int64>(0)
  let boot = Lock("boot-1")

  init(_ disk: SimulatedDisk = SimulatedDisk(), clock: ManualClock = ManualClock()) {
    self.disk = disk
    self.clock = clock
    try? disk.makeDirectory("data")
  }

  static let origin: Int64 = 1_800_000_000_000_000_000

  var moment: PersistedMoment {
    let now = NanosecondClock(clock).now
    return PersistedMoment(
      wall: Self.origin + now + wallOffset.withLock { $0 }, bootID: boot.withLock { $0 },
      sinceBoot: now)
  }

  func open(_ change: (inout FileJobStore.Options) -> Void = { _ in }) async throws -> FileJobStore
  {
    var options = FileJobStore.Options()
    change(&options)
    return try await FileJobStore(
      "data/jobs", options: options, clock: clock, moments: { self.moment },
      fileSystem: disk.fileSystem)
  }

  /// The machine after a crash; its clocks go on.
  func crashed(_ crash: SimulatedDisk.Crash = .powerCut) -> Machine {
    let machine = Machine(disk.restarted(after: crash), clock: clock)
    machine.wallOffset.withLock { [offset = wallOffset.withLock { $0 }] in $0 = offset }
    machine.boot.withLock { [boot = boot.withLock { $0 }] in $0 = boot }
    return machine
  }
}

extension JobClaimRequest {
  static func some(_ limit: Int = 1, _ kinds: [String] = ["k"], lease: Duration = .seconds(60))
    -> Self
  {
    JobClaimRequest(limit: limit, kinds: kinds.map { JobKindAllowance(kind: $0) }, lease: lease)
  }
}

@Suite struct FileStoreTests {
  @Test func whatWasPutInIsThereAfterAPowerCut() async throws {
    let machine = Machine()
    let store = try await machine.open()
    var options = JobOptions(priority: .high)
    options.tags = ["a \"b\"", "c"]
    options.unique = UniqueKey("key", within: .store, until: .started)
    options.timeout = nil
    options.backoff = .list([.seconds(1), .seconds(2)])
    options.deadline = WallTime(secondsSince1970: 5_000_000_000)
    options.callerID = "me"
    options.maxAttempts = 9
    options.usesFallback = false
    let payload = Array(#"{"video":42}"#.utf8)
    let made = try await store.insert([
      JobSubmission(kind: "k", payload: payload, options: options),
      JobSubmission(kind: "l\u{1}\"", payload: [0, 10, 255], options: JobOptions()),
    ])
    #expect(made.map(\.id.rawValue) == [1, 2])
    let reopened = try await machine.crashed().open()
    let first = try #require(try await reopened.job(made[0].id))
    #expect(first.kind == "k" && first.payload == payload && first.options == options)
    #expect(first.state == .pending && first.enqueuedAt == machine.moment.wall)
    let second = try #require(try await reopened.job(made[1].id))
    #expect(second.kind == "l\u{1}\"" && second.payload == [0, 10, 255])
    let again = try await reopened.insert([
      JobSubmission(kind: "m", payload: [], options: options)
    ])
    #expect(again == [JobInsertion(id: made[0].id, isDuplicate: true)])
  }

  @Test func everyOutcomeIsThereAfterARestart() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let jobs = try await store.insert((0..<8).map { _ in JobSubmission.plain() }).map(\.id)
    let leases = try await store.claim(.some(7)).items.map(\.lease)
    let answers = try await store.settle([
      JobSettlement(leases[0], .completed(note: "with a note")),
      JobSettlement(leases[1], .retry(after: .seconds(30), .some)),
      JobSettlement(leases[2], .failed(.some, isDead: true)),
      JobSettlement(leases[3], .cancelled(reason: "why")),
      JobSettlement(leases[4], .released(after: .zero)),
      JobSettlement(leases[5], .released(after: .seconds(10))),
    ])
    #expect(answers == [true, true, true, true, true, true])
    try await store.close()
    machine.clock.advance(by: .seconds(4))
    let next = try await machine.open()
    let states = try await next.jobs(JobQuery()).map(\.state)
    #expect(
      states == [
        .completed, .retrying, .dead, .cancelled, .pending, .scheduled, .pending, .pending,
      ])
    let records = try await next.jobs(JobQuery())
    #expect(records[0].note == "with a note" && records[0].payload.isEmpty)
    #expect(records[1].failures == [.some] && records[1].attempts == 1)
    #expect(records[3].note == "why")
    // The worker of the seventh is dead: its crash counts.
    #expect(records.map(\.crashes) == [0, 0, 0, 0, 0, 0, 1, 0])
    #expect(try await next.claim(.some(10)).items.map(\.job.id) == [jobs[4], jobs[6], jobs[7]])
    machine.clock.advance(by: .seconds(6))
    #expect(try await next.claim(.some(10)).items.map(\.job.id) == [jobs[5]])
    #expect(try await next.claim(.some(10)).nextDue == .seconds(20))
    #expect(try await next.redrive(jobs[2]))
  }

  @Test func tokensGrowAcrossRestarts() async throws {
    let machine = Machine()
    var last: UInt64 = 0
    for _ in 0..<3 {
      let store = try await machine.open { $0.claimRecord = .none }
      _ = try await store.insert([.plain()])
      for _ in 0..<3 {
        let item = try #require(try await store.claim(.some()).items.first)
        #expect(item.lease.token > last)
        last = item.lease.token
        _ = try await store.settle([JobSettlement(item.lease, .released(after: .zero))])
      }
      try await store.close()
    }
  }

  @Test func aSecondOwnerIsRefusedAndMayRead() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let id = try await store.insert([.plain()])[0].id
    let error = await #expect(throws: StoreError.self) { _ = try await machine.open() }
    #expect(error?.code == .inUse && error?.owner != nil)
    let reader = try await machine.open { $0.access = .readOnly }
    #expect(try await reader.job(id)?.state == .pending)
    await #expect(throws: StoreError.self) { _ = try await reader.insert([.plain()]) }
    await #expect(throws: StoreError.self) { _ = try await reader.claim(.some()) }
    _ = try await store.claim(.some())
    #expect(try await reader.job(id)?.state == .pending)
    try await reader.refresh()
    #expect(try await reader.job(id)?.state == .running)
    try await store.close()
    let next = try await machine.open()
    #expect(try await next.job(id)?.state == .pending)
    await #expect(throws: StoreError.self) { _ = try await store.insert([.plain()]) }
  }

  @Test func aFullDiskChangesNothingAndWorkGoesOnWhenThereIsSpace() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let first = try await store.insert([.plain()])[0].id
    let item = try #require(try await store.claim(.some()).items.first)
    // Of the log alone: whether its lock is still held from before is a matter of time.
    machine.disk.fail(.write, on: "jobs", with: .noSpace, persistently: true)
    let error = await #expect(throws: StoreError.self) {
      _ = try await store.insert([.plain(unique: UniqueKey("u"))])
    }
    #expect(error?.code == .outOfSpace)
    await #expect(throws: StoreError.self) {
      _ = try await store.settle([JobSettlement(item.lease, .completed(note: nil))])
    }
    #expect(try await store.figures().states == [.running: 1])
    #expect(try await store.renew([item.lease], for: .seconds(60)).isEmpty)
    machine.disk.clearFaults()
    #expect(try await store.settle([JobSettlement(item.lease, .completed(note: nil))]) == [true])
    let made = try await store.insert([.plain(unique: UniqueKey("u"))])
    #expect(made[0].isDuplicate == false)
    let next = try await machine.crashed().open()
    #expect(try await next.job(first)?.state == .completed)
    #expect(try await next.job(made[0].id)?.state == .pending)
  }
}

/// Whether there is time for the long forms of tests: minutes.
let isLongRun = unsafe getenv("RELIABILITY_LONG_TESTS") != nil
