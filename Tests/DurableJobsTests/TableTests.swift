import ReliabilityCore
import Testing

@testable import DurableJobs

@Suite struct TableTests {
  @Test func higherPriorityStartsFirstAndEqualOnesInOrder() throws {
    let table = TableBox()
    _ = try table.insert(
      [.plain("k", .low), .plain("k", .critical), .plain("k", .low), .plain("k", .high)],
      now: .at(0))
    let order = (0..<4).compactMap { _ in table.claimOne(at: .at(1))?.record.id.rawValue }
    #expect(order == [2, 4, 1, 3])
    #expect(table.claimOne(at: .at(1)) == nil)
  }

  @Test(arguments: JobPriority.allCases)
  func jobStartsWithinItsAgingStepsThoughCriticalOnesNeverEnd(priority: JobPriority) throws {
    let table = TableBox()
    let step = 150.0
    _ = try table.insert([.plain("k", priority)], now: .at(0))
    // Two critical jobs come for each that starts: a backlog that only grows.
    var time = 0.0
    var startsAfterAging = 0
    while true {
      _ = try table.insert([.plain("k", .critical), .plain("k", .critical)], now: .at(time))
      let claimed = try #require(table.claimOne(at: .at(time)))
      if claimed.record.id.rawValue == 1 { break }
      if time >= step * Double(4 - priority.rawValue) { startsAfterAging += 1 }
      #expect(startsAfterAging <= 1)
      #expect(table.settle(claimed, .completed(note: nil), at: .at(time)))
      time += 1
      if table.live > 900 { table.rules.capacity = .max }
    }
    #expect(time <= 600)
  }

  @Test func agedJobsTakeEverySecondStartAndNoMore() throws {
    let table = TableBox()
    _ = try table.insert((0..<10).map { _ in .plain("k", .lowest) }, now: .at(0))
    _ = try table.insert((0..<10).map { _ in .plain("k", .critical) }, now: .at(600))
    let order = (0..<20).compactMap { _ in table.claimOne(at: .at(601))?.record.options.priority }
    let criticalInFirstEight = order.prefix(8).filter { $0 == .critical }.count
    #expect(criticalInFirstEight == 4)
    #expect(order.count == 20)
  }

  @Test func aLeaseIsRenewedAlsoWhileASettlementIsBeingWrittenThatFails() throws {
    let table = TableBox()
    table.table.history = []
    _ = try table.insert([.plain()], now: .at(0))
    let claimed = try #require(table.claimOne(at: .at(0)))
    table.table.history = []
    #expect(table.settle(claimed, .completed(note: nil), at: .at(50)))
    let lease = JobLease(id: claimed.record.id, token: claimed.token)
    _ = table.table.renew([lease], for: .seconds(60), now: .at(55))
    table.table.undo(table.table.history ?? [])
    table.table.history = []
    #expect(table.recover(now: .at(100)).isEmpty)
    #expect(table.settle(claimed, .completed(note: nil), at: .at(101)))
  }

  @Test func lateResultIsRefusedAfterLeaseRanOut() throws {
    let table = TableBox()
    _ = try table.insert([.plain()], now: .at(0))
    let first = try #require(table.claimOne(at: .at(0)))
    #expect(first.record.crashes == 1)
    #expect(table.recover(now: .at(59)).isEmpty)
    #expect(table.recover(now: .at(60)) == [first.record.id])
    let second = try #require(table.claimOne(at: .at(61)))
    #expect(second.record.crashes == 2)
    #expect(second.token > first.token)
    #expect(!table.settle(first, .completed(note: nil), at: .at(62)))
    #expect(table.settle(second, .completed(note: nil), at: .at(62)))
    #expect(!table.settle(second, .completed(note: nil), at: .at(62)))
    #expect(table[first.record.id]?.crashes == 0)
  }

  @Test func renewedLeaseKeepsTheJobAndLostOneIsReported() throws {
    let table = TableBox()
    _ = try table.insert([.plain()], now: .at(0))
    let claim = try #require(table.claimOne(at: .at(0)))
    let lease = JobLease(id: claim.record.id, token: claim.token)
    #expect(table.renew([lease], for: .seconds(60), now: .at(50)).isEmpty)
    #expect(table.recover(now: .at(100)).isEmpty)
    #expect(table.nextDue(now: .at(100)) == 10_000_000_000)
    #expect(table.recover(now: .at(110)).count == 1)
    #expect(table.renew([lease], for: .seconds(60), now: .at(111)) == [lease])
  }

