import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

/// What others do to a log while it is open, and what callers do that they should not.
@Suite(.offThePool) struct AppendLogAttackTests {
  private let scratch = ScratchDirectory()

  /// The lines of records after a header of a generation.
  private func content(generation: UInt64, _ numbers: Range<Int>) -> [UInt8] {
    var lines = LogHeader(generation: generation, content: nil).line
    for n in numbers { LogLine.append(bytes(record(n)), to: &lines) }
    return lines
  }

  // MARK: Headers

  @Test func aFlippedBitInAHeaderWithContentIsNeverFatal() async throws {
    var options = AppendLog.Options()
    options.content = .init("dead-letters", version: 3)
    let header = LogHeader(generation: 7, content: options.content).line
    let good = content(generation: 7, 0..<2).dropFirst(
      LogHeader(generation: 7, content: nil).line.count)
    let memory = ScratchDirectory(inMemory: true)
    for index in 0..<(header.count - 1) {
      for bit in 0..<8 {
        var flipped = header
        flipped[index] ^= 1 << bit
        try memory.write(flipped + good, to: "log")
        options.access = .readOnly
        do {
          let texts = try await AppendLog(memory.file("log"), options: options).texts()
          #expect(texts.suffix(2) == [record(0), record(1)], "byte \(index), bit \(bit)")
        } catch let error as StoreError {
          #expect([.notALog, .newerFormat].contains(error.code), "byte \(index), bit \(bit)")
        }
      }
    }
  }

