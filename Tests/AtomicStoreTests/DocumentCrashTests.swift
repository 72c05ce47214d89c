import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

/// Cuts the power at every call of a document's life, and looks at every state the disk may be in then.
@Suite(.offThePool) struct DocumentCrashTests {
  private static func document(
    on fileSystem: FileSystem, durability: Durability = .full, events: EventLog = EventLog()
  ) -> AtomicDocument<Settings> {
    var configuration = AtomicDocument<Settings>.Configuration()
    configuration.file.durability = durability
    configuration.file.backups = 2
    return AtomicDocument(
      "data/settings.json", configuration: configuration, fileSystem: fileSystem,
      observer: { events.add($0) })
  }

  /// What a program does that starts again; it is cut short in that, too.
  @Sendable private static func changeSomething(_ disk: SimulatedDisk) async throws {
    try await document(on: disk.fileSystem).update { $0.ratio = 7 }
  }

  private static func explore(
    updates: Int, size: Int, durability: Durability = .full, secondCrashStates: Int = 0
  ) async throws -> ExplorationReport {
    var options = ExplorationOptions()
    options.secondCrashStates = secondCrashStates
    // Enough to look at all of a durable update; where bugs are seeded, one is found among the first.
    options.exhaustiveStates = durability == .full ? 3000 : 200
    options.samples = durability == .full ? 1000 : 50
    return try await SimulatedDisk.explore(
      options: options,
      prepare: { disk in
        try disk.write("data/other", "x")
        let document = document(on: disk.fileSystem)
        // Several sectors, so that there is something to tear.
        let name = String(repeating: "x", count: size)
        for n in 1...3 { try await document.save(Settings(name: name, count: n)) }
      },
      run: { disk in
        let document = document(on: disk.fileSystem, durability: durability)
        for n in 4..<(4 + updates) {
          try await document.update { $0.count = n }
          disk.acknowledge("\(n)")
        }
      },
      recover: secondCrashStates == 0 ? nil : changeSomething,
      check: { disk, acknowledged in
        let saved = acknowledged.last.flatMap(Int.init) ?? 3
        // What any program reads, before the document has had a chance to put things right.
        let raw = disk.text("data/settings.json")
        guard let raw, raw.hasPrefix("{\n"), raw.hasSuffix("}\n") else {
          throw Violated("the file is \(raw ?? "missing")")
        }
        let events = EventLog()
        let loaded = try await document(on: disk.fileSystem, events: events).load()
        guard loaded.source == .target, let count = loaded.value?.count else {
          throw Violated("loaded from \(loaded.source)")
        }
        guard count == saved || count == saved + 1 else {
          throw Violated("loaded \(count) after \(saved) was acknowledged")
        }
        guard events.kinds.isEmpty else { throw Violated("told \(events.kinds)") }
        // The newest backup is whole too, and one save old.
        if let backup = disk.text("data/settings.json.bak") {
          guard backup.hasSuffix("}\n") else { throw Violated("the backup is torn") }
        } else {
          guard disk.text("data/settings.json.bak.2") != nil else {
            throw Violated("no backup at all")
          }
        }
      })
  }

  @Test func noCrashInAnUpdateWithBackupsLosesOrTearsAnything() async throws {
    let report = try await Self.explore(updates: 10, size: 20_000)
    print("AtomicDocument.update: \(report)")
    #expect(report.distinctStates >= 10_000)
  }

  @Test func noCrashInTheFirstUpdateAfterACrashLosesOrTearsAnything() async throws {
    let report = try await Self.explore(updates: 2, size: 1000, secondCrashStates: 2)
    print("AtomicDocument.update, twice: \(report)")
    #expect(report.secondCrashStates >= 500)
  }

  @Test func noCrashInARecoveryLosesTheBackupOrTheDamagedContent() async throws {
    let damaged = #"{"count":"#
    let report = try await SimulatedDisk.explore(
      prepare: { disk in
        try disk.write("data/other", "x")
        let document = Self.document(on: disk.fileSystem)
        for n in 1...3 { try await document.save(Settings(count: n)) }
        try disk.write("data/settings.json", damaged)
      },
      run: { disk in
        guard try await Self.document(on: disk.fileSystem).load().value?.count == 2 else {
          throw Violated("not recovered")
        }
      },
      recover: { disk in _ = try await Self.document(on: disk.fileSystem).load() },
      check: { disk, _ in
        let loaded = try await Self.document(on: disk.fileSystem).load()
        guard loaded.value?.count == 2, loaded.source == .target else {
          throw Violated("loaded \(String(describing: loaded.value)) from \(loaded.source)")
        }
        let directory = try OpenDirectory("data", fileSystem: disk.fileSystem)
        let texts = try directory.entries().map { disk.text("data/" + $0) }
        guard texts.contains(damaged) else { throw Violated("the damaged content is gone") }
      })
    print("AtomicDocument.load, recovery: \(report)")
    #expect(report.secondCrashPoints > 0)
  }

  /// Less durability than what is acknowledged is what these bugs come to.
  @Test func aMissingSyncOfTheDirectoryIsFound() async {
    await #expect(throws: CrashViolation.self) {
      try await Self.explore(updates: 2, size: 1000, durability: .ordered)
    }
  }

  @Test func aRenameBeforeTheSyncIsFound() async {
    await #expect(throws: CrashViolation.self) {
      try await Self.explore(updates: 2, size: 1000, durability: .none)
    }
  }
}
