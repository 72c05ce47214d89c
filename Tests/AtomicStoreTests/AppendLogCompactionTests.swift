import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct AppendLogCompactionTests {
  @Test func aSnapshotReplacesWhatWasBeforeAndKeepsWhatCameAfter() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    var receipts: [AppendLog.Receipt] = []
    for n in 0..<10 { receipts.append(try await log.append(record(n))) }
    let result = try await log.compact(upTo: receipts[6].end) { snapshot in
      try await snapshot.append(bytes(record(100)))
      // While it is being made, appends go on.
      try await log.append(record(10))
      try await snapshot.append(bytes(record(101)))
    }
    #expect(result.isDurable && result.generation == 2)
    #expect(result.bytesAfter < result.bytesBefore)
    #expect(try await log.texts() == [100, 101, 7, 8, 9, 10].map { record($0) })
    let moved = try #require(result.translate(receipts[8].start))
    #expect(try await log.texts(from: moved) == [8, 9, 10].map { record($0) })
    #expect(result.translate(receipts[6].start) == nil)
    #expect(try await log.texts(from: result.snapshotEnd).count == 4)
    try await log.append(record(11))
    #expect(try await AppendLog(scratch.file("log")).texts().count == 7)
    #expect(!scratch.names.contains { $0.hasSuffix(".rtmp") })
  }

  @Test func aReaderInProgressReadsTheOldFileToItsEnd() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    for n in 0..<3 { try await log.append(record(n, size: 900_000), durability: .none) }
    var iterator = log.records().makeAsyncIterator()
    let first = try #require(try await iterator.next())
    try await log.compact(upTo: first.next, replacingWith: [])
    #expect(try await iterator.next()?.payload.count == 900_000)
    let last = try #require(try await iterator.next())
    #expect(try await iterator.next() == nil)
    #expect(last.position.generation == 1)
    let error = await #expect(throws: StoreError.self) { try await log.texts(from: last.next) }
    #expect(error?.code == .stalePosition)
  }

  @Test func aThrowingSnapshotAndACancelledOneLeaveTheLogAsItWas() async throws {
    struct Enough: Error {}
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end
    await #expect(throws: Enough.self) {
      try await log.compact(upTo: end) { snapshot in
        try await snapshot.append(bytes("{}"))
        throw Enough()
      }
    }
    let task = Task {
      try await log.compact(upTo: end) { snapshot in
        try await snapshot.append(bytes("{}"))
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try await log.texts() == [record(1)])
    #expect(!scratch.names.contains { $0.hasSuffix(".rtmp") })
  }

  @Test func theSlowerOfTwoCompactionsIsRefused() async throws {
    let scratch = ScratchDirectory()
    let log = try await AppendLog(scratch.file("log"))
    let other = try await AppendLog(scratch.file("log"))
    let end = try await log.append(record(1)).end
    let error = await #expect(throws: StoreError.self) {
      try await log.compact(upTo: end) { _ in
        try await other.compact(upTo: end, replacingWith: [bytes(record(2))])
      }
    }
    #expect(error?.code == .stalePosition)
    #expect(try await log.texts() == [record(2)])
  }

  @Test func aBadRecordLeavesTheLogOnlyForTheQuarantine() async throws {
    let scratch = ScratchDirectory()
    var content = LogHeader(generation: 4, content: nil).line
    content += bytes("bad before\n")
    LogLine.append(bytes(record(1)), to: &content)
    let position = AppendLog.Position(generation: 4, offset: Int64(content.count))
    content += bytes("bad after\n")
    try scratch.write(content, to: "log")
    let log = try await AppendLog(scratch.file("log"))
    try await log.compact(upTo: position, replacingWith: [bytes(record(2))])
    #expect(scratch.read("log")?.contains("bad before") == false)
    #expect(scratch.read("log")?.contains("bad after") == true)
    let quarantine = try await AppendLog(scratch.file("log.quarantine"))
    #expect(try await quarantine.texts().count == 1)
    #expect(log.health.badRecords.count == 1)
    #expect(try await log.texts() == [record(2)])
  }

  @Test func unknownMembersOfTheHeaderAreKept() async throws {
    let scratch = ScratchDirectory()
    var content: [UInt8] = []
    LogLine.append(
      bytes(#"{"format":"reliability-log","version":1,"generation":9,"later":{"x":1}}"#),
      to: &content)
    try scratch.write(content, to: "log")
    let log = try await AppendLog(scratch.file("log"))
    try await log.compact(
      upTo: .init(generation: 9, offset: Int64(content.count)), replacingWith: [])
    let head = #"{"format":"reliability-log","version":1,"generation":10,"later":{"x":1},"_crc":""#
    #expect(scratch.read("log")?.hasPrefix(head) == true)
  }

  @Test func eventsAndMetricsTellWhatHappened() async throws {
    let scratch = ScratchDirectory()
    let kinds = Lock<[String]>([])
    var options = AppendLog.Options()
    options.observer = { event in
      let name = "\(event.kind)".prefix { $0 != "(" }
      kinds.withLock { $0.append(String(name)) }
    }
    try scratch.write(
      LogHeader(generation: 1, content: nil).line + bytes("bad\ntorn"), to: "log")
    let log = try await AppendLog(scratch.file("log"), options: options)
    _ = try await log.texts()
    let end = try await log.append(record(1)).end
    try await log.compact(upTo: end, replacingWith: [])
    #expect(kinds.withLock { $0 } == ["healed", "badRecord", "quarantined", "compacted"])
    let samples = Dictionary(uniqueKeysWithValues: log.samples().map { ($0.name, $0.value) })
    #expect(samples["append_log_records_total"] == 1)
    #expect(samples["append_log_torn_tails_total"] == 1)
    #expect(samples["append_log_bad_records_total"] == 1)
    #expect(samples["append_log_compactions_total"] == 1)
  }
}