  @Test func aGenerationThatCannotGrowIsRefused() async throws {
    try scratch.write(content(generation: .max, 0..<1), to: "log")
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end
    let error = await #expect(throws: StoreError.self) {
      try await log.compact(upTo: end, replacingWith: [])
    }
    #expect(error?.code == .notALog)
    #expect(try await log.texts() == [record(0), record(1)])
  }

  // MARK: Compaction

  @Test(arguments: [9, 99, 1] as [UInt64])
  func aCompactionUpToTheFirstRecordKeepsEveryByteOfIt(generation: UInt64) async throws {
    for isZero in [true, false] {
      try scratch.write(content(generation: generation, 0..<3), to: "log")
      let log = try await AppendLog(scratch.file("log"))
      var positions: [AppendLog.Position] = []
      for try await record in log.records() { positions.append(record.position) }
      let from =
        isZero ? AppendLog.Position(generation: generation, offset: 0) : positions[0]
      let compaction = try await log.compact(upTo: from, replacingWith: [bytes(record(100))])
      #expect(try await log.texts() == [record(100), record(0), record(1), record(2)])
      for (n, position) in positions.enumerated() {
        let moved = try #require(compaction.translate(position))
        #expect(try await log.texts(from: moved).first == record(n))
      }
      #expect(log.health.badRecords.isEmpty)
    }
  }

  @Test func anEmptyLogThatIsCompactedLosesNothingThatComesMeanwhile() async throws {
    try scratch.write(content(generation: 9, 0..<0), to: "log")
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(contentsOf: []).end
    try await log.compact(upTo: end) { snapshot in
      try await log.append(record(1))
      try await snapshot.append(bytes(record(100)))
    }
    #expect(try await log.texts() == [record(100), record(1)])
  }

  @Test(.timeLimit(.minutes(10)))
  func aCompactionKeepsNothingOfAnAppendThatIsTakenBackMeanwhile() async throws {
    let seen = Tally()
    let disk = FaultyFileSystem(before: { if $0 == "fsync" { _ = seen.next() } })
    let log = try await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem)
    let middle = try await log.append(record(1)).end
    let end = try await log.append(record(2)).end.offset
    let path = scratch.file("log")
    let lock = BackoffLock(path + ".lock")
    try await withThrowingTaskGroup { group in
      try await log.compact(upTo: middle) { snapshot in
        try await snapshot.append(bytes(record(100)))
        // Another process writes two records, of which the first arrives; the disk is full, and it takes that back.
        let hold = try await lock.acquire()
        let raw = try OpenFile(path, [.write], fileSystem: .real)
        var half: [UInt8] = []
        LogLine.append(bytes(record(66)), to: &half)
        try raw.writeAll((half + bytes(#"{"n":67"#)).span, at: end)
        let before = seen.value
        group.addTask {
          for _ in 0..<10_000 where seen.value == before { await Task.yield() }
          let raw = try OpenFile(path, [.write], fileSystem: .real)
          try raw.truncate(to: end)
          var line: [UInt8] = []
          LogLine.append(bytes(record(3, size: 200)), to: &line)
          try raw.writeAll(line.span, at: end)
          lock.release(hold)
        }
      }
      try await group.waitForAll()
    }
    #expect(try await log.texts() == [record(100), record(2), record(3, size: 200)])
    #expect(log.health.badRecords.isEmpty)
  }

  @Test func aSnapshotThatOutlivesItsCompactionCannotWriteIntoTheLog() async throws {
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end
    var kept: AppendLog.Snapshot?
    try await log.compact(upTo: end) { kept = $0 }
    try await log.append(record(2))
    let snapshot = try #require(kept)
    let error = await #expect(throws: StoreError.self) {
      try await snapshot.append(bytes(record(9, size: 1 << 18)))
    }
    #expect(error?.code == .closed)
    #expect(try await log.texts() == [record(2)])
    await #expect(throws: CancellationError.self) {
      try await log.compact(upTo: log.append(record(3)).end) { snapshot in
        kept = snapshot
        throw CancellationError()
      }
    }
    #expect(!scratch.names.contains { $0.hasSuffix(".rtmp") }, "removed although it is kept")
    #expect(try await log.texts() == [record(2), record(3)])
  }

  // MARK: Other programs

  enum Meddling: CaseIterable {
    case removed, movedAway, cutToNothing, replacedByACopy
  }

  @Test(arguments: Meddling.allCases)
  func whatIsAppendedAfterOthersMeddledIsInTheFileWithTheName(_ meddling: Meddling) async throws {
    let log = try await AppendLog(scratch.file("log"))
    try await log.append(record(1))
    let files = RealFileSystem()
    switch meddling {
    case .removed: try files.unlink(scratch.file("log"), in: nil)
    case .movedAway:
      try files.rename(
        scratch.file("log"), in: nil, to: scratch.file("log.1"), in: nil, .replace)
    case .cutToNothing: try scratch.write([], to: "log")
    case .replacedByACopy:
      try scratch.write(try #require(scratch.readBytes("log")), to: "copy")
      try files.rename(scratch.file("copy"), in: nil, to: scratch.file("log"), in: nil, .replace)
    }
    #expect(try await log.append(record(2)).isDurable)
    try await log.append(record(3))
    let expected = (meddling == .replacedByACopy ? [record(1)] : []) + [record(2), record(3)]
    #expect(try await AppendLog(scratch.file("log"), options: .readOnly).texts() == expected)
    if meddling == .movedAway {
      #expect(
        try await AppendLog(scratch.file("log.1"), options: .readOnly).texts() == [record(1)])
    }
  }

  @Test func aForeignLineBetweenTwoAppendsIsNeitherOverwrittenNorSwallowed() async throws {
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end.offset
    let other = try OpenFile(scratch.file("log"), [.write], fileSystem: .real)
    try other.writeAll(bytes("{\"foreign\":1}\n{\"half").span, at: end)
    try await log.append(record(2))
    #expect(try await log.texts() == [record(1), record(2)])
    #expect(log.health.badRecords.count == 1)
    let torn = try #require(log.health.tornTails.first?.savedAs)
    let name = try #require(torn.split(separator: "/").last)
    #expect(scratch.read(String(name)) == "{\"half")
    #expect(scratch.read("log")?.contains("{\"foreign\":1}\n") == true)
  }

  @Test func whatAKilledCompactionLeftIsRemovedWhenALogIsOpened() async throws {
    try scratch.write("", to: ".log.7ffffffe.0123456789abcdef.rtmp")
    let log = try await AppendLog(scratch.file("log"))
    #expect(!scratch.names.contains { $0.hasSuffix(".rtmp") })
    try await log.close()
  }

  // MARK: Positions and payloads

  @Test func positionsBeyondAnyFileAreStale() async throws {
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end
    for offset in [Int64.max, .max - 1, 1 << 40, end.offset + 1, -1, .min] {
      let position = AppendLog.Position(generation: end.generation, offset: offset)
      let error = await #expect(throws: StoreError.self) { try await log.texts(from: position) }
      #expect(error?.code == .stalePosition, "\(offset)")
    }
    for generation in [0, 2, UInt64.max] {
      let position = AppendLog.Position(generation: generation, offset: end.offset)
      let error = await #expect(throws: StoreError.self) {
        try await log.compact(upTo: position, replacingWith: [])
      }
      #expect(error?.code == .stalePosition, "\(generation)")
    }
  }

  @Test func payloadsThatLookLikeTheLogsOwnComeBackAsTheyWere() async throws {
    let log = try await AppendLog(scratch.file("log"))
    let header = String(
      decoding: LogHeader(generation: 5, content: nil).payload, as: UTF8.self)
    let sealed = String(
      decoding: LogHeader(generation: 5, content: nil).line.dropLast(), as: UTF8.self)
    let payloads = [
      "{}", "{ }", "{\t\r }", #"{"_crc":"x"}"#, #"{"_crc":"00000000"}"#, #"{"a":{"_crc":"1"}}"#,
      #"{"a":1,"_crc":"1a2b3c4d"}"#, #"{"a":1 }"#, #"{"a":1,}"#, "{,}", #"{"a":"}"}"#,
      #"{"a":","}"#, header, sealed, "{\u{FEFF}}", #"{"ж":"猫"}"#,
    ]
    for payload in payloads { try await log.append(payload, durability: .none) }
    #expect(try await log.texts() == payloads)
    #expect(log.health.badRecords.isEmpty)
    for refused in ["\u{FEFF}{}", "{} ", " {}", "{}\r", "", "{", "[]", "null"] {
      let error = await #expect(throws: StoreError.self) { try await log.append(refused) }
      #expect(error?.code == .invalidRecord, "\(refused.debugDescription)")
    }
  }

  // MARK: Many at once

  @Test(.timeLimit(.minutes(10)))
  func tenThousandAppendsAtOnceAreEachThereOnce() async throws {
    let memory = ScratchDirectory(inMemory: true)
    let log = try await AppendLog(memory.file("log"))
    try await withThrowingTaskGroup { group in
      for n in 0..<10_000 { group.addTask { _ = try await log.append(record(n)) } }
      try await group.waitForAll()
    }
    let texts = try await log.texts()
    #expect(texts.count == 10_000)
    #expect(Set(texts).count == 10_000)
  }

  @Test(.timeLimit(.minutes(10)))
  func theLeadersCancellationFailsNobodyElse() async throws {
    let log = try await AppendLog(scratch.file("log"))
    let lock = BackoffLock(log.path + ".lock")
    let hold = try await lock.acquire()
    let leader = Task { try await log.append(record(0)) }
    while log.shared.withLock({ $0.queue.waiting.isEmpty }) { await Task.yield() }
    let followers = (1...20).map { n in Task { try await log.append(record(n)) } }
    while log.shared.withLock({ $0.queue.waiting.count }) < 21 { await Task.yield() }
    leader.cancel()
    followers[4].cancel()
    await #expect(throws: CancellationError.self) { try await leader.value }
    await #expect(throws: CancellationError.self) { try await followers[4].value }
    lock.release(hold)
    for (index, follower) in followers.enumerated() where index != 4 {
      #expect(try await follower.value.isDurable)
    }
    let numbers = (1...20).filter { $0 != 5 }
    #expect(Set(try await log.texts()) == Set(numbers.map { record($0) }))
  }

  @Test(.timeLimit(.minutes(10)))
  func closingTwiceAtOnceWorksAndACancelledOneDoesNotReopen() async throws {
    let log = try await AppendLog(scratch.file("log"))
    let lock = BackoffLock(log.path + ".lock")
    let hold = try await lock.acquire()
    let append = Task { try await log.append(record(1)) }
    while log.shared.withLock({ $0.queue.waiting.isEmpty }) { await Task.yield() }
    let first = Task { try await log.close() }
    while log.shared.withLock({ !$0.queue.isClosed }) { await Task.yield() }
    let second = Task { try await log.close() }
    second.cancel()
    let refused = await #expect(throws: StoreError.self) { try await log.append(record(2)) }
    #expect(refused?.code == .closed)
    lock.release(hold)
    #expect(try await append.value.isDurable)
    try await first.value
    _ = await second.result
    let error = await #expect(throws: StoreError.self) { try await log.append(record(3)) }
    #expect(error?.code == .closed)
    #expect(try await log.texts() == [record(1)])
  }

  @Test func aReadingThatIsLeftEarlyKeepsNothingOpen() async throws {
    let disk = FaultyFileSystem()
    let log = try await AppendLog(scratch.file("log"), fileSystem: disk.fileSystem)
    for n in 0..<3 { try await log.append(record(n)) }
    let before = disk.openDescriptors
    for _ in 0..<5 {
      for try await record in log.records() where record.position.offset > 0 { break }
    }
    #expect(disk.openDescriptors == before)
  }

  @Test func aReadingGoesOnInTheOldFileWhenTheLogIsCompacted() async throws {
    let log = try await AppendLog(scratch.file("log"))
    let padding = 700_000
    for n in 0..<4 { try await log.append(record(n, size: padding), durability: .none) }
    let end = try await log.append(record(4)).end
    var reading = log.records().makeAsyncIterator()
    var seen = [try await reading.next()?.position.generation]
    try await log.compact(upTo: end, replacingWith: [bytes(record(100))])
    while let record = try await reading.next() { seen.append(record.position.generation) }
    #expect(seen == [1, 1, 1, 1, 1])
    #expect(try await log.texts() == [record(100)])
  }
}
