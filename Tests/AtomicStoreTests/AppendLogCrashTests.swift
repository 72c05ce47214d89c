import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import AtomicStore

/// Cuts the power after every call and looks at every state the disk may be in.
@Suite(.serialized, .offThePool) struct AppendLogCrashTests {
  private static var options: AppendLog.Options {
    var options = AppendLog.Options()
    options.idleHold = .zero
    return options
  }

  /// Whether there is time for ten thousand states each: a minute or two.
  private static let isLong = Shell.isSet("RELIABILITY_LONG_TESTS")
  private static var leastStates: Int { isLong ? 10_000 : 200 }

  private static var exploration: ExplorationOptions {
    var options = ExplorationOptions()
    options.exhaustiveStates = isLong ? 6000 : 40
    options.samples = isLong ? 6000 : 40
    options.secondCrashStates = 1
    return options
  }

  private static func open(_ fileSystem: FileSystem) async throws -> AppendLog {
    try await AppendLog("data/log", options: options, fileSystem: fileSystem)
  }

  /// Synced and unsynced appends, alone and in groups.
  private static func appendInGroups(
    _ disk: SimulatedDisk, over fileSystem: FileSystem
  ) async throws {
    let log = try await open(fileSystem)
    for round in 0..<3 {
      for n in 0..<3 {
        try await log.append(record(round * 100 + n, size: 1100), durability: .none)
      }
      try await withThrowingTaskGroup { group in
        for n in 3..<6 {
          group.addTask {
            let text = record(round * 100 + n, size: 700)
            if try await log.append(text).isDurable { disk.acknowledge(text) }
          }
        }
        try await group.waitForAll()
      }
    }
    try await log.close()
  }

  private static func check(_ disk: SimulatedDisk, _ acknowledged: [String]) async throws {
    let log = try await open(disk.fileSystem)
    try await log.append(record(999), durability: .none)
    try check(try await log.texts(), acknowledged)
  }

  @Sendable private static func prepareCompaction(_ disk: SimulatedDisk) async throws {
    try disk.write("data/other", "x")
    let log = try await open(disk.fileSystem)
    for n in 0..<4 { try await log.append(record(n, size: 600)) }
    try await log.close()
  }

  /// Appends, synced and not, before and after a compaction.
  @Sendable private static func compact(_ disk: SimulatedDisk) async throws {
    let log = try await open(disk.fileSystem)
    let end = try await log.append(record(4)).end
    disk.acknowledge(record(4))
    for n in 5..<7 { try await log.append(record(n, size: 1100), durability: .none) }
    try await log.append(record(7))
    disk.acknowledge(record(7))
    let snapshot = (100..<104).map { bytes(record($0, size: 1100)) }
    let result = try await log.compact(upTo: end, replacingWith: snapshot)
    if result.isDurable { disk.acknowledge("compacted") }
    for n in 8..<11 { try await log.append(record(n, size: 1100), durability: .none) }
    try await log.append(record(11))
    disk.acknowledge(record(11))
    try await log.close()
  }

  private static func checkCompaction(_ texts: [String], _ acknowledged: [String]) throws {
    let old = (0..<4).map { record($0, size: 600) }
    let new = (100..<104).map { record($0, size: 1100) }
    let isNew = texts.starts(with: new)
    guard isNew || texts.starts(with: old) else { throw Violated("neither") }
    if acknowledged.contains("compacted") && !isNew { throw Violated("undone") }
    for text in acknowledged where text != "compacted" && !texts.contains(text) {
      if isNew && text == record(4) { continue }
      throw Violated("lost \(text)")
    }
  }

  private static func check(_ texts: [String], _ acknowledged: [String]) throws {
    guard texts.last == record(999) else { throw Violated("the next append is lost") }
    for text in acknowledged where !texts.contains(text) {
      throw Violated("lost \(text.prefix(12))")
    }
    guard Set(texts).count == texts.count else { throw Violated("a record is twice") }
  }

  /// Heals a log, appends to it and reads it, without lock and tasks: ten times as many states in the same time.
  private static func healedTexts(_ disk: SimulatedDisk) throws -> [String] {
    var log = LogFile(try LogPlace("data/log", fileSystem: disk.fileSystem), options: options)
    try log.prepare()
    var line: [UInt8] = []
    LogLine.append(bytes(record(999)), to: &line)
    _ = try log.write(line.span)
    var reader = LogReader(
      try log.place.openToRead(), from: 0, format: .checked, maximumRecordSize: 1 << 20)
    var texts: [String] = []
    while let chunk = try reader.next() {
      for line in chunk.lines where !line.isBad {
        texts.append(String(decoding: chunk.bytes[line.start..<line.payloadEnd], as: UTF8.self))
      }
    }
    return Array(texts.dropFirst())
  }

