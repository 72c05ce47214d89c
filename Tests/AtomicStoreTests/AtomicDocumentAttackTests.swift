import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

/// What lies in a document's way, and what callers do at the worst moment.
@Suite(.offThePool) struct AtomicDocumentAttackTests {
  private let scratch = ScratchDirectory(inMemory: true)

  @Test func whatIsWrittenInPlaceIsNeverTheOnlyBackup() async throws {
    var configuration = AtomicDocument<Settings>.Configuration()
    configuration.file.unreplaceable = .inPlaceWithBackup()
    try await scratch.document().save(Settings(count: 1))
    let disk = FaultyFileSystem(mountPoint: "settings.json")
    let document = AtomicDocument<Settings>(
      scratch.file("settings.json"), configuration: configuration, fileSystem: disk.fileSystem)
    for n in 2...4 {
      try await document.update { $0.count = n }
      let backup = try await scratch.document("settings.json.bak", backups: 0).load()
      #expect(backup.value?.count == n - 1)
      #expect(try await scratch.document().load().value?.count == n)
      #expect(
        try scratch.status("settings.json").inode != scratch.status("settings.json.bak").inode)
    }
  }

  @Test func aLinkUnderTheBackupsNameIsReplacedAndNotFollowed() async throws {
    try scratch.write("precious", to: "elsewhere")
    try await scratch.document().save(Settings(count: 1))
    try RealFileSystem().makeSymbolicLink(
      scratch.file("settings.json.bak"), in: nil, destination: scratch.file("elsewhere"))
    try await scratch.document().save(Settings(count: 2))
    #expect(scratch.read("elsewhere") == "precious")
    #expect(try scratch.status("settings.json.bak").kind == .regular)
  }

  @Test func aDirectoryUnderTheBackupsNameStopsNeitherSaveNorLoad() async throws {
    let events = EventLog()
    let document = scratch.document(events: events)
    try await document.save(Settings(count: 1))
    try RealFileSystem().makeDirectory(scratch.file("settings.json.bak"), in: nil, mode: 0o755)
    try await document.update { $0.count = 2 }
    let isTold = events.kinds.contains {
      if case .backupFailed = $0 { true } else { false }
    }
    #expect(isTold)
    try RealFileSystem().unlink(scratch.file("settings.json"), in: nil)
    let loaded = try await scratch.document().load()
    #expect(loaded.value == nil && loaded.source == .none && !loaded.problems.isEmpty)
  }

  @Test func whatAKilledSaveLeftIsRemovedByTheFirstSave() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    try scratch.write("", to: ".settings.json.7ffffffe.0123456789abcdef.rtmp")
    try await scratch.document().save(Settings(count: 1))
    #expect(scratch.documents == ["settings.json"])
  }

  @Test(.timeLimit(.minutes(10)))
  func everyUpdateThatReturnsIsThereAndNoCancelledOneIs() async throws {
    let documents = [scratch.document(), scratch.document()]
    try await documents[0].save(Settings(count: 0))
    let tasks = (0..<200).map { n in
      Task { try await documents[n % 2].update { $0.count += 1 } }
    }
    for (n, task) in tasks.enumerated() where n % 3 == 0 { task.cancel() }
    var returned = 0
    for task in tasks {
      do {
        _ = try await task.value
        returned += 1
      } catch is CancellationError {}
    }
    #expect(try await documents[0].load().value?.count == returned)
    #expect(returned >= 133)
    #expect(scratch.documents == ["settings.json", "settings.json.bak"])
  }

  @Test func anUpdateWhoseBodyThrowsReleasesTheLock() async throws {
    struct Unwilling: Error {}
    let document = scratch.document()
    try await document.save(Settings(count: 1))
    for _ in 0..<3 {
      await #expect(throws: Unwilling.self) {
        try await document.update { (value: inout Settings) in
          value.count = 9
          throw Unwilling()
        }
      }
    }
    #expect(try await scratch.document().update(timeout: .zero) { $0.count += 1 }.count == 2)
  }
}
