import AtomicStore
import ReliabilityIO
import ReliabilityTesting
import Testing

/// Cuts the power at every call of a document's life, and looks at every state the disk may be in then.
@Suite struct DocumentCrashTests {
  struct Violated: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
  }

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

  private static func explore(
    updates: Int, durability: Durability = .full
  ) async throws -> ExplorationReport {
    var options = ExplorationOptions()
    options.samples = 1000
    options.exhaustiveStates = 3000
    return try await SimulatedDisk.explore(
      options: options,
      prepare: { disk in
        try disk.write("data/other", "x")
        let document = document(on: disk.fileSystem)
        // Several sectors, so that there is something to tear.
        let name = String(repeating: "x", count: 1500)
        for n in 1...3 { try await document.save(Settings(name: name, count: n)) }
      },
      run: { disk in
        let document = document(on: disk.fileSystem, durability: durability)
        for n in 4..<(4 + updates) {
          try await document.update { $0.count = n }
          disk.acknowledge("\(n)")
        }
      },
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
    let report = try await Self.explore(updates: 8)
    print("AtomicDocument.update: \(report)")
    #expect(report.states >= 10_000)
  }

  /// Less durability than what is acknowledged is what these bugs come to.
  @Test func aMissingSyncOfTheDirectoryIsFound() async {
    await #expect(throws: CrashViolation.self) {
      try await Self.explore(updates: 2, durability: .ordered)
    }
  }

  @Test func aRenameBeforeTheSyncIsFound() async {
    await #expect(throws: CrashViolation.self) {
      try await Self.explore(updates: 2, durability: .none)
    }
  }
}