  @Test func cancelIsFinalInEveryState() throws {
    let table = TableBox()
    _ = try table.insert([.plain(), .plain(), .plain(start: .after(.seconds(5)))], now: .at(0))
    let running = try #require(table.claimOne(at: .at(0)))
    #expect(table.cancel(running.record.id, reason: "no", now: .at(1)) == .running)
    #expect(!table.settle(running, .retry(after: .zero, .some), at: .at(2)))
    let retried = try #require(table.claimOne(at: .at(2)))
    #expect(table.settle(retried, .retry(after: .seconds(1), .some), at: .at(2)))
    #expect(table.cancel(retried.record.id, reason: "no", now: .at(3)) == .retrying)
    #expect(table.cancel(JobID(rawValue: 3), reason: "no", now: .at(3)) == .scheduled)
    #expect(table.claimOne(at: .at(100)) == nil)
    #expect(table.cancel(JobID(rawValue: 3), reason: "no", now: .at(3)) == .cancelled)
    #expect(table.cancel(JobID(rawValue: 9), reason: "no", now: .at(3)) == nil)
    #expect(table.live == 0)
    #expect(table[retried.record.id]?.note == "no")
  }

  @Test func uniqueKeyIsFreeAfterEveryEnd() throws {
    let table = TableBox()
    let job = JobSubmission.plain(unique: UniqueKey("a"))
    func submit() throws -> JobInsertion { try table.insert([job], now: .at(0))[0] }
    let first = try submit()
    #expect(try submit() == JobInsertion(id: first.id, isDuplicate: true))
    let ends: [JobSettlement.Outcome] = [
      .completed(note: nil), .failed(.some, isDead: false), .failed(.some, isDead: true),
      .cancelled(reason: "x"),
    ]
    for end in ends {
      let claimed = try #require(table.claimOne(at: .at(0)))
      #expect(try submit().isDuplicate)
      #expect(table.settle(claimed, end, at: .at(0)))
      #expect(try !submit().isDuplicate)
    }
    let last = try submit()
    #expect(last.isDuplicate)
    #expect(table.cancel(last.id, reason: "", now: .at(0)) == .pending)
    #expect(try !submit().isDuplicate)
  }

  @Test func uniqueKeyHasItsScopeAndItsRelease() throws {
    let table = TableBox()
    let inKind = UniqueKey("a")
    let inStore = UniqueKey("a", within: .store, until: .started)
    let made = try table.insert(
      [
        .plain("k", unique: inKind), .plain("l", unique: inKind), .plain("k", unique: inStore),
        .plain("m", unique: inStore), .plain("k", unique: inKind),
      ], now: .at(0))
    #expect(made.map(\.isDuplicate) == [false, false, false, true, true])
    for _ in 0..<3 { _ = table.claimOne("k", "l", at: .at(0)) }
    // Started: the store-wide key is free, the others are not.
    #expect(try !table.insert([.plain("m", unique: inStore)], now: .at(0))[0].isDuplicate)
    #expect(try table.insert([.plain("l", unique: inKind)], now: .at(0))[0].isDuplicate)
  }

  @Test func redriveIsRefusedWhileTheKeyIsTaken() throws {
    let table = TableBox()
    let job = JobSubmission.plain(unique: UniqueKey("a"))
    let first = try table.insert([job], now: .at(0))[0].id
    let claimed = try #require(table.claimOne(at: .at(0)))
    _ = table.settle(claimed, .failed(.some, isDead: true), at: .at(0))
    let second = try table.insert([job], now: .at(0))[0].id
    #expect(!table.redrive(first, now: .at(0)))
    _ = table.cancel(second, reason: "", now: .at(0))
    #expect(table.redrive(first, now: .at(0)))
    #expect(table[first]?.attempts == 0)
    #expect(table[first]?.redrives == 1)
    #expect(table[first]?.failures.count == 1)
  }

