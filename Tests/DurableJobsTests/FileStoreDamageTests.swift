import AtomicStore
import ReliabilityCore
import ReliabilityTesting
import Testing

@testable import DurableJobs

/// Files that a disk, a crash or a later version left behind.
@Suite(.timeLimit(.minutes(10))) struct FileStoreDamageTests {
  /// A store of version 1, as it was written when that was new: one job in each state, a snapshot, changes after it.
  static let versionOne = [
    #"{"format":"reliability-log","version":1,"generation":2,"content":"jobs","contentVersion":1}"#,
    #"{"snapshot":1,"at":1800000000000000000,"up":500,"boot":"boot-1","next":7,"tokens":1048577,"jobs":5}"#,
    #"{"job":1,"kind":"k","at":1799999990000000000,"from":1800000000000000000,"up":500,"is":{"state":"completed","ended_ns":1799999995000000000,"note":"well"}}"#,
    #"{"job":2,"kind":"k","at":1799999990000000000,"from":1799999990000000000,"up":-9999999500,"options":{"priority":"high","attempts":2,"backoff":{"curve":"exponential","base_ns":1000000000,"factor":2,"cap_ns":9000000000,"jitter":"full"},"timeout_ns":0,"unique":{"key":"a","scope":"store","release":"ended"},"tags":["t"],"caller":"c"},"is":{"attempts":1,"failures":[{"attempt":1,"error":"x","category":"network","ended_ns":0,"ms":1}]},"payload":{"n":2}}"#,
    #"{"job":3,"kind":"k","at":1799999990000000000,"from":1800000000000000000,"up":500,"is":{"state":"running","crashes":1,"token":3},"payload":"three"}"#,
    #"{"job":4,"kind":"l","at":1799999990000000000,"from":1800000000000000000,"up":500,"is":{"state":"retrying","attempts":1,"after_ns":30000000000},"payload64":"AAr/"}"#,
    #"{"job":5,"kind":"k","at":1799999990000000000,"from":1800000000000000000,"up":500,"is":{"state":"dead","attempts":4,"ended_ns":1799999999000000000}}"#,
    #"{"job":6,"kind":"k","at":1800000000000000100,"up":600,"options":{"after_ns":5000000000},"payload":6}"#,
    #"{"all":[{"job":7,"kind":"k","at":1800000000000000200,"up":700,"payload":7},{"job":8,"kind":"k","at":1800000000000000200,"up":700,"payload":8}]}"#,
    #"{"claim":[7,8],"token":1048577}"#,
    #"{"done":7,"at":1800000000000000300}"#,
    #"{"retry":8,"at":1800000000000000300,"up":800,"after_ns":2000000000,"failure":{"attempt":1,"error":"y","category":"timeout","ended_ns":5,"ms":2}}"#,
    #"{"redrive":5,"at":1800000000000000400,"up":900}"#,
    #"{"job":9,"kind":"k","at":1800000000000000500,"up":1000}"#,
    #"{"cancel":9,"at":1800000000000000600,"note":"no"}"#,
    #"{"tokens":2097153}"#,
    #"{"open":2,"at":1800000001000000000,"up":1000000500,"boot":"boot-1","next":10,"tokens":3145729,"jobs":9}"#,
  ]

  /// A machine whose disk has a file of these records, at the moment of the last one of the fixture.
  private func machine(_ records: [String] = versionOne) async throws -> Machine {
    let machine = Machine()
    let bytes = records.flatMap { record -> [UInt8] in
      var line: [UInt8] = []
      // The same line as the log's own: the checksum is the last member.
      var body = Array(record.utf8.dropLast())
      let checksum = String(CRC32C(body.span).value, radix: 16)
      body += #","_crc":"\#(String(repeating: "0", count: 8 - checksum.count))\#(checksum)"}"#.utf8
      line += body + [0x0A]
      return line
    }
    try machine.disk.write("data/jobs", bytes)
    return machine
  }

  private func open(
    _ machine: Machine, boot: String = "boot-1", wall: Int64 = 1_800_000_001_000_000_000,
    up: Int64 = 1_000_000_500, access: FileJobStore.Access = .readWrite
  ) async throws -> FileJobStore {
    let start = NanosecondClock(machine.clock).now
    var options = FileJobStore.Options()
    options.access = access
    options.limits.endedAge = .seconds(1_000_000_000)
    return try await FileJobStore(
      "data/jobs", options: options, clock: machine.clock,
      moments: {
        let passed = NanosecondClock(machine.clock).now - start
        return PersistedMoment(wall: wall + passed, bootID: boot, sinceBoot: up + passed)
      }, fileSystem: machine.disk.fileSystem)
  }

  @Test func aFileOfVersionOneIsReadWholly() async throws {
    let machine = try await machine()
    let store = try await open(machine)
    let jobs = try await store.jobs(JobQuery())
    #expect(jobs.map(\.id.rawValue) == Array(1...9))
    #expect(
      jobs.map(\.state) == [
        .completed, .pending, .pending, .retrying, .pending, .scheduled, .completed, .retrying,
        .cancelled,
      ])
    #expect(jobs.map(\.attempts) == [0, 1, 0, 1, 0, 0, 0, 1, 0])
    #expect(jobs.map(\.crashes) == [0, 0, 1, 0, 0, 0, 0, 0, 0])
    #expect(jobs[0].note == "well" && jobs[8].note == "no" && jobs[4].redrives == 1)
    #expect(jobs[1].payload == Array(#"{"n":2}"#.utf8) && jobs[3].payload == [0, 10, 255])
    let options = jobs[1].options
    #expect(options.priority == .high && options.maxAttempts == 2 && options.timeout == nil)
    #expect(options.backoff == .exponential(cap: .seconds(9)) && options.callerID == "c")
    #expect(options.unique == UniqueKey("a", within: .store) && options.tags == ["t"])
    let claim = try await store.claim(.some(9, ["k", "l"]))
    #expect(claim.items.map(\.job.id.rawValue) == [2, 3, 5])
    #expect(claim.items.map(\.lease.token)[0] >= 3_145_729)
    // The high one had waited for ten seconds when the snapshot was made, and a second since.
    #expect(claim.items[0].waited == .seconds(11))
    machine.clock.advance(by: .seconds(1) + .nanoseconds(300))
    #expect(try await store.claim(.some(9, ["k", "l"])).items.map(\.job.id.rawValue) == [8])
    #expect(try await store.insert([.plain()])[0].id.rawValue == 10)
    #expect(store.health.unknownRecords == 0 && store.health.strayChanges == 0)
  }

  @Test func aRestartOfTheMachineBelievesTheWallClockWithinBounds() async throws {
    // An hour back, an hour forward, and as it should be: ten seconds later.
    for (jump, sixIsDue) in [(-3600, false), (3600, true), (10, true)] {
      let store = try await open(
        try await machine(), boot: "boot-2",
        wall: 1_800_000_000_000_000_000 + Int64(jump) * 1_000_000_000, up: 5)
      let jobs = try await store.jobs(JobQuery())
      #expect(jobs[5].state == (sixIsDue ? .pending : .scheduled), "\(jump)")
      let waited = try await store.claim(.some(1, ["k"])).items[0].waited
      #expect(waited == .seconds(max(0, jump + 10)), "\(jump)")
      let due = try await store.claim(.some(0, ["k"])).nextDue
      if !sixIsDue { #expect(due == .seconds(2)) }
    }
  }

  @Test func aTornTailIsHealedAndNothingElseIsLost() async throws {
    let machine = try await machine()
    let bytes = try #require(machine.disk.read("data/jobs"))
    try machine.disk.write("data/jobs", bytes + Array(#"{"job":10,"kind":"k","at":18000"#.utf8))
    let store = try await open(machine)
    #expect(try await store.figures().live == 6)
    #expect(store.health.log.tornTails.count == 1)
    #expect(try await store.insert([.plain()])[0].id.rawValue == 10)
  }

  @Test func aFlippedBitLosesOneRecordAndNoNumberIsGivenTwice() async throws {
    let machine = try await machine()
    var bytes = try #require(machine.disk.read("data/jobs"))
    // In the record of job 9, whose cancellation follows.
    let text = String(decoding: bytes, as: UTF8.self)
    let place = try #require(text.firstRange(of: "\"job\":9"))
    bytes[text.utf8.distance(from: text.startIndex, to: place.lowerBound) + 10] ^= 4
    try machine.disk.write("data/jobs", bytes)
    let store = try await open(machine)
    #expect(try await store.jobs(JobQuery()).map(\.id.rawValue) == Array(1...8))
    #expect(store.health.log.badRecords.count == 1 && store.health.strayChanges == 1)
    #expect(try await store.insert([.plain()])[0].id.rawValue == 10)
    try await store.compact()
    #expect(try await open(machine.crashed()).jobs(JobQuery()).count == 9)
    #expect(machine.disk.exists("data/jobs.quarantine"))
  }

  @Test func whatALaterVersionWroteIsKeptAlsoByACompaction() async throws {
    var records = Self.versionOne
    records.append(#"{"hold":3,"until":5}"#)
    records.append(
      #"{"all":[{"dance":1},{"job":10,"kind":"k","at":1,"up":1,"color":"red","options":{"mood":[1]},"payload":1}]}"#
    )
    let machine = try await machine(records)
    let store = try await open(machine)
    #expect(store.health.unknownRecords == 2)
    #expect(try await store.job(JobID(rawValue: 10))?.state == .pending)
    try await store.compact()
    let text = try #require(machine.disk.text("data/jobs"))
    #expect(text.contains(#"{"hold":3,"until":5,"#) && text.contains(#"{"dance":1,"#))
    #expect(text.contains(#""color":"red""#) && text.contains(#""options":{"mood":[1]}"#))
    let next = try await open(machine.crashed())
    #expect(next.health.unknownRecords == 2)
    #expect(try await next.jobs(JobQuery()).count == 10)
  }

  @Test func aFileOfALaterVersionIsOnlyRead() async throws {
    var records = Self.versionOne
    records[0] = records[0].replacing(#""contentVersion":1"#, with: #""contentVersion":2"#)
    let machine = try await machine(records)
    let store = try await open(machine)
    #expect(store.health.readOnlyReason?.code == .newerFormat)
    #expect(try await store.figures().live == 6)
    let error = await #expect(throws: StoreError.self) { _ = try await store.insert([.plain()]) }
    #expect(error?.code == .newerFormat)
    // And it doesn't keep the owner that can write it out.
    _ = try await open(machine)
  }

  @Test func aForeignFileIsRefusedAndLeftAsItIs() async throws {
    let machine = Machine()
    try machine.disk.write("data/jobs", "my diary\n")
    let error = await #expect(throws: StoreError.self) { _ = try await open(machine) }
    #expect(error?.code == .notALog && machine.disk.text("data/jobs") == "my diary\n")
  }

  @Test func theFileStaysSmallOverManyJobs() async throws {
    let machine = Machine()
    let store = try await machine.open {
      $0.compactionSlack = 8192
      $0.limits.endedKept = 10
    }
    var largest: Int64 = 0
    for _ in 0..<600 {
      _ = try await store.insert([.plain()])
      let lease = try await store.claim(.some()).items[0].lease
      _ = try await store.settle([JobSettlement(lease, .completed(note: nil))])
      largest = max(largest, store.health.bytes)
    }
    try await store.close()
    #expect(largest < 64_000 && store.health.log.counts.compactions > 5)
    let next = try await machine.open { $0.limits.endedKept = 10 }
    #expect(try await next.figures().states == [.completed: 10])
  }

  @Test func aWriteOfUnknownOutcomeIsLookedAtBeforeWorkGoesOn() async throws {
    let machine = Machine()
    let store = try await machine.open()
    let id = try await store.insert([.plain()])[0].id
    let lease = try await store.claim(.some()).items[0].lease
    // The sync fails, and so does every way to find out.
    machine.disk.fail(.fdatasync, with: .inputOutput, persistently: true)
    machine.disk.fail(.fsync, with: .inputOutput, persistently: true)
    let error = await #expect(throws: StoreError.self) {
      _ = try await store.settle([JobSettlement(lease, .completed(note: nil))])
    }
    #expect(error?.code == .appendUncertain && store.health.outage != nil)
    #expect(try await store.renew([lease], for: .seconds(60)).isEmpty)
    machine.disk.clearFaults()
    // Whether it was stored then or now, it is accepted once.
    #expect(try await store.settle([JobSettlement(lease, .completed(note: nil))]) == [true])
    #expect(try await store.settle([JobSettlement(lease, .completed(note: nil))]) == [false])
    #expect(try await store.job(id)?.state == .completed && store.health.outage == nil)
    let made = try await store.insert([.plain()])[0].id
    let next = try await machine.crashed().open()
    #expect(try await next.job(id)?.state == .completed)
    #expect(try await next.job(made)?.state == .pending)
  }

  @Test func aJumpOfTheWallClockMovesDatesAndNothingElse() async throws {
    for jump in [Int64(3600), -3600] {
      let machine = Machine()
      let store = try await machine.open()
      let date = WallTime(nanosecondsSince1970: machine.moment.wall + 600_000_000_000)
      let ids = try await store.insert([
        .plain(start: .at(date)), .plain(start: .after(.seconds(600))), .plain(),
      ]).map(\.id)
      machine.wallOffset.withLock { $0 = jump * 1_000_000_000 }
      // Also when it is opened again.
      try await store.close()
      let next = try await machine.open()
      let ready = try await next.claim(.some(9)).items.map(\.job.id)
      #expect(Set(ready) == (jump > 0 ? [ids[0], ids[2]] : [ids[2]]))
      machine.clock.advance(by: .seconds(600))
      #expect(try await next.claim(.some(9)).items.map(\.job.id) == [ids[1]])
      machine.clock.advance(by: .seconds(3600))
      #expect(try await next.claim(.some(9)).items.map(\.job.id).count == (jump > 0 ? 0 : 1))
    }
  }

  /// Right checksums, and content that no store writes: each costs no more than itself.
  @Test func recordsMadeToHurtAreReadAndNothingElseIsLost() async throws {
    let at = #""kind":"k","at":1800000001000000000,"up":1000000600"#
    let deep = 50_000
    let machine = try await machine(
      Self.versionOne + [
        #"{"job":10,\#(at),"options":{"tags":[:]},"payload":1}"#,
        #"{"job":11,\#(at),"is":{"failures":[:]}}"#,
        #"{"job":12,\#(at),"options":{"backoff":{"curve":"explicit","delays_ns":[1:2]}}}"#,
        #"{"job":13,\#(at),"is":{"crashes":9223372036854775807,"attempts":9223372036854775807,"redrives":9223372036854775807}}"#,
        #"{"claim":[13],"token":3145730}"#, #"{"retry":13,"at":1,"up":2,"after_ns":-9}"#,
        String(repeating: #"{"all":["#, count: deep) + String(repeating: "]}", count: deep),
        #"{"job":14,\#(at),"payload":14}"#,
      ])
    let store = try await open(machine)
    #expect(try await store.job(JobID(rawValue: 1))?.state == .completed)
    #expect(try await store.job(JobID(rawValue: 14))?.state == .pending)
    for item in try await store.claim(.some(100)).items {
      _ = try await store.settle([JobSettlement(item.lease, .retry(after: .zero, .some))])
    }
    try await store.close()
    #expect(try await open(machine).job(JobID(rawValue: 14))?.state.isEnd == false)
  }
}
