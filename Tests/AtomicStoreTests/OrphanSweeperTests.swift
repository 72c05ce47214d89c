import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Testing

@testable import AtomicStore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#elseif canImport(Musl)
  import Musl
#endif

@Suite(.offThePool) struct OrphanSweeperTests {
  static let orphan = TemporaryName.make(for: "settings.json", process: 4242, random: 7)
  static let atOnce = OrphanSweeper.Options(minimumAge: .zero)

  private func sweep(
    _ scratch: ScratchDirectory, _ options: OrphanSweeper.Options = atOnce,
    on disk: FaultyFileSystem = FaultyFileSystem()
  ) throws -> SweepReport {
    let report = try OrphanSweeper.sweep(
      scratch.path, options: options, fileSystem: disk.fileSystem)
    #expect(disk.openDescriptors == 0)
    return report
  }

  @Test func anOrphanIsRemovedAndReportedWithItsSizeAndProcess() throws {
    let scratch = ScratchDirectory()
    try scratch.write("half a sa", to: Self.orphan)
    let report = try sweep(scratch)
    #expect(report.removed.map(\.path) == [scratch.file(Self.orphan)])
    #expect(report.removed.first?.size == 9)
    #expect(report.removed.first?.process == 4242)
    #expect(report.removed.first.map { $0.age < .seconds(60) } == true)
    #expect(report.kept.isEmpty && report.failures.isEmpty)
    #expect(scratch.names.isEmpty)
  }

  @Test func aYoungOrphanWithBytesStaysAndAnEmptyOneGoesAtOnce() throws {
    let scratch = ScratchDirectory()
    let empty = TemporaryName.make(for: "empty", process: 1, random: 1)
    try scratch.write("the last copy", to: Self.orphan)
    try scratch.write("", to: empty)
    let report = try sweep(scratch, .init())
    #expect(report.removed.map(\.path) == [scratch.file(empty)])
    #expect(report.kept.map(\.reason) == [.recent])
    #expect(scratch.names == [Self.orphan])
  }

  @Test func aLiveTemporaryFileStaysWhateverItsAge() throws {
    let scratch = ScratchDirectory()
    let file = try AtomicFile(replacing: scratch.file("video.mp4"))
    let report = try sweep(scratch)
    #expect(report.kept.map(\.file.path) == [file.temporaryPath])
    #expect(report.kept.map(\.reason) == [.live])
    try file.append([1])
    try file.publish()
    #expect(try sweep(scratch).isEmpty)
    #expect(scratch.names == ["video.mp4"])
  }

  @Test func onlyAReportLeavesTheOrphan() throws {
    let scratch = ScratchDirectory()
    try scratch.write("x", to: Self.orphan)
    let report = try sweep(scratch, .init(action: .report, minimumAge: .zero))
    #expect(report.kept.map(\.reason) == [.reportOnly])
    #expect(scratch.names == [Self.orphan])
  }

  @Test func namesThatAreNotOursStay() throws {
    let scratch = ScratchDirectory()
    let names = [
      ".rtmp", "a.rtmp", ".a.1.rtmp", ".a.1.0123456789abcde.rtmp", ".a.0.0123456789abcdef.rtmp",
      ".a.1.0123456789abcdeF.rtmp", ".a.01.0123456789abcdef.rtmp", "a.1.0123456789abcdef.rtmp",
      ".a.1.0123456789abcdef.rtmp2", "..1.0123456789abcdef.rtmp",
      ".a.fffffffff.0123456789abcdef.rtmp",
      ".\(String(repeating: "a", count: 181)).1.0123456789abcdef.rtmp", "settings.json",
    ]
    for name in names { try scratch.write("x", to: name) }
    #expect(try sweep(scratch).isEmpty)
    #expect(scratch.names == names.sorted())
  }

  @Test(arguments: ["a", ".a", "a.b", "ü.json", ".", "a..", String(repeating: "é", count: 150)])
  func everyNameThatIsMadeIsKnown(base: String) {
    for process in [Int32(1), 15, 16, 4_194_304, .max] {
      let name = LeftoverName(TemporaryName.make(for: base, process: process, random: .max))
      #expect(name?.process == process)
      #expect(name.map { base.hasPrefix($0.base) } == true)
    }
  }

