import ReliabilityIO
import ReliabilityTesting
import Testing

@testable import DeadLetterQueue

/// What is on the disk, and what becomes of it.
@Suite struct StorageTests {
  private func open(
    _ disk: SimulatedDisk, _ configuration: DeadLetterConfiguration = .init(),
    access: AppendLog.Access = .readWrite
  ) async throws -> DeadLetterQueue<Order> {
    try await DeadLetterQueue(
      "data/letters", access: access, configuration: configuration, fileSystem: disk.fileSystem)
  }

  /// A file of version 1, as it was written.
  static let version1 = [
    #"{"format":"reliability-log","version":1,"generation":1,"content":"dead-letters","contentVersion":1}"#,
    #"{"letter":1,"arrived_ns":1736951422000000000,"arrived_boot":"b-1","arrived_boot_ns":5,"kind":"charge","category":"network","fingerprint":"a1b2c3d4e5f60718","first_ns":1736951420000000000,"last_ns":1736951421000000000,"redrives":2,"source":"orders/1","previous":7,"reason":"no answer","payload":{"number":1,"note":"ü"},"attempts":[{"number":1,"error":"Broken: x","category":"network","at_ns":1736951421000000000,"elapsed_ns":1500000000,"delay_ns":5,"method":"GET"}],"attempts_dropped":3,"redrives_failed":[{"number":2,"at_ns":1736951421000000000,"error":"Broken: y","category":"network"}],"report":{"type":"about:blank","title":"Network","detail":"no answer","category":"network","occurred_at":"2025-01-15T14:30:21Z"}}"#,
    #"{"letter":2,"arrived_ns":1,"arrived_boot":"","arrived_boot_ns":0,"kind":"mail","category":"unknown","fingerprint":"","first_ns":1,"last_ns":1,"redrives":0,"reason":"","payload64":"AAEC","attempts":[],"report":{}}"#,
    #"{"letter":3,"kind":"mail","payload":{"number":3,"note":""},"attempts":[],"report":{}}"#,
    #"{"gone":[3,99],"as":"discarded","reason":"why","at_ns":1}"#,
    #"{"redrive":2,"count":4,"at_ns":1}"#,
    #"{"next":120}"#,
  ]

