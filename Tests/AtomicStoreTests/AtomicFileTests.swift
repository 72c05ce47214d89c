import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

/// Files written in pieces, and the asynchronous forms.
@Suite(.offThePool) struct AtomicFileTests {
  let scratch = ScratchDirectory()

  @Test func piecesAppearOnlyWhenPublished() async throws {
    try scratch.write("old", to: "target", mode: 0o640)
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try await file.append(bytes("first "))
    try await file.append(bytes("second"))
    #expect(file.size == 12)
    #expect(scratch.read("target") == "old")
    let outcome = try await file.publish()
    #expect(outcome.isDurable)
    #expect(scratch.read("target") == "first second")
    #expect(try scratch.status("target").mode == 0o640)
    #expect(scratch.names == ["target"])
  }

  @Test func contentCanBeReadBackForAChecksum() async throws {
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try await file.append(bytes("0123456789"))
    #expect(try await file.read(4, at: 3) == bytes("3456"))
    #expect(try await file.read(100, at: 8) == bytes("89"))
    #expect(try await file.read(Int.max, at: 0) == bytes("0123456789"))
    #expect(try await file.read(5, at: 10) == [])
    #expect(try await file.read(5, at: .max) == [])
    #expect(try await file.read(0, at: 0) == [])
    try await file.discard()
  }

  @Test func aCutFileContinuesWhereItWasCut() async throws {
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try await file.append(bytes("good part, bad part"))
    try await file.truncate(to: 11)
    #expect(file.size == 11)
    try await file.append(bytes("better"))
    try await file.publish()
    #expect(scratch.read("target") == "good part, better")
  }

  @Test func aDiscardedFileLeavesNothingAndIsClosed() async throws {
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try await file.append(bytes("x"))
    try await file.discard()
    try await file.discard()
    #expect(scratch.names.isEmpty)
    await #expect(throws: StoreError.self) { try await file.append(bytes("y")) }
    let error = await #expect(throws: StoreError.self) { try await file.publish() }
    #expect(error?.code == .closed)
    #expect(scratch.names.isEmpty)
  }

  @Test func aPublishedFileIsClosed() async throws {
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try await file.publish()
    let error = await #expect(throws: StoreError.self) { try await file.publish() }
    #expect(error?.code == .closed)
    try await file.discard()
    #expect(scratch.read("target") == "")
  }

  @Test func aDroppedFileRemovesItsTemporaryFile() async throws {
    let disk = FaultyFileSystem()
    do {
      let file = try await AtomicFile(
        replacing: scratch.file("target"), fileSystem: disk.fileSystem)
      try await file.append(bytes("x"))
      #expect(scratch.names.count == 1)
    }
    #expect(scratch.names.isEmpty)
    #expect(disk.openDescriptors == 0)
  }

  @Test func aFailedAppendCanBeRepeatedOnceThereIsSpace() async throws {
    // The third write of two bytes fails: four bytes are there that must not count.
    let disk = FaultyFileSystem(.nth("write", 3, .noSpace), writeLimit: 2)
    let file = try await AtomicFile(replacing: scratch.file("target"), fileSystem: disk.fileSystem)
    let error = await #expect(throws: StoreError.self) { try await file.append(bytes("abcdef")) }
    #expect(error?.code == .outOfSpace)
    #expect(file.size == 0)
    try await file.append(bytes("xyz"))
    try await file.publish()
    #expect(scratch.read("target") == "xyz")
  }

  @Test func aFailedAppendThatCannotBeUndoneIsNeverPublished() async throws {
    let disk = FaultyFileSystem(.persistent(7, .inputOutput), writeLimit: 2)
    let file = try await AtomicFile(replacing: scratch.file("target"), fileSystem: disk.fileSystem)
    await #expect(throws: StoreError.self) { try await file.append(bytes("abcdef")) }
    #expect(disk.calls.last == "truncate")
    let error = await #expect(throws: StoreError.self) { try await file.publish() }
    #expect(error?.cause?.call == "write")
    #expect(scratch.read("target") == nil)
    // Everything fails by now, the removal too, and the error says so.
    #expect(error?.leftover == file.temporaryPath)
  }