  @Test func aLinkADirectoryAndAFIFOWithANameOfOursStay() throws {
    let scratch = ScratchDirectory()
    try scratch.write("precious", to: "target")
    let name = { TemporaryName.make(for: "planted", process: 1, random: $0) }
    unsafe #expect(symlink(scratch.file("target"), scratch.file(name(1))) == 0)
    unsafe #expect(mkdir(scratch.file(name(2)), 0o700) == 0)
    unsafe #expect(mkfifo(scratch.file(name(3)), 0o600) == 0)
    let report = try sweep(scratch)
    #expect(report.removed.isEmpty && report.failures.isEmpty)
    #expect(report.kept.map(\.reason) == [.notRegularFile, .notRegularFile, .notRegularFile])
    #expect(scratch.names.count == 4)
    #expect(scratch.read("target") == "precious")
    unsafe _ = rmdir(scratch.file(name(2)))
  }

  @Test func aSecondNameOfAFileIsNotProvenToBeDead() throws {
    let scratch = ScratchDirectory()
    try scratch.write("content", to: "settings.json")
    unsafe #expect(link(scratch.file("settings.json"), scratch.file(Self.orphan)) == 0)
    let report = try sweep(scratch)
    #expect(report.kept.map(\.reason) == [.unproven])
    let later = try sweep(scratch, .init(minimumAgeWithoutProof: .zero))
    #expect(later.removed.count == 1)
    #expect(scratch.read("settings.json") == "content")
  }

  @Test func anOrphanOfAReadOnlySaveIsRemoved() throws {
    let scratch = ScratchDirectory()
    try scratch.write("x", to: Self.orphan, mode: 0o400)
    #expect(try sweep(scratch).removed.count == 1)
  }

  @Test(arguments: [ErrorNumber.noLocks, .notSupported, .notImplemented, .invalidArgument])
  func withoutLocksTheAgeDecides(number: ErrorNumber) throws {
    let scratch = ScratchDirectory()
    try scratch.write("x", to: Self.orphan)
    let report = try sweep(scratch, on: FaultyFileSystem(.every("flock", number)))
    #expect(report.kept.map(\.reason) == [.unproven])
    let later = try sweep(
      scratch, .init(minimumAgeWithoutProof: .zero), on: FaultyFileSystem(.every("flock", number)))
    #expect(later.removed.count == 1)
    #expect(scratch.names.isEmpty)
  }

