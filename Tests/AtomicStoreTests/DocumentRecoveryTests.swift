import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

/// Documents whose files were damaged, lost or edited.
@Suite(.offThePool) struct DocumentRecoveryTests {
  let scratch = ScratchDirectory(inMemory: true)
  let events = EventLog()

  /// Saves counts 1…n.
  private func prepare(_ count: Int, backups: Int = 1) async throws {
    let document = scratch.document(backups: backups)
    for n in 1...count { try await document.save(Settings(count: n)) }
  }

  static let damages = [
    "", "\0\0\0\0", "{\"count\": 1", "not JSON", "{}", "[1]", "{\"count\":\"x\"}",
  ]

  @Test(arguments: damages)
  func aDamagedDocumentIsMovedAsideAndTheBackupTakesItsPlace(damage: String) async throws {
    try await prepare(2)
    try await cut(scratch, "settings.json", to: damage)
    let loaded = try await scratch.document(events: events).load()
    #expect(loaded.value?.count == 1 && loaded.source == .backup(1))
    let moved = try #require(loaded.quarantined.first)
    #expect(loaded.quarantined.count == 1 && loaded.problems.isEmpty)
    #expect(moved.original == scratch.file("settings.json"))
    let name = try #require(scratch.names.first { $0.contains("corrupt") })
    #expect(moved.path == scratch.file(name))
    #expect(name.wholeMatch(of: /settings\.json\.corrupt-\d{8}T\d{6}Z-[0-9a-f]{8}/) != nil)
    #expect(scratch.read(name) == damage)
    #expect(events.quarantined == [moved.path])
    #expect(events.kinds.contains(.recoveredFromBackup(1)))

    // Everyone sees the good content again, and the next load has nothing to do.
    let again = try await scratch.document().load()
    #expect(again.value?.count == 1 && again.source == .target && again.version == loaded.version)
    #expect(try await scratch.document().update { $0.count += 10 }.count == 11)
    #expect(try await scratch.document("settings.json.bak", backups: 0).load().value?.count == 1)
    #expect(scratch.documents.count == 3)
  }

  @Test func everyFlippedBitOfASmallDocumentIsNoticed() async throws {
    try await prepare(2)
    let good = try #require(scratch.readBytes("settings.json"))
    guard try await AtomicFile.contents(of: scratch.file("settings.json"))?.integrity == .verified
    else { return }
    for offset in good.indices {
      let bit = UInt8(1) << UInt8(offset % 8)
      try scratch.damage("settings.json", at: Int64(offset), mask: bit)
      let loaded = try await scratch.document().load()
      #expect(loaded.source == .backup(1) && loaded.value?.count == 1, "byte \(offset)")
      #expect(loaded.quarantined.first?.reason.contains("checksum") == true, "byte \(offset)")
      for name in scratch.names where name.contains("corrupt") {
        try RealFileSystem().unlink(scratch.file(name), in: nil)
      }
      try await scratch.document().save(Settings(count: 2))
    }
  }

