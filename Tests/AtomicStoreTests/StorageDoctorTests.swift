import ReliabilityIO
import ReliabilityTestSupport
import Testing

@testable import AtomicStore

@Suite(.offThePool) struct StorageDoctorTests {
  private func examine(
    _ scratch: ScratchDirectory, _ disk: FaultyFileSystem = FaultyFileSystem()
  ) throws -> StorageReport {
    let report = try StorageDoctor.examine(scratch.path, fileSystem: disk.fileSystem)
    #expect(disk.openDescriptors == 0)
    return report
  }

  @Test func aLocalDirectoryKeepsEveryPromiseAndStaysEmpty() async throws {
    let scratch = ScratchDirectory()
    let report = try await StorageDoctor.examine(scratch.path)
    for feature in StorageReport.Feature.allCases
    where feature != .caseSensitiveNames && feature != .attributes && feature != .renameExchange {
      #expect(report.supports(feature), "\(feature): \(report.finding(feature))")
    }
    for subject in StorageReport.Subject.allCases where subject != .attributes {
      #expect(report.guarantee(subject).verdict == .holds, "\(report.guarantee(subject))")
    }
    #expect(report.isNetwork == false)
    #expect(scratch.names.isEmpty)
  }

  @Test func nothingStaysBehindAndNothingIsPromisedWhateverFails() throws {
    for number in [ErrorNumber.inputOutput, .noSpace, .permissionDenied, .notSupported] {
      var n = 1
      while true {
        let scratch = ScratchDirectory(inMemory: true)
        let disk = FaultyFileSystem(.once(n, number))
        if let report = try? StorageDoctor.examine(scratch.path, fileSystem: disk.fileSystem) {
          #expect(!report.description.isEmpty && !report.json.isEmpty)
        }
        #expect(disk.openDescriptors == 0, "call \(n)")
        let failedToRemove = disk.calls.count >= n && disk.calls[n - 1] == "unlink"
        #expect(scratch.names.count <= (failedToRemove ? 1 : 0), "call \(n), \(number)")
        // What is left is known to the sweeper.
        try OrphanSweeper.sweep(scratch.path, options: .init(minimumAge: .zero))
        #expect(scratch.names.isEmpty, "call \(n)")
        if disk.faultsMet == 0 { break }
        n += 1
      }
      #expect(n > 40)
    }
  }

  @Test func aDirectoryThatMayNotBeWrittenIsSaidToBeSo() throws {
    let scratch = ScratchDirectory()
    let report = try examine(scratch, FaultyFileSystem(.every("create", .readOnlyFileSystem)))
    #expect(report.finding(.createFiles) == .unsupported(.readOnlyFileSystem))
    #expect(report.finding(.renameOver) == .untested)
    #expect(report.guarantee(.atomicSave).verdict == .missing)
    #expect(report.guarantee(.atomicSave).reason.contains("EROFS"))
  }

  @Test func withoutADirectorySyncASaveIsAtomicButNotDurable() throws {
    let scratch = ScratchDirectory()
    let report = try examine(scratch, FaultyFileSystem(.nth("fsync", 1, .invalidArgument)))
    #expect(report.finding(.directorySync) == .unsupported(.invalidArgument))
    #expect(report.guarantee(.atomicSave).verdict == .holds)
    #expect(report.guarantee(.orderedSave).verdict == .holds)
    #expect(report.guarantee(.durableSave).verdict == .limited)
    #expect(report.guarantee(.appendLog).verdict == .limited)
  }

  @Test func withoutLocksNothingThatNeedsThemIsPromised() throws {
    let scratch = ScratchDirectory()
    let disk = LyingFileSystem(locks: .refused)
    let report = try StorageDoctor.examine(scratch.path, fileSystem: FileSystem(disk))
    #expect(report.finding(.wholeFileLock) == .unsupported(.noLocks))
    #expect(report.guarantee(.exclusiveLock).verdict == .missing)
    #expect(report.guarantee(.fileTransaction).verdict == .missing)
    #expect(report.guarantee(.appendLog).verdict == .limited)
    #expect(report.guarantee(.orphanProof).verdict == .limited)
    #expect(report.guarantee(.networkLease).verdict == .limited)
    #expect(scratch.names.isEmpty)
  }

  @Test func locksThatEverybodyGetsAreFoundOut() throws {
    let scratch = ScratchDirectory()
    let disk = LyingFileSystem(locks: .givenToAll)
    let report = try StorageDoctor.examine(scratch.path, fileSystem: FileSystem(disk))
    #expect(report.finding(.wholeFileLock) == .ineffective)
    #expect(report.finding(.rangeLock) == .ineffective)
    #expect(report.guarantee(.exclusiveLock).verdict == .missing)
  }

  @Test func onANetworkFileSystemLocksAreALimitedPromise() throws {
    let scratch = ScratchDirectory()
    let disk = LyingFileSystem(locks: .real, kind: FileSystemKind(name: "nfs", isNetwork: true))
    let report = try StorageDoctor.examine(scratch.path, fileSystem: FileSystem(disk))
    #expect(report.fileSystemName == "nfs")
    #expect(report.guarantee(.exclusiveLock).verdict == .limited)
    #expect(report.guarantee(.orphanProof).verdict == .limited)
    #expect(report.guarantee(.networkLease).verdict == .holds)
  }

  @Test func theReportIsTextAndJSON() throws {
    let scratch = ScratchDirectory()
    let report = try examine(scratch, FaultyFileSystem(.every("fsetxattr", .notSupported)))
    let text = String(decoding: report.json, as: UTF8.self)
    #expect(text.contains(#""attributes":{"result":"unsupported","errno":"#))
    #expect(text.contains(#""atomicSave":{"verdict":"holds","because":"#))
    #expect(report.description.contains("attributes          not supported (ENOTSUP)"))
    #expect(report.description.contains("durableSave holds: the file and then the directory"))
  }

  @Test func aMissingDirectoryIsAnError() async {
    let scratch = ScratchDirectory()
    let error = await #expect(throws: SystemCallError.self) {
      try await StorageDoctor.examine(scratch.file("missing"))
    }
    #expect(error?.number == .notFound)
  }
}