  @Test func withoutLocksAndWithoutTheClockOfTheFileSystemNothingGoes() throws {
    let scratch = ScratchDirectory()
    try scratch.write("x", to: Self.orphan)
    unsafe #expect(
      link(scratch.file(Self.orphan), scratch.file("other")) == 0)
    let report = try sweep(
      scratch, .init(minimumAge: .zero, minimumAgeWithoutProof: .zero),
      on: FaultyFileSystem(.every("create", .noSpace)))
    #expect(report.kept.map(\.reason) == [.unproven])
  }

  @Test func onAFullDiskAProvenOrphanStillGoes() throws {
    let scratch = ScratchDirectory()
    try scratch.write("x", to: Self.orphan)
    #expect(try sweep(scratch, on: FaultyFileSystem(.every("create", .noSpace))).removed.count == 1)
  }

  @Test func aFileThatIsPublishedMeanwhileStays() throws {
    let scratch = ScratchDirectory()
    try scratch.write("new", to: Self.orphan)
    // The first lock is that of the file which asks for the time.
    let locks = Tally()
    let disk = FaultyFileSystem(before: { call in
      guard call == "flock", locks.next() == 1 else { return }
      unsafe _ = rename(scratch.file(Self.orphan), scratch.file("settings.json"))
    })
    #expect(try sweep(scratch, on: disk).isEmpty)
    #expect(scratch.read("settings.json") == "new")
  }

  @Test func anotherFileUnderTheNameStays() throws {
    let scratch = ScratchDirectory()
    try scratch.write("old", to: Self.orphan)
    try scratch.write("another", to: "other")
    // The first lock is that of the file which asks for the time.
    let locks = Tally()
    let disk = FaultyFileSystem(before: { call in
      guard call == "flock", locks.next() == 1 else { return }
      unsafe _ = rename(scratch.file("other"), scratch.file(Self.orphan))
    })
    #expect(try sweep(scratch, on: disk).isEmpty)
    #expect(scratch.read(Self.orphan) == "another")
  }

  @Test(arguments: [
    ErrorNumber.inputOutput, .permissionDenied, .noMemory, .staleHandle, .tooManyOpenFiles,
    .noSpace,
  ])
  func aFailureOfAnyCallLeavesNothingOpenAndRemovesNothingAlive(number: ErrorNumber) throws {
    var n = 1
    while true {
      let scratch = ScratchDirectory(inMemory: true)
      try scratch.write("x", to: Self.orphan)
      let live = try AtomicFile(replacing: scratch.file("live"))
      let disk = FaultyFileSystem(.once(n, number))
      do {
        let report = try OrphanSweeper.sweep(
          scratch.path, options: Self.atOnce, fileSystem: disk.fileSystem)
        let isThere = scratch.names.contains(Self.orphan)
        #expect(report.removed.isEmpty == isThere, "call \(n)")
        if isThere { #expect(!report.failures.isEmpty, "call \(n)") }
      } catch {
        #expect(error.number == number)
        #expect(scratch.names.contains(Self.orphan))
      }
      #expect(disk.openDescriptors == 0, "call \(n)")
      #expect(scratch.names.map(scratch.file).contains(live.temporaryPath), "call \(n)")
      try live.discard()
      if disk.faultsMet == 0 { break }
      n += 1
    }
    #expect(n > 12)
  }

  @Test func aDirectoryThatCannotBeReadIsAnError() async throws {
    let scratch = ScratchDirectory()
    let error = await #expect(throws: SystemCallError.self) {
      try await OrphanSweeper.sweep(scratch.file("missing"))
    }
    #expect(error?.number == .notFound)
    let disk = FaultyFileSystem(.every("opendir", .permissionDenied))
    let refused = await #expect(throws: SystemCallError.self) {
      try await OrphanSweeper.sweep(scratch.path, fileSystem: disk.fileSystem)
    }
    #expect(refused?.number == .permissionDenied)
  }

  @Test func aDirectoryIsSweptAtMostOnceAMinute() throws {
    let scratch = ScratchDirectory()
    let clock = ManualClock()
    let schedule = SweepSchedule()
    let due = {
      OrphanSweeper.sweepIfDue(scratch.path, fileSystem: .real, schedule: schedule, clock: clock)
        != nil
    }
    #expect(due())
    #expect(!due())
    clock.advance(by: .seconds(59))
    #expect(!due())
    clock.advance(by: .seconds(1))
    #expect(due())
  }

  @Test func negativeAgesAreRefused() {
    #expect(throws: ConfigurationError.self) {
      try OrphanSweeper.Options(minimumAge: .seconds(-1)).validate()
    }
  }

  /// The creation of a temporary file and its lock are two calls; sweepers that come between them must harm nobody.
  @Test func saversAndSweepersOfOneDirectoryDisturbEachOtherNever() async throws {
    let scratch = ScratchDirectory(inMemory: true)
    try await withThrowingTaskGroup { group in
      for saver in 0..<4 {
        group.addTask {
          for _ in 0..<100 {
            let outcome = try await AtomicFile.replace(
              scratch.file("f\(saver)"), with: [7], options: .init(durability: .none))
            #expect(outcome.leftover == nil)
          }
        }
      }
      for _ in 0..<2 {
        group.addTask {
          for _ in 0..<150 {
            let report = try await OrphanSweeper.sweep(scratch.path, options: Self.atOnce)
            #expect(report.failures.isEmpty)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(scratch.names == ["f0", "f1", "f2", "f3"])
  }
}