  /// Lines with their checksums.
  static func file(_ lines: [String]) -> [UInt8] {
    lines.flatMap { line in
      let body = Array(line.utf8.dropLast())
      let digits = String(CRC32C(body.span).value, radix: 16)
      let checksum = String(repeating: "0", count: 8 - digits.count) + digits
      return body + Array(#","_crc":"\#(checksum)"}"#.utf8) + [0x0A]
    }
  }

  @Test func aFileOfVersion1IsRead() async throws {
    let disk = Kept.disk()
    try disk.write("data/letters", Self.file(Self.version1))
    let queue = try await open(disk)
    let letters = try await queue.everything()
    try #require(letters.map(\.id.rawValue) == [1, 2])
    let letter = letters[0]
    #expect(letter.kind == "charge" && letter.category == .network && letter.redriveCount == 2)
    #expect(letter.fingerprint == "a1b2c3d4e5f60718" && letter.source == "orders/1")
    #expect(letter.previous?.rawValue == 7 && letter.reason == "no answer")
    #expect(letter.firstFailure.nanosecondsSince1970 == 1_736_951_420_000_000_000)
    #expect(letter.arrivedAt.description == "2025-01-15T14:30:22Z")
    #expect(try letter.payload(as: Order.self) == Order(number: 1, note: "ü"))
    #expect(letter.attempts.first?.elapsed == .milliseconds(1500))
    #expect(letter.attempts.first?.method == "GET" && letter.attemptsDropped == 3)
    #expect(letter.redrives.first?.number == 2 && letter.report.title == "Network")
    #expect(letters[1].payload == [0, 1, 2] && letters[1].redriveCount == 4)
    #expect(!letters[1].report.title.isEmpty)
    #expect(try await queue.add(5).rawValue == 120)
    #expect(queue.statistics.unknownRecords == 0)
  }

  @Test func whatALaterVersionAddsIsKept() async throws {
    let disk = Kept.disk()
    var lines = Self.version1
    lines.insert(#"{"holiday":{"until":5},"x":[1]}"#, at: 2)
    lines[1].insert(contentsOf: #","early":{"a":[1,2]}"#, at: lines[1].firstIndex(of: ",")!)
    lines[1].insert(contentsOf: #","late":"x\"y""#, at: lines[1].lastIndex(of: "}")!)
    lines.append(#"{"letter":"not a number"}"#)
    try disk.write("data/letters", Self.file(lines))
    let queue = try await open(disk)
    #expect(queue.statistics.unknownRecords == 2)
    let compaction = try #require(try await queue.compact())
    #expect(compaction.isDurable)
    try await queue.redrive(.ids([.init(rawValue: 1)])) { _, _ in throw Broken() }
    try await queue.compact()
    try await queue.add(8)
    try await queue.compact()
    try await queue.close()
    let text = try #require(disk.text("data/letters"))
    #expect(text.contains(#"{"holiday":{"until":5},"x":[1],"_crc""#))
    #expect(text.contains(#"{"letter":"not a number","_crc""#))
    #expect(text.contains(#","early":{"a":[1,2]}"#) && text.contains(#","late":"x\"y""#))
    let again = try await open(disk)
    #expect(again.statistics.unknownRecords == 2 && again.count == 3)
    #expect(try await again.letter(.init(rawValue: 2))?.redriveCount == 4)
    #expect(try await again.add(9).rawValue == 121)
  }

  @Test func aFileOfALaterVersionIsOnlyRead() async throws {
    let disk = Kept.disk()
    for change in [
      ("\"version\":1", "\"version\":2"), ("contentVersion\":1", "contentVersion\":2"),
    ] {
      var lines = Self.version1
      lines[0] = lines[0].replacing(change.0, with: change.1)
      let bytes = Self.file(lines)
      try disk.write("data/letters", bytes)
      let queue = try await open(disk)
      #expect(try await queue.everything().map(\.id.rawValue) == [1, 2])
      let error = await #expect(throws: StoreError.self) { try await queue.add(1) }
      #expect(error?.code == .newerFormat)
      await #expect(throws: StoreError.self) { try await queue.discard(.all, reason: "x") }
      await #expect(throws: StoreError.self) { try await queue.redrive { _, _ in } }
      await #expect(throws: StoreError.self) { try await queue.compact() }
      try await queue.close()
      #expect(disk.read("data/letters") == bytes)
    }
  }

  @Test func anotherLogIsRefused() async throws {
    let disk = Kept.disk()
    let text = #"{"format":"reliability-log","version":1,"generation":1}"#
    try disk.write("data/letters", Self.file([text]))
    let error = await #expect(throws: StoreError.self) { _ = try await open(disk) }
    #expect(error?.code == .notALog)
  }

  @Test func aTornEndAndAFlippedBitCostNothingElse() async throws {
    let disk = Kept.disk()
    let queue = try await open(disk)
    for number in 1...6 { try await queue.add(number) }
    try await queue.close()
    var bytes = try #require(disk.read("data/letters"))
    let third = bytes.indices.filter { bytes[$0] == 0x0A }[2] + 100
    bytes[third] ^= 1
    bytes += Array(#"{"letter":7,"half"#.utf8)
    try disk.write("data/letters", bytes)
    let again = try await open(disk)
    #expect(try await again.numbers() == [1, 2, 4, 5, 6])
    #expect(again.health?.counts.badRecords == 1 && again.health?.counts.tornTails == 1)
    #expect(try await again.add(8).rawValue == 7)
  }

  @Test func aRecordThatGoesBadLaterIsReportedAndBlocksNothing() async throws {
    let disk = Kept.disk()
    let events = Events()
    var configuration = DeadLetterConfiguration()
    configuration.observer = events.add
    let queue = try await open(disk, configuration)
    for number in 1...4 { try await queue.add(number) }
    var bytes = try #require(disk.read("data/letters"))
    let ends = bytes.indices.filter { bytes[$0] == 0x0A }
    bytes[ends[1] + 60] ^= 1
    try OpenFile("data/letters", [.write], fileSystem: disk.fileSystem).writeAll(bytes.span, at: 0)
    #expect(try await queue.numbers() == [1, 3, 4])
    #expect(events.departed(.damaged) == [2] && queue.statistics.counts.damaged == 1)
    bytes[ends[3] + 60] ^= 1
    try OpenFile("data/letters", [.write], fileSystem: disk.fileSystem).writeAll(bytes.span, at: 0)
    try await queue.compact()
    #expect(try await queue.numbers() == [1, 3] && queue.statistics.counts.damaged == 2)
    #expect(disk.names(in: "data").contains("letters.quarantine"))
  }

  @Test func compactionKeepsEverythingAndShrinksTheFile() async throws {
    let disk = Kept.disk()
    let queue = try await open(disk)
    for number in 1...200 { try await queue.add(number) }
    var filter = DeadLetter.Filter()
    filter.olderThan = .zero
    try await queue.redrive(.ids((1...10).map { .init(rawValue: $0) })) { _, _ in throw Broken() }
    try await queue.discard(.ids((11...190).map { .init(rawValue: $0) }), reason: "x")
    let before = try await queue.everything().map(\.payload)
    let compaction = try #require(try await queue.compact())
    #expect(compaction.bytesAfter < compaction.bytesBefore / 4)
    #expect(try await queue.everything().map(\.payload) == before && before.count == 20)
    try await queue.add(201)
    try await queue.close()
    let again = try await open(disk)
    #expect(try await again.everything().count == 21)
    #expect(try await again.everything().prefix(10).allSatisfy { $0.redriveCount == 1 })
  }

  @Test func theFileDoesNotGrowWithoutBound() async throws {
    let disk = Kept.disk()
    let queue = try await open(disk)
    let note = String(repeating: "x", count: 20_000)
    for number in 1...200 {
      let id = try await queue.add(Order(number: number, note: note), kind: "x", error: Broken())
      if number > 3 { try await queue.discard(.init(rawValue: id.rawValue - 3), reason: "old") }
    }
    try await queue.close()
    // 4 MB went through; three letters are left.
    let size = try #require(disk.read("data/letters")).count
    #expect(size < 2 << 20, "\(size)")
    #expect(try await open(disk).numbers() == [198, 199, 200])
  }

  @Test func lettersComeAndGoWhileTheLogIsCompacted() async throws {
    let disk = Kept.disk()
    let queue = try await open(disk)
    for number in 1...100 { try await queue.add(number) }
    try await withThrowingTaskGroup { group in
      for worker in 0..<4 {
        group.addTask {
          for step in 0..<25 {
            let number = 1000 + worker * 100 + step
            let id = try await queue.add(number)
            if step % 2 == 0 { try await queue.discard(id, reason: "x") }
            _ = try await queue.discard(
              .init(rawValue: UInt64(worker * 25 + step + 1)), reason: "old")
            #expect(try await queue.letters(limit: 5).letters.count == 5 || step > 0)
          }
        }
      }
      group.addTask { for _ in 0..<10 { try await queue.compact() } }
      group.addTask {
        for _ in 0..<5 { _ = try await queue.redrive(.kind("none")) { _, _ in } }
      }
      try await group.waitForAll()
    }
    let numbers = try await queue.numbers()
    #expect(numbers.count == 48 && numbers.allSatisfy { $0 >= 1000 && $0 % 2 == 1 })
    #expect(queue.statistics.counts.damaged == 0)
    try await queue.close()
    #expect(try await open(disk).numbers() == numbers)
  }

  @Test func aFileHasOneOwnerAndAnyNumberOfReaders() async throws {
    let disk = Kept.disk()
    let owner = try await open(disk)
    try await owner.add(1)
    let error = await #expect(throws: StoreError.self) { _ = try await open(disk) }
    #expect(error?.code == .inUse && error?.owner != nil)
    #expect(error?.path.hasSuffix("data/letters") == true)
    #expect(error?.suggestedActions.isEmpty == false && error?.retryability.isRetryable == true)
    let reader = try await open(disk, access: .readOnly)
    #expect(try await reader.numbers() == [1])
    try await owner.add(2)
    #expect(try await reader.numbers() == [1])
    try await reader.refresh()
    #expect(try await reader.numbers() == [1, 2])
    try await owner.discard(.init(rawValue: 1), reason: "x")
    try await owner.compact()
    // The reader's places are stale now, and it looks again by itself.
    #expect(try await reader.numbers() == [2])
    await #expect(throws: StoreError.self) { try await reader.add(3) }
    #expect(try await reader.sweepIsRefused())
    try await owner.close()
    let next = try await open(disk)
    #expect(try await next.numbers() == [2])
  }

  @Test(.timeLimit(.minutes(10))) func anOwnerThatIsForgottenGivesUpTheFile() async throws {
    let disk = Kept.disk()
    do {
      let queue = try await open(disk)
      try await queue.add(1)
    }
    // The thread of its last disk call may forget it a moment later than its task.
    while true {
      do {
        #expect(try await open(disk).numbers() == [1])
        return
      } catch let error as StoreError where error.code == .inUse {
        await Task.yield()
      }
    }
  }

  @Test func exportedLettersCanBeRead() async throws {
    let disk = Kept.disk()
    let queue = try await open(disk)
    for number in 1...5 { try await queue.add(number, kind: number > 2 ? "mail" : "charge") }
    try await queue.add(bytes: [1, 2, 3], as: .init(kind: "mail", error: Broken()))
    #expect(try await queue.export(.kind("mail"), to: "data/export") == 4)
    #expect(try await queue.export(.kind("mail"), to: "data/export") == 4)
    let copy = try await DeadLetterQueue<String>(
      "data/export", access: .readOnly, fileSystem: disk.fileSystem)
    #expect(try await copy.everything().map(\.payload.last).count == 4)
    #expect(try await copy.everything().last?.payload == [1, 2, 3])
    #expect(queue.count == 6)
  }

  @Test func aRedriveThatTakesTheProgramDownIsCounted() async throws {
    let disk = Kept.disk()
    let queue = try await open(disk)
    try await queue.add(1)
    let dead = try await withCheckedThrowingContinuation { continuation in
      Task {
        try await queue.redrive { _, _ in
          continuation.resume(returning: disk.restarted(after: .processKilled))
        }
      }
    }
    let again = try await open(dead)
    let letter = try #require(try await again.everything().first)
    #expect(letter.redriveCount == 1 && letter.redrives.isEmpty)
    try await again.compact()
    try await again.close()
    #expect(try await open(dead).everything().first?.redriveCount == 1)
  }
}

extension DeadLetterQueue {
  fileprivate func sweepIsRefused() async throws -> Bool {
    do {
      _ = try await sweep()
      _ = try await compact()
      return false
    } catch is StoreError {
      return true
    }
  }
}