  @Test func anEditByAnotherProgramIsTakenAndTold() async throws {
    try await prepare(2)
    try await cut(
      scratch, "settings.json", to: #"{"name":"edited","count":5,"tags":[],"nested":{}}"#)
    let document = scratch.document(events: events)
    let loaded = try await document.load()
    #expect(loaded.value?.name == "edited" && loaded.source == .target)
    #expect(loaded.quarantined.isEmpty)
    _ = try await document.load()
    let told = events.kinds.count { $0 == .editedExternally }
    // Without attributes nobody can tell.
    #expect(told == (loaded.wasEditedExternally ? 1 : 0))
    try await document.update { $0.count += 1 }
    let backup = try await scratch.document("settings.json.bak", backups: 0).load()
    #expect(backup.value?.name == "edited")
    #expect(scratch.documents == ["settings.json", "settings.json.bak"])
  }

  @Test func aDamagedTargetNeverPushesOutAGoodBackup() async throws {
    for change in ["save", "update", "conflict"] {
      let scratch = ScratchDirectory(inMemory: true)
      let document = scratch.document()
      for n in 1...2 { try await document.save(Settings(count: n)) }
      try await cut(scratch, "settings.json", to: "damaged")
      switch change {
      case "save": try await document.save(Settings(count: 3))
      case "update": try await document.update { $0.count += 2 }
      default:
        let version = try await AtomicFile.version(of: scratch.file("settings.json"))
        try await document.save(Settings(count: 3), ifUnchanged: version)
      }
      #expect(try await document.load().value?.count == 3, "\(change)")
      let backup = try await scratch.document("settings.json.bak", backups: 0).load()
      #expect(backup.value?.count == 1, "\(change)")
      let aside = scratch.names.filter { $0.contains("corrupt") }
      #expect(aside.map(scratch.read) == ["damaged"], "\(change)")
    }
  }

  @Test func theOlderBackupServesWhenTheNewerIsDamagedToo() async throws {
    try await prepare(4, backups: 3)
    try await cut(scratch, "settings.json", to: "")
    try await cut(scratch, "settings.json.bak", to: "\0\0\0")
    let loaded = try await scratch.document(backups: 3, events: events).load()
    #expect(loaded.source == .backup(2) && loaded.value?.count == 2)
    #expect(loaded.quarantined.count == 2 && events.quarantined.count == 2)
    #expect(scratch.read("settings.json.bak") == nil)
    #expect(try await scratch.document(backups: 3).load().source == .target)
  }

  @Test func aDocumentThatIsGoneComesBackFromItsBackup() async throws {
    try await prepare(2)
    try RealFileSystem().unlink(scratch.file("settings.json"), in: nil)
    let loaded = try await scratch.document(events: events).load()
    #expect(loaded.source == .backup(1) && loaded.value?.count == 1 && loaded.version != nil)
    #expect(try await scratch.document().load().source == .target)
  }

  @Test func aSecretThatIsRestoredKeepsItsMode() async throws {
    var configuration = AtomicDocument<Settings>.Configuration()
    configuration.file.mode = 0o600
    let document = AtomicDocument<Settings>(
      scratch.file("settings.json"), configuration: configuration)
    for n in 1...2 { try await document.save(Settings(count: n)) }
    try RealFileSystem().unlink(scratch.file("settings.json"), in: nil)
    _ = try await scratch.document().load()
    #expect(try scratch.status("settings.json").mode == 0o600)
  }

  @Test func withoutAGoodGenerationThereIsNoneAndTheDamageIsKept() async throws {
    try await prepare(2)
    try await cut(scratch, "settings.json", to: "bad")
    try await cut(scratch, "settings.json.bak", to: "worse")
    let document = scratch.document(events: events)
    let loaded = try await document.load()
    #expect(loaded.source == .none && loaded.value == nil && loaded.version == nil)
    #expect(loaded.quarantined.count == 2)
    #expect(scratch.documents.allSatisfy { $0.contains("corrupt") })
    #expect(try await document.update(default: Settings()) { $0.count = 1 }.count == 1)
  }

  /// A newer program's document is not damaged: falling back to an older backup would lose its data.
  @Test func anUndamagedDocumentOfAnotherTypeIsAnErrorAndStays() async throws {
    struct Newer: Codable, Sendable { var size = 1 }
    try await prepare(2)
    let newer = AtomicDocument<Newer>(scratch.file("settings.json"))
    let outcome = try await newer.save(Newer())
    guard outcome.checksum == .recorded else { return }
    let error = await #expect(throws: DocumentError.self) { try await scratch.document().load() }
    #expect(error?.code == .notDecodable && error?.detail != nil)
    await #expect(throws: DocumentError.self) { try await scratch.document().update { _ in } }
    #expect(scratch.documents == ["settings.json", "settings.json.bak"])
    // Saving over it is an explicit wish, and keeps it as a backup.
    try await scratch.document().save(Settings(count: 9))
    #expect(
      try await AtomicDocument<Newer>(scratch.file("settings.json.bak")).load().value?.size == 1)
  }

  @Test func withoutALockTheBackupIsReadAndNothingTouched() async throws {
    try await prepare(2)
    try await cut(scratch, "settings.json", to: "bad")
    // No lock file is there, and none can be made.
    try RealFileSystem().unlink(scratch.file("settings.json.lock"), in: nil)
    let disk = FaultyFileSystem(.every("create", .readOnlyFileSystem))
    let loaded = try await scratch.document(on: disk, events: events).load()
    #expect(loaded.value?.count == 1 && loaded.source == .backup(1))
    #expect(loaded.problems.first?.cause?.number == .readOnlyFileSystem)
    #expect(loaded.quarantined.isEmpty && scratch.read("settings.json") == "bad")
    try await cut(scratch, "settings.json.bak", to: "bad")
    let error = await #expect(throws: DocumentError.self) {
      try await scratch.document(on: disk).load()
    }
    #expect(error?.code == .corrupt)
  }

  @Test func damageThatCannotBeMovedAsideIsNeverOverwritten() async throws {
    try await prepare(2)
    try await cut(scratch, "settings.json", to: "bad")
    // No links, and no room for a copy; the lock's file is there already.
    let disk = FaultyFileSystem(.every("link", .notSupported), failingCopies: true)
    let document = scratch.document(on: disk, events: events)
    await #expect(throws: DocumentError.self) { try await document.update { $0.count = 9 } }
    await #expect(throws: DocumentError.self) { try await document.save(Settings()) }
    #expect(scratch.read("settings.json") == "bad")
    let loaded = try await document.load()
    #expect(loaded.value?.count == 1 && !loaded.problems.isEmpty)
  }

  @Test func withoutHardLinksDamageIsCopiedAside() async throws {
    let disk = FaultyFileSystem(.every("link", .notSupported))
    let document = scratch.document(on: disk, events: events)
    try await document.save(Settings(count: 1))
    try await document.save(Settings(count: 2))
    #expect(
      events.kinds.contains { if case .backupFailed(let f) = $0 { f.isUnsupported } else { false } }
    )
    try await cut(scratch, "settings.json", to: "bad")
    #expect(try await document.load().source == .none)
    #expect(scratch.documents.count == 1 && scratch.read(scratch.documents[0]) == "bad")
  }

  /// The file gets new content and the time of a program that writes it, as after an editor or a bad crash.
  private func cut(_ scratch: ScratchDirectory, _ name: String, to text: String) async throws {
    let file = try OpenFile(scratch.file(name), [.read, .write], fileSystem: .real)
    try file.truncate(to: 0)
    try file.writeAll(bytes(text).span, at: 0)
  }
}