  private static func wideExploration(_ states: Int) -> ExplorationOptions {
    var options = ExplorationOptions()
    options.exhaustiveStates = states
    options.samples = states
    return options
  }

  @Test(.timeLimit(.minutes(10)))
  func tenThousandStatesAfterAppendsAreHealed() async throws {
    let report = try await SimulatedDisk.explore(
      options: Self.wideExploration(7000),
      prepare: { disk in try disk.write("data/other", "x") },
      run: { disk in try await Self.appendInGroups(disk, over: disk.fileSystem) },
      check: { disk, acknowledged in try Self.check(Self.healedTexts(disk), acknowledged) })
    print("AppendLog, appends, one crash: \(report)")
    #expect(report.distinctStates >= 10_000)
  }

  @Test(.timeLimit(.minutes(10)))
  func thousandsOfStatesAfterACompactionAreHealed() async throws {
    // Which appends share a write, and so how many states there are, is decided by the threads: until there were enough.
    var states = 0
    for _ in 0..<5 where states < 7000 {
      let report = try await SimulatedDisk.explore(
        options: Self.wideExploration(8000), prepare: Self.prepareCompaction, run: Self.compact,
        check: { disk, acknowledged in
          try Self.checkCompaction(Self.healedTexts(disk), acknowledged)
        })
      print("AppendLog, compaction, one crash: \(report)")
      states = max(states, report.distinctStates)
    }
    #expect(states >= 7000)
  }

  @Test(.timeLimit(.minutes(10)))
  func appendsSurviveEveryPowerCutAndASecondOneWhileHealing() async throws {
    let report = try await SimulatedDisk.explore(
      options: Self.exploration,
      prepare: { disk in try disk.write("data/other", "x") },
      run: { disk in try await Self.appendInGroups(disk, over: disk.fileSystem) },
      recover: { disk in _ = try await Self.open(disk.fileSystem) },
      check: Self.check)
    print("AppendLog, appends: \(report)")
    #expect(report.distinctStates >= Self.leastStates)
  }

  @Test(.timeLimit(.minutes(10)))
  func aLogSurvivesEveryPowerCutDuringACompaction() async throws {
    let report = try await SimulatedDisk.explore(
      options: Self.exploration,
      prepare: Self.prepareCompaction, run: Self.compact,
      recover: { disk in _ = try await Self.open(disk.fileSystem) },
      check: { disk, acknowledged in
        let log = try await Self.open(disk.fileSystem)
        try await log.append(record(999), durability: .none)
        try Self.checkCompaction(try await log.texts(), acknowledged)
      })
    print("AppendLog, compaction: \(report)")
    #expect(report.distinctStates >= Self.leastStates)
  }

  @Test(.timeLimit(.minutes(10)))
  func acknowledgingBeforeTheSyncIsFound() async throws {
    await #expect(throws: CrashViolation.self) {
      try await SimulatedDisk.explore(
        options: Self.exploration,
        prepare: { disk in try disk.write("data/other", "x") },
        run: { disk in
          let faulty = FaultyFileSystem(over: disk.fileSystem.backend, lie: .skipsData)
          try await Self.appendInGroups(disk, over: faulty.fileSystem)
        },
        check: Self.check)
    }
  }

  /// - Returns: What the exploration of appends says when the second sync of contents fails.
  private func exploreFailedSync(_ lie: FaultyFileSystem.SyncLie?) async throws
    -> ExplorationReport
  {
    try await SimulatedDisk.explore(
      options: Self.exploration,
      prepare: { disk in
        try disk.write("data/other", "x")
        try await Self.open(disk.fileSystem).append(record(0))
      },
      run: { disk in
        let faulty = FaultyFileSystem(over: disk.fileSystem.backend, lie: lie)
        let log = try await Self.open(faulty.fileSystem)
        disk.fail(.fdatasync, at: 2, with: .inputOutput)
        for n in 1..<5 {
          let text = record(n, size: 900)
          if try await log.append(text).isDurable { disk.acknowledge(text) }
        }
      },
      check: Self.check)
  }

  @Test(.timeLimit(.minutes(10)))
  func aFailedSyncLosesNothingAndRepeatingItIsFound() async throws {
    print("AppendLog, failed sync: \(try await exploreFailedSync(nil))")
    await #expect(throws: CrashViolation.self) { _ = try await exploreFailedSync(.retries) }
  }
}