  /// Some file systems shrink a file and then fail: what is left is not what `size` says.
  @Test func aFileWhoseCutFailedIsNeverPublished() async throws {
    let scratch = ScratchDirectory()
    try scratch.write("old", to: "target")
    let disk = FaultyFileSystem(.nth("truncate", 1, .inputOutput))
    let file = try await AtomicFile(
      replacing: scratch.file("target"), fileSystem: disk.fileSystem)
    try await file.append(bytes("0123456789"))
    let failure = await #expect(throws: StoreError.self) { try await file.truncate(to: 5) }
    #expect(failure?.cause?.number == .inputOutput)
    let error = await #expect(throws: StoreError.self) { try await file.publish() }
    #expect(error == failure)
    #expect(scratch.names == ["target"])
    #expect(scratch.read("target") == "old")
  }

  @Test func aTargetThatBecomesSomethingElseMeanwhileIsRefused() async throws {
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try await file.append(bytes("x"))
    try RealFileSystem().makeSymbolicLink(
      scratch.file("target"), in: nil, destination: "elsewhere")
    let error = await #expect(throws: StoreError.self) { try await file.publish() }
    #expect(error?.code == .targetIsNotRegularFile)
    #expect(scratch.names == ["target"])
  }

  @Test func theModeOfATargetThatVanishesMeanwhileIsKept() async throws {
    try scratch.write("old", to: "target", mode: 0o604)
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try RealFileSystem().unlink(scratch.file("target"), in: nil)
    try await file.publish()
    #expect(try scratch.status("target").mode == 0o604)
  }

  @Test func aCancelledTaskStillSavesWhole() async throws {
    let scratch = scratch
    let task = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await AtomicFile.replace(scratch.file("target"), with: bytes("last words"))
    }
    #expect(try await task.value.isDurable)
    #expect(scratch.read("target") == "last words")
  }

  @Test @MainActor func aSaveWorksFromTheMainActor() async throws {
    let outcome = try await AtomicFile.replace(scratch.file("target"), with: bytes("main"))
    MainActor.assertIsolated()
    #expect(outcome.isDurable)
  }

  @Test func manySavesToOnePathLeaveOneWholeVersion() async throws {
    let path = scratch.file("target")
    let versions = (0..<20).map { [UInt8](repeating: UInt8($0), count: 10_000 + $0) }
    try await AtomicFile.replace(path, with: versions[0])
    let scratch = scratch
    try await withThrowingTaskGroup(of: Void.self) { group in
      for version in versions {
        group.addTask {
          for _ in 0..<5 { try await AtomicFile.replace(path, with: version) }
        }
      }
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<200 {
            let seen = try await DiskExecutor.shared.run {
              try #require(scratch.readBytes("target"))
            }
            #expect(versions.contains(seen), "a reader saw \(seen.count) bytes of no version")
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(scratch.names == ["target"])
  }

  @Test func oneFileUsedFromManyTasksKeepsEveryPieceWhole() async throws {
    let file = try await AtomicFile(replacing: scratch.file("target"))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for i in 0..<50 {
        group.addTask { try await file.append([UInt8](repeating: UInt8(i), count: 100)) }
      }
      try await group.waitForAll()
    }
    try await file.publish()
    let content = try #require(scratch.readBytes("target"))
    #expect(content.count == 5000)
    for start in stride(from: 0, to: 5000, by: 100) {
      #expect(Set(content[start..<(start + 100)]).count == 1)
    }
  }

  @Test func everyCallOfAFileWrittenInPiecesMayFail() throws {
    var n = 1
    while true {
      let scratch = ScratchDirectory()
      try scratch.write("old", to: "target")
      let disk = FaultyFileSystem(.once(n, .inputOutput), writeLimit: 3)
      var leftover: String?
      do throws(StoreError) {
        let file = try AtomicFile(replacing: scratch.file("target"), fileSystem: disk.fileSystem)
        try file.append(bytes("new content"))
        try file.truncate(to: 4)
        _ = try file.read(2, at: 1)
        try file.append(bytes("file").span)
        try file.publish()
        #expect(scratch.read("target") == "new file", "call \(n)")
      } catch {
        leftover = error.leftover
        #expect(scratch.read("target") == "old", "call \(n): \(error)")
      }
      #expect(scratch.names == ["target"], "call \(n)")
      #expect(leftover == nil && disk.openDescriptors == 0, "call \(n)")
      if disk.faultsMet == 0 { break }
      n += 1
    }
    #expect(n > 20)
  }
}
