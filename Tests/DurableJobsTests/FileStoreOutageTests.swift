import AtomicStore
import ReliabilityCore
import ReliabilityTesting
import Testing
import TimeoutManager

@testable import DurableJobs

/// What runs while the file has to be read again, and how a store is closed.
@Suite(.timeLimit(.minutes(10))) struct FileStoreOutageTests {
  @Test(arguments: [FileJobStore.ClaimRecord.none, .written, .synced])
  func whatRunsGoesOnAfterAnOutageWhetherItsClaimIsRecordedOrNot(
    kept: FileJobStore.ClaimRecord
  ) async throws {
    let machine = Machine()
    let store = try await machine.open { $0.claimRecord = kept }
    let key = UniqueKey("key", until: .started)
    let date = WallTime(nanosecondsSince1970: machine.moment.wall + 3_000_000_000)
    let ids = try await store.insert([
      .plain(), .plain(start: .after(.seconds(5))), .plain(unique: key), .plain(start: .at(date)),
    ]).map(\.id)
    machine.clock.advance(by: .seconds(10))
    let items = try await store.claim(.some(9)).items
    #expect(items.map(\.job.id).sorted() == ids)
    // One of them has failed once, and waits for its retry by the file.
    let first = try #require(items.first { $0.job.id == ids[0] })
    _ = try await store.settle([JobSettlement(first.lease, .retry(after: .seconds(1), .some))])
    machine.clock.advance(by: .seconds(2))
    let again = try #require(try await store.claim(.some()).items.first)
    #expect(again.job.id == ids[0] && again.lease.token > first.lease.token)
    let leases = items.map(\.lease).filter { $0.id != ids[0] } + [again.lease]

    machine.disk.fail(.fdatasync, with: .inputOutput, persistently: true)
    machine.disk.fail(.fsync, with: .inputOutput, persistently: true)
    await #expect(throws: StoreError.self) { _ = try await store.insert([.plain()]) }
    #expect(store.health.outage != nil)
    machine.disk.clearFaults()
    _ = try await store.insert([.plain("other")])
    #expect(store.health.outage == nil)

    for id in ids { #expect(try await store.job(id)?.state == .running, "\(id)") }
    #expect(try await store.job(ids[0])?.attempts == 1)
    #expect(try await store.renew(leases, for: .seconds(60)).isEmpty)
    // The key was free from the start on, and nobody gets what runs.
    #expect(try await store.insert([.plain(unique: key)])[0].isDuplicate == false)
    let others = try await store.claim(.some(9)).items.map(\.job.id)
    #expect(Set(others).isDisjoint(with: ids))
    #expect(
      try await store.settle([JobSettlement(first.lease, .completed(note: nil))]) == [false])
    #expect(
      try await store.settle(leases.map { JobSettlement($0, .completed(note: nil)) })
        == [true, true, true, true])
    let next = try await machine.crashed().open { $0.claimRecord = kept }
    for id in ids { #expect(try await next.job(id)?.state == .completed, "\(id)") }
  }

  /// The record of a claim is there and that of its end is not: the job runs again, and its crash is counted.
  @Test(arguments: [FileJobStore.ClaimRecord.none, .written, .synced])
  func claimWithoutAnEndIsGivenOutAgain(kept: FileJobStore.ClaimRecord) async throws {
    let machine = Machine()
    let store = try await machine.open { $0.claimRecord = kept }
    let date = WallTime(nanosecondsSince1970: machine.moment.wall + 1_000_000_000)
    _ = try await store.insert([
      .plain(), .plain(start: .after(.seconds(1))), .plain(start: .at(date)),
    ])
    machine.clock.advance(by: .seconds(2))
    let items = try await store.claim(.some(9)).items
    #expect(items.count == 3)
    let next = try await machine.crashed(.processKilled).open { $0.claimRecord = kept }
    #expect(try await next.figures().states == [.pending: 3])
    for job in try await next.jobs(JobQuery()) {
      #expect(job.crashes == (kept == .none ? 0 : 1), "\(job.id)")
    }
    // Who had it before is refused, and the tokens go on above.
    #expect(
      try await next.settle(items.map { JobSettlement($0.lease, .completed(note: nil)) })
        == [false, false, false])
    let tokens = try await next.claim(.some(9)).items.map(\.lease.token)
    let last = try #require(items.map(\.lease.token).max())
    #expect(tokens.count == 3 && tokens.allSatisfy { $0 > last })
  }

  @Test func closingInACancelledTaskClosesAndLosesNothing() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let id = try await store.insert([.plain()])[0].id
    let closing = Task {
      while !Task.isCancelled { await Task.yield() }
      try await store.close()
    }
    closing.cancel()
    try await closing.value
    let error = await #expect(throws: StoreError.self) { _ = try await store.insert([.plain()]) }
    #expect(error?.code == .closed)
    let next = try await machine.open()
    #expect(try await next.job(id)?.state == .pending)
    // A deadline that has passed is no reason to leave it open either.
    try await withTimeout(.seconds(3600)) {
      machine.clock.advance(by: .seconds(7200))
      try await next.close()
    }
    try await machine.open().close()
  }

  @Test func closingWhileTasksAreCancelledLeavesEachChangeWholeOrUndone() async throws {
    let machine = Machine()
    for _ in 0..<10 {
      let store = try await machine.open()
      let made = Log<JobID>()
      let tasks = (0..<8).map { _ in
        Task {
          while !Task.isCancelled {
            for insertion in try await store.insert([.plain(), .plain()]) {
              made.append(insertion.id)
            }
          }
        }
      }
      while made.all.count < 20 { await Task.yield() }
      for task in tasks { task.cancel() }
      let closing = Task { try await store.close() }
      closing.cancel()
      try await closing.value
      for task in tasks { _ = await task.result }
      let next = try await machine.open()
      for id in made.all { #expect(try await next.job(id) != nil) }
      for job in try await next.jobs(JobQuery()) { _ = try await next.cancel(job.id, reason: "x") }
      try await next.close()
    }
  }
}
