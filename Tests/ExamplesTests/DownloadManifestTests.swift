import Reliability
import ReliabilityExampleSupport
import ReliabilityTestSupport
import Testing

@testable import ReliabilityDownloader

@Suite struct DownloadManifestTests {
  @Test func aNameBelongsToTheFirstAddressThatAsksForIt() async throws {
    let directory = ScratchDirectory()
    let manifest = Manifest(in: directory.path)
    let first = try DownloadPlan.item("http://a/file.zip")
    let second = try DownloadPlan.item("http://b/file.zip")
    #expect(await manifest.claim(first))
    #expect(await !manifest.claim(second))
    #expect(await manifest.claim(first))
    var renamed = second
    renamed.name = DownloadService.distinctName(of: second)
    #expect(renamed.name.hasSuffix("-file.zip") && renamed.name != second.name)
    #expect(await manifest.claim(renamed))
  }

  @Test(arguments: [
    "manifest.json", "manifest.json.lock", "manifest.json.journal", ".a.1a.0123456789abcdef.rtmp",
    ".0f.tool-rtmp",
  ])
  func namesOfTheProgramsOwnFilesAreNobodys(name: String) async throws {
    let directory = ScratchDirectory()
    let manifest = Manifest(in: directory.path)
    #expect(await !manifest.claim(try DownloadPlan.item("http://a/\(name)")))
  }

  @Test func theNameOfAnAddressOfAnEarlierRunIsKept() async throws {
    let directory = ScratchDirectory()
    let item = try DownloadPlan.item("http://a/file.zip")
    let before = Manifest(in: directory.path)
    try await before.willPublish(item, TransferOutcome(bytes: 1))
    let manifest = Manifest(in: directory.path)
    #expect(await !manifest.claim(try DownloadPlan.item("http://b/file.zip")))
    #expect(await manifest.claim(item))
  }

  /// As after `kill -9`: the file has its name, and nobody had the time to write the manifest.
  @Test func whatIsOnlyInTheJournalIsKnownToTheNextOne() async throws {
    let directory = ScratchDirectory()
    let item = try DownloadPlan.item("http://a/file.zip")
    var digest = SHA256()
    digest.update(Array("content".utf8))
    let journal = ManifestJournal(of: directory.file("manifest.json"))
    let entry = Manifest.Entry(
      url: "http://a/file.zip", bytes: 7, sha256: digest.hexadecimal, state: .publishing, at: 5)
    try await journal.append(
      [Manifest.Change(name: "file.zip", entry: entry)], durability: .ordered)
    #expect(await Manifest(in: directory.path).published(item) == nil)
    try directory.write("content", to: "file.zip")
    #expect(await Manifest(in: directory.path).published(item) == entry)
    #expect(!directory.names.contains("manifest.json"))
  }

  @Test func aFlushPutsEverythingIntoTheManifestAndEmptiesTheJournal() async throws {
    let directory = ScratchDirectory(inMemory: true)
    let manifests = [Manifest(in: directory.path), Manifest(in: directory.path)]
    try await withThrowingTaskGroup { group in
      for number in 0..<200 {
        let manifest = manifests[number % 2]
        group.addTask {
          let item = try DownloadPlan.item("http://a/\(number)")
          try await manifest.willPublish(item, TransferOutcome(bytes: number))
          manifest.didPublish(item)
        }
      }
      try await group.waitForAll()
    }
    for manifest in manifests { try await manifest.flush() }
    let document = AtomicDocument<Manifest.Document>(directory.file("manifest.json"))
    let files = try #require(try await document.load().value).files
    #expect(files.count == 200 && files.values.allSatisfy { $0.state == .published })
    let journal = ManifestJournal(of: directory.file("manifest.json"))
    #expect(try await journal.changes().0 == [])
  }

  @Test func changesThatAreAppliedAgainOrLateChangeNothing() {
    func entry(_ at: Int64) -> Manifest.Change {
      let entry = Manifest.Entry(url: "u\(at)", bytes: 1, sha256: nil, state: .publishing, at: at)
      return Manifest.Change(name: "a", entry: entry)
    }
    let changes = [
      entry(1), Manifest.Change(name: "a", confirms: 1), entry(2),
      Manifest.Change(name: "a", confirms: 2),
    ]
    var document = Manifest.Document()
    for change in changes { document.apply(change) }
    #expect(document.files["a"]?.url == "u2" && document.files["a"]?.state == .published)
    let before = document
    for change in changes { document.apply(change) }
    #expect(document == before)
    var older = Manifest.Document()
    older.apply(changes[0])
    document.merge(older)
    #expect(document == before)
    older.merge(before)
    #expect(older == before)
  }

  @Test func aDirectoryThatIsGoneRefusesTheIntentAndAFlushTells() async throws {
    let directory = ScratchDirectory()
    let manifest = Manifest(in: directory.file("missing"))
    let item = try DownloadPlan.item("http://a/file.zip")
    await #expect(throws: (any Error).self) {
      try await manifest.willPublish(item, TransferOutcome(bytes: 1))
    }
    manifest.didPublish(item)
    await #expect(throws: (any Error).self) { try await manifest.flush() }
  }
}
