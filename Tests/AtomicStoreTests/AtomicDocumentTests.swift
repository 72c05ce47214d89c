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

/// Loading, saving and changing documents.
@Suite(.offThePool) struct AtomicDocumentTests {
  let scratch = ScratchDirectory(inMemory: true)

  @Test func aDocumentIsPrettySortedUnescapedJSON() async throws {
    let document = scratch.document()
    var settings = Settings()
    settings.tags = ["x", "y"]
    #expect(try await document.save(settings).isDurable)
    #expect(
      scratch.read("settings.json") == """
        {
          "count": 0,
          "name": "ж 猫 🐈 \\"a/b\\"\\n",
          "nested": {},
          "ratio": 0.5,
          "tags": [
            "x",
            "y"
          ]
        }

        """)
    let loaded = try await document.load()
    #expect(loaded.value == settings && loaded.source == .target && loaded.problems.isEmpty)
    #expect(scratch.documents == ["settings.json"])
  }

  @Test func aCompactDocumentIsOneLine() async throws {
    var configuration = AtomicDocument<[String: [Int]]>.Configuration()
    configuration.format.layout = .compact
    let document = AtomicDocument<[String: [Int]]>(
      scratch.file("a"), configuration: configuration)
    try await document.save(["b": [1, 2], "a": []])
    #expect(scratch.read("a") == #"{"a":[],"b":[1,2]}"#)
  }

  @Test func bracketsAndEscapesInTextsAreNoLayout() async throws {
    let document = AtomicDocument<[String]>(scratch.file("a"))
    let texts = ["[{\"a\": 1,\\\"}", "\\", "\\\\\"", ",:", "", "\u{0}\u{1f}"]
    try await document.save(texts)
    #expect(try await document.load().value == texts)
    let lines = scratch.read("a")?.split(separator: "\n").count
    #expect(lines == texts.count + 2)
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func aNumberThatIsNotFiniteIsRefusedByField(number: Double) async throws {
    let document = scratch.document()
    try await document.save(Settings(count: 1))
    for field in ["ratio", "nested.deep"] {
      let error = await #expect(throws: DocumentError.self) {
        try await document.update { settings in
          if field == "ratio" { settings.ratio = number } else { settings.nested["deep"] = number }
        }
      }
      #expect(error?.code == .notFinite && error?.field == field)
      #expect(error?.userMessage?.contains(field) == true)
      #expect(error?.suggestedActions.first?.contains(field) == true)
      #expect(error?.category == .validation && error?.retryability == .notRetryable)
    }
    let list = AtomicDocument<[[Double]]>(scratch.file("list"))
    let error = await #expect(throws: DocumentError.self) {
      try await list.save([[1], [2, number]])
    }
    #expect(error?.field == "[1][1]")
    #expect(try await document.load().value?.count == 1)
    #expect(scratch.documents == ["settings.json"])
  }

  @Test func datesAreWrittenAsAsked() async throws {
    struct Moment: Codable, Sendable { var count = 1 }
    for dates in [DocumentFormat.DateFormat.secondsSince2001, .secondsSince1970, .iso8601] {
      var configuration = AtomicDocument<Moment>.Configuration()
      configuration.format.dates = dates
      let document = AtomicDocument<Moment>(scratch.file("m"), configuration: configuration)
      try await document.save(Moment(count: 2))
      #expect(try await document.load().value?.count == 2)
    }
  }

  @Test func whatIsMissingIsNoneOrTheDefaultAndNothingIsMade() async throws {
    let document = scratch.document()
    let loaded = try await document.load()
    #expect(loaded.value == nil && loaded.source == .none && loaded.version == nil)
    #expect(try await document.load(default: Settings(count: 7)).count == 7)
    #expect(scratch.names.isEmpty)
    let elsewhere = scratch.document("absent/settings.json")
    #expect(try await elsewhere.load().source == .none)
    try await elsewhere.remove()
    let error = await #expect(throws: StoreError.self) { try await elsewhere.save(Settings()) }
    #expect(error?.code == .directoryMissing)
  }

  @Test func aDocumentInANewDirectoryIsMadeOnRequest() async throws {
    var configuration = AtomicDocument<Settings>.Configuration()
    configuration.file.createsDirectories = true
    let document = AtomicDocument<Settings>(
      scratch.file("a/b/settings.json"), configuration: configuration)
    #expect(try await document.load().source == .none)
    #expect(scratch.names.isEmpty)
    try await document.update(default: Settings()) { $0.count += 1 }
    #expect(try await document.load().value?.count == 1)
  }

  @Test func anUpdateReturnsTheNewValueAndItsErrorLeavesTheDocument() async throws {
    struct Refused: Error {}
    let document = scratch.document()
    let missing = await #expect(throws: DocumentError.self) {
      try await document.update { $0.count += 1 }
    }
    #expect(missing?.code == .missing)
    let value = try await document.update(default: Settings()) { $0.count += 1 }
    #expect(value.count == 1)
    let before = scratch.readBytes("settings.json")
    await #expect(throws: Refused.self) {
      try await document.update { settings in
        settings.count = 99
        throw Refused()
      }
    }
    #expect(scratch.readBytes("settings.json") == before)
    #expect(try await document.update { $0.count += 1 }.count == 2)
    #expect(scratch.documents == ["settings.json", "settings.json.bak"])
  }

  @Test func aSaveKeepsThePreviousGenerations() async throws {
    let document = scratch.document(backups: 2)
    for n in 1...4 { try await document.save(Settings(count: n)) }
    for (name, count) in [("", 4), (".bak", 3), (".bak.2", 2)] {
      let generation = scratch.document("settings.json" + name, backups: 0)
      #expect(try await generation.load().value?.count == count)
    }
  }

  @Test func aSaveOfWhatWasLoadedMeetsAConflictWhenSomeoneElseSaved() async throws {
    let document = scratch.document()
    let first = try await document.save(Settings(count: 1), ifUnchanged: nil)
    let again = await #expect(throws: StoreError.self) {
      try await document.save(Settings(count: 2), ifUnchanged: nil)
    }
    #expect(again?.code == .targetChanged)
    let loaded = try await document.load()
    #expect(loaded.version == first.version)
    try await scratch.document().update { $0.count = 10 }
    let error = await #expect(throws: StoreError.self) {
      try await document.save(Settings(count: 3), ifUnchanged: loaded.version)
    }
    #expect(error?.code == .targetChanged && error?.path == scratch.file("settings.json"))
    #expect(try await document.load().value?.count == 10)
    let version = try await document.load().version
    let outcome = try await document.save(Settings(count: 4), ifUnchanged: version)
    try await document.save(Settings(count: 5), ifUnchanged: outcome.version)
    #expect(try await document.load().value?.count == 5)
  }

  @Test func oneDocumentByTwoPathsHasOneLock() async throws {
    try RealFileSystem().makeDirectory(scratch.file("real"), in: nil, mode: 0o755)
    try RealFileSystem().makeSymbolicLink(
      scratch.file("link.json"), in: nil, destination: "real/settings.json")
    let scratch = scratch
    try await withThrowingTaskGroup(of: Void.self) { group in
      for n in 0..<40 {
        let document = scratch.document(n % 2 == 0 ? "link.json" : "real/settings.json")
        group.addTask { try await document.update(default: Settings()) { $0.count += 1 } }
      }
      try await group.waitForAll()
    }
    #expect(try await scratch.document("link.json").load().value?.count == 40)
    #expect(try scratch.status("link.json").kind == .symbolicLink)
    #expect(scratch.names == ["link.json", "real"])
  }

  @Test func updatesOfManyTasksAndInstancesLoseNothing() async throws {
    let scratch = scratch
    let documents = [scratch.document(), scratch.document(), scratch.document()]
    try await withThrowingTaskGroup(of: Void.self) { group in
      for n in 0..<20 {
        group.addTask {
          for _ in 0..<10 {
            try await documents[n % 3].update(default: Settings()) { settings in
              settings.count += 1
              settings.nested["\(n)", default: 0] += 1
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let value = try #require(try await documents[0].load().value)
    #expect(value.count == 200)
    #expect(value.nested.count == 20 && value.nested.values.allSatisfy { $0 == 10 })
    #expect(scratch.documents == ["settings.json", "settings.json.bak"])
  }

  @Test func anUpdateWorksFromTheMainActorWithStateOfItsOwn() async throws {
    try await Self.onMainActor(scratch.document())
  }

  @MainActor private static func onMainActor(_ document: AtomicDocument<Settings>) async throws {
    var runs = 0  // Not Sendable: the body runs here.
    try await document.update(default: Settings()) { settings in
      MainActor.assertIsolated()
      runs += 1
      settings.count = runs
    }
    #expect(runs == 1)
  }

  @Test func aCancelledTaskDoesNotChangeTheDocumentAndASaveThatBeganIsFinished() async throws {
    let scratch = scratch
    try await scratch.document().save(Settings(count: 1))
    let cancelled = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await scratch.document().update { $0.count = 2 }
    }
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    #expect(try await scratch.document().load().value?.count == 1)
    let late = Task {
      try await scratch.document().update { settings in
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        settings.count = 3
      }
    }
    #expect(try await late.value.count == 3)
    #expect(try await scratch.document().load().value?.count == 3)
  }

  @Test func aDocumentIsRemovedWithItsBackups() async throws {
    let document = scratch.document(backups: 2)
    for n in 1...3 { try await document.save(Settings(count: n)) }
    try await document.remove()
    #expect(scratch.documents.isEmpty)
    #expect(try await document.load().source == .none)
    try await document.remove()
    try await document.save(Settings(count: 4), ifUnchanged: nil)
  }

  @Test func whatADocumentCountsIsShown() async throws {
    let document = scratch.document()
    try await document.save(Settings())
    try await document.update { $0.count += 1 }
    let values = Dictionary(
      uniqueKeysWithValues: document.samples().map { ($0.name, $0.value) })
    #expect(values["document_saves_total"] == 2 && values["document_save_failures_total"] == 0)
    #expect(document.samples().allSatisfy { $0.name.hasSuffix("_total") && !$0.help.isEmpty })
  }

  @Test func badConfigurationsAreRefused() {
    var configuration = AtomicDocument<Settings>.Configuration()
    configuration.file.backups = 100
    #expect(throws: ConfigurationError.self) { try configuration.validate() }
    configuration.file.backups = 1
    configuration.file.createOnly = true
    #expect(throws: ConfigurationError.self) { try configuration.validate() }
  }
}

#if canImport(Glibc) || canImport(Darwin)
  /// Documents in several processes.
  @Suite(.realTime, .serialized) struct RealTimeDocumentProcessTests {
    @Test(.timeLimit(.minutes(10)))
    func updatesOfSeveralProcessesLoseNothingAndAReaderAlwaysSeesWholeJSON() async throws {
      let scratch = ScratchDirectory(inMemory: true)
      let path = scratch.file("settings.json")
      let (processes, updates) = (4, 50)
      let reader = OutsideReader()
      let thread = reader.start(on: scratch)
      await withTaskGroup(of: Void.self) { group in
        for _ in 0..<processes {
          group.addTask {
            await #expect(processExitsWith: .success) {
              [path = path as String, updates = updates as Int] in
              let document = AtomicDocument<Settings>(path)
              for _ in 0..<updates {
                try await document.update(default: Settings()) { $0.count += 1 }
              }
            }
          }
        }
      }
      try await reader.stop(thread)
      #expect(try await scratch.document().load().value?.count == processes * updates)
      #expect(scratch.documents == ["settings.json", "settings.json.bak"])
    }
  }

  /// Reads as any other program would, and expects whole JSON and a value that never goes back.
  private final class OutsideReader: Sendable {
    private let isDone = Tally()
    private let reads = Tally()

    /// Reads until it is stopped, on a thread of its own: the pool and Dispatch may be busy until all is over.
    func start(on scratch: ScratchDirectory) -> BlockingThread {
      BlockingThread { [self] in
        var last = 0
        while isDone.value == 0 {
          guard let bytes = scratch.readBytes("settings.json") else { continue }
          let text = String(decoding: bytes, as: UTF8.self)
          guard text.hasPrefix("{\n  \"count\": "), text.hasSuffix("\n}\n"),
            let now = Int(text.dropFirst(13).prefix { $0 != "," }), now >= last
          else {
            Issue.record("after \(last) a reader saw \(text)")
            return
          }
          last = now
          reads.next()
        }
      }
    }

    func stop(_ thread: BlockingThread) async throws {
      try await until { reads.value > 10 }
      isDone.next()
      await thread.end()
    }
  }
#endif