  @Test func fullTableRefusesAllOfABatchAndCountsDuplicatesOnce() throws {
    let table = TableBox()
    table.rules.capacity = 3
    _ = try table.insert([.plain(unique: UniqueKey("a")), .plain()], now: .at(0))
    #expect(throws: QueueFullError.self) {
      _ = try table.insert([.plain(), .plain()], now: .at(0))
    }
    #expect(table.live == 2)
    let made = try table.insert(
      [
        .plain(unique: UniqueKey("a")), .plain(unique: UniqueKey("b")),
        .plain(unique: UniqueKey("b")),
      ], now: .at(0))
    #expect(made.map(\.isDuplicate) == [true, false, true])
    #expect(table.live == 3)
  }

  @Test(arguments: [-3600.0, 3600.0])
  func dateFollowsTheWallClock(jump: Double) throws {
    let table = TableBox()
    let date = WallTime(secondsSince1970: 10_000)
    _ = try table.insert(
      [.plain("date", start: .at(date))], now: .at(0, wall: 5000))
    // The jump happens after ten seconds.
    #expect(table.nextDue(now: .at(10, wall: 5010 + jump)) == 60_000_000_000)
    let due = 10_000 - 5000 - jump
    #expect(table.claimOne("date", at: .at(due - 1, wall: 9999)) == nil)
    #expect(table.claimOne("date", at: .at(due, wall: 10_000)) != nil)
  }

  @Test(arguments: [-3600.0, 3600.0])
  func delayFollowsTheMonotonicClock(jump: Double) throws {
    let table = TableBox()
    _ = try table.insert([.plain("delay", start: .after(.seconds(7200)))], now: .at(0, wall: 5000))
    #expect(table.claimOne("delay", at: .at(7199, wall: 12_199 + jump)) == nil)
    #expect(table.claimOne("delay", at: .at(7200, wall: 12_200 + jump)) != nil)
  }

  @Test(arguments: [-3600.0, 3600.0])
  func retentionByAgeIsOffByTheJumpAtMost(jump: Double) throws {
    let table = TableBox()
    table.rules.endedAge = 7200_000_000_000
    _ = try table.insert([.plain()], now: .at(0))
    let claimed = try #require(table.claimOne(at: .at(0)))
    _ = table.settle(claimed, .completed(note: nil), at: .at(0, wall: 100_000))
    #expect(table.trim(now: .at(3000, wall: 103_000 + jump)).isEmpty)
    #expect(table.trim(now: .at(10_900, wall: 110_900 + jump)).count == (jump < 0 ? 1 : 1))
  }

  @Test func releasedJobBurnsNothing() throws {
    let table = TableBox()
    _ = try table.insert([.plain()], now: .at(0))
    for round in 0..<10 {
      let claimed = try #require(table.claimOne(at: .at(Double(round) * 10)))
      #expect(claimed.record.crashes == 1)
      #expect(
        table.settle(
          claimed, .released(after: .seconds(round % 2 * 5)), at: .at(Double(round) * 10)))
    }
    #expect(table[JobID(rawValue: 1)]?.attempts == 0)
  }

  @Test func unknownKindStaysAndIsCounted() throws {
    let table = TableBox()
    _ = try table.insert([.plain("unknown")], now: .at(0))
    #expect(table.claimOne(at: .at(0)) == nil)
    #expect(table.figures(now: .at(5)).active == ["unknown": 1])
    #expect(table.figures(now: .at(5)).oldest[.normal] == .seconds(5))
  }

  @Test func limitOfAKindIsKeptWithinOneClaim() throws {
    let table = TableBox()
    _ = try table.insert((0..<6).map { .plain($0 % 2 == 0 ? "a" : "b") }, now: .at(0))
    let claimed = table.claim(
      JobClaimRequest(
        limit: 5, kinds: [.init(kind: "a", limit: 1), .init(kind: "b")], lease: .seconds(60)),
      now: .at(0))
    #expect(claimed.map(\.record.kind) == ["a", "b", "b", "b"])
  }

  @Test func extremeTimesDoNotTrap() throws {
    let table = TableBox()
    table.rules.agingStep = .max
    _ = try table.insert(
      [
        .plain(start: .after(.seconds(Int64.max))),
        .plain(start: .at(WallTime(nanosecondsSince1970: .max))),
        .plain("k", .lowest),
      ], now: .at(0))
    let claimed = table.claim(
      JobClaimRequest(
        limit: 9, kinds: [.init(kind: "k"), .init(kind: "k", limit: -1)],
        lease: .seconds(Int64.max)), now: .at(0))
    #expect(claimed.count == 1)
    _ = table.settle(claimed[0], .retry(after: .seconds(Int64.max), .some), at: .at(0))
    #expect(table.count(.retrying) == 1)
    _ = table.nextDue(now: JobTable.Time(monotonic: .max, wall: .min))
    _ = table.recover(now: JobTable.Time(monotonic: .min, wall: .max))
    #expect(table.trim(now: JobTable.Time(monotonic: .min, wall: .min)).isEmpty)
  }
}
