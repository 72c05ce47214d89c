import ReliabilityTestSupport
import ReliabilityTesting
import Synchronization
import Testing

/// What a disk does without and with faults, and after a restart.
@Suite(.offThePool) struct SimulatedDiskTests {
  private func open(
    _ disk: SimulatedDisk, _ path: String, _ flags: OpenFlags = [.read, .write, .create]
  ) throws(SystemCallError) -> OpenFile {
    try OpenFile(path, flags, fileSystem: disk.fileSystem)
  }

  // MARK: Durability

  @Test func whatWasNotSyncedIsGoneAfterAPowerCut() throws {
    let disk = SimulatedDisk()
    try disk.write("a", "old")
    let file = try open(disk, "a", [.write])
    try file.writeAll(bytes("newer").span, at: 0)
    #expect(disk.text("a") == "newer")
    #expect(disk.restarted(after: .powerCut).text("a") == "old")
    #expect(disk.restarted(after: .powerCutAfterWriteback).text("a") == "newer")
    #expect(disk.restarted(after: .processKilled).text("a") == "newer")
    try file.sync(.data)
    #expect(disk.restarted(after: .powerCut).text("a") == "newer")
  }

  @Test func aNewFileThatWasSyncedHasNoNameUntilItsDirectoryIsSynced() throws {
    let disk = SimulatedDisk()
    try disk.makeDirectory("d")
    let file = try open(disk, "d/a")
    try file.writeAll(bytes("text").span, at: 0)
    try file.sync(.full)
    #expect(disk.restarted().names(in: "d") == [])
    try disk.fileSystem.syncDirectory("d")
    #expect(disk.restarted().text("d/a") == "text")
  }

  @Test func aDataSyncLeavesTheModeToChance() throws {
    let disk = SimulatedDisk()
    try disk.write("a", "old")
    let file = try open(disk, "a", [.write])
    try file.setMode(0o600)
    try file.writeAll(bytes("new").span, at: 0)
    try file.sync(.data)
    let modes = try disk.crashStates().map { state in
      #expect(state.text("a") == "new")
      return try OpenFile("a", [.read], fileSystem: state.fileSystem).status().mode
    }
    #expect(Set(modes) == [0o600, 0o644])
    #expect(modes.count == 2)
  }

  @Test func aFailedSyncLosesTheDataAndTheNextOneSucceeds() throws {
    let disk = SimulatedDisk()
    try disk.write("a", "old")
    disk.fail(.fsync, with: .inputOutput)
    let file = try open(disk, "a", [.write])
    try file.writeAll(bytes("newer").span, at: 0)
    #expect(throws: SystemCallError.self) { try file.sync(.full) }
    try file.sync(.full)
    #expect(disk.text("a") == "newer")
    // The size was the journal's business; the bytes were dropped.
    #expect(disk.restarted().read("a") == bytes("old") + [0, 0])
  }

  @Test func everyStateOfAShortWriteIsEnumeratedOnce() throws {
    let disk = SimulatedDisk()
    try disk.write("a", "old")
    let file = try open(disk, "a", [.write])
    try file.writeAll([UInt8](repeating: 7, count: 600).span, at: 0)
    let contents = disk.crashStates().compactMap { $0.read("a") }
    let seven = [UInt8](repeating: 7, count: 512)
    #expect(contents.first == [UInt8](repeating: 7, count: 600))
    #expect(Set(contents).count == contents.count)
    // Whole; either sector zeros or garbage; the first sector, alone or with zeros; nothing, alone or with zeros. The
    // first sector with zeros after it is the whole with its second sector zeros.
    #expect(contents.count == 8)
    #expect(contents.contains(seven))
    #expect(contents.contains(bytes("old")))
    #expect(contents.contains(bytes("old") + [UInt8](repeating: 0, count: 597)))
  }

  @Test func aFileMovedBetweenDirectoriesIsInOneOrBothAfterACrash() throws {
    let disk = SimulatedDisk()
    try disk.write("x/a", "text")
    try disk.makeDirectory("y")
    try disk.fileSystem.backend.rename("x/a", in: nil, to: "y/b", in: nil, .replace)
    let places = Set(disk.crashStates().map { $0.names(in: "x") + $0.names(in: "y") })
    #expect(places == [["a"], ["b"], ["a", "b"]])
    try disk.fileSystem.syncDirectory("x")
    #expect(disk.restarted().names(in: "x") == [])
    #expect(disk.restarted().text("y/b") == "text")
  }

  @Test func aDirectoryMovesInOneStep() throws {
    let disk = SimulatedDisk()
    try disk.write("x/d/a", "text")
    try disk.makeDirectory("y")
    try disk.fileSystem.backend.rename("x/d", in: nil, to: "y/d", in: nil, .replace)
    let places = Set(disk.crashStates().map { $0.names(in: "x/d") + $0.names(in: "y/d") })
    #expect(places == [["a"]])
  }

  @Test func namesOfOneDirectoryReachTheMediumInOrder() throws {
    let disk = SimulatedDisk()
    for name in ["a", "b", "c"] { _ = try open(disk, name) }
    let found = Set(disk.crashStates().map { $0.names(in: "/") })
    #expect(found == [[], ["a"], ["a", "b"], ["a", "b", "c"]])
  }

  @Test func aRestartedDiskIsAnotherDeviceWithNothingOpen() throws {
    let disk = SimulatedDisk()
    let file = try open(disk, "a")
    try file.lock(.exclusive)
    let device = try file.status().device
    let after = disk.restarted(after: .processKilled)
    let again = try open(after, "a")
    try again.lock(.exclusive)
    #expect(try again.status().device != device)
    #expect(after.openDescriptors == 1)
    #expect(after.fileSystem.backend.processIdentifier != disk.fileSystem.backend.processIdentifier)
    #expect(throws: SystemCallError.self) { try open(disk, "a").lock(.exclusive) }
  }

  @Test func aRemovedFileLivesUntilItIsClosed() throws {
    let disk = SimulatedDisk()
    try disk.write("a", "text")
    do {
      let file = try open(disk, "a", [.read])
      try disk.fileSystem.backend.unlink("a", in: nil)
      let content = try [UInt8](capacity: 4) { try file.readAll(into: &$0, at: 0) }
      #expect(content == bytes("text"))
      #expect(try file.status().links == 0)
      #expect(disk.restarted().text("a") == "text")
    }
    #expect(disk.openDescriptors == 0)
    try disk.fileSystem.syncDirectory("/")
    #expect(disk.restarted().names(in: "/") == [])
  }

  // MARK: Faults

  @Test func aFaultMeetsItsCallItsFileAndItsCountOnly() throws {
    let disk = SimulatedDisk()
    disk.fail(.write, on: "d/journal", at: 2, with: .noSpace)
    let journal = try open(disk, "journal")
    let other = try open(disk, "x")
    try disk.makeDirectory("d")
    let inner = try open(disk, "d/journal")
    for file in 0..<3 {
      try journal.writeAll(bytes("a").span, at: Int64(file))
      try other.writeAll(bytes("a").span, at: Int64(file))
    }
    try inner.writeAll(bytes("a").span, at: 0)
    let error = #expect(throws: SystemCallError.self) {
      try inner.writeAll(bytes("b").span, at: 1)
    }
    #expect(error?.number == .noSpace)
    try inner.writeAll(bytes("c").span, at: 1)
    #expect(disk.text("d/journal") == "ac")
    #expect(disk.faultsMet == 1)
  }

  @Test func aPersistentFaultStaysUntilItIsCleared() throws {
    let disk = SimulatedDisk()
    let file = try open(disk, "a")
    disk.fail(nil, at: 2, with: .inputOutput, persistently: true)
    _ = try file.status()
    for _ in 0..<3 { #expect(throws: SystemCallError.self) { try file.status() } }
    disk.clearFaults()
    _ = try file.status()
  }

  @Test func interruptedAndShortCallsAreFinishedByTheFileLayer() throws {
    let disk = SimulatedDisk()
    disk.interruptCalls(times: 3)
    disk.limitTransfers(to: 7)
    do {
      let file = try open(disk, "a")
      try file.writeAll(bytes("twenty-six characters here").span, at: 0)
      let content = try [UInt8](capacity: 30) { try file.readAll(into: &$0, at: 0) }
      #expect(content == bytes("twenty-six characters here"))
      try file.sync(.full)
    }
    #expect(disk.openDescriptors == 0)
    #expect(disk.restarted(after: .processKilled).text("a") == "twenty-six characters here")
  }

  @Test func aFullDiskWritesWhatFitsAndThenNothing() throws {
    var configuration = SimulatedDisk.Configuration()
    configuration.capacity = 1000
    configuration.fullDiskError = .quotaExceeded
    let disk = SimulatedDisk(configuration: configuration)
    let file = try open(disk, "a")
    let error = #expect(throws: SystemCallError.self) {
      try file.writeAll([UInt8](repeating: 1, count: 1200).span, at: 0)
    }
    #expect(error?.number == .quotaExceeded)
    #expect(disk.read("a")?.count == 1000)
    try file.writeAll(bytes("in place").span, at: 0)
    try file.truncate(to: 10)
    try file.writeAll(bytes("again").span, at: 10)
  }

  @Test func aDiskThatAllocatesLateFailsTheSync() throws {
    var configuration = SimulatedDisk.Configuration()
    configuration.capacity = 1000
    configuration.allocatesLate = true
    let disk = SimulatedDisk(configuration: configuration)
    try disk.write("kept", "text")
    let file = try open(disk, "a")
    try file.writeAll([UInt8](repeating: 1, count: 1200).span, at: 0)
    let error = #expect(throws: SystemCallError.self) { try file.sync(.full) }
    #expect(error?.number == .noSpace)
    try file.sync(.full)
    try disk.fileSystem.syncDirectory("/")
    #expect(disk.restarted().read("a")?.contains(1) == false)
  }

  // MARK: Locks

  @Test func aWaitingLockIsGivenWhenTheHolderCloses() async throws {
    let disk = SimulatedDisk()
    let held = Atomic<Bool>(true)
    let descriptor = try disk.fileSystem.backend.open(
      "lock", in: nil, [.read, .write, .create], mode: 0o666)
    try disk.fileSystem.backend.lockRange(descriptor, 0..<1, .exclusive, waits: false)
    let executor = DiskExecutor(threads: 1)
    async let waited: Bool = executor.run { () throws in
      let file = try OpenFile("lock", [.read, .write], fileSystem: disk.fileSystem)
      try disk.fileSystem.backend.lockRange(file.descriptor, 0..<1, .exclusive, waits: true)
      return held.load(ordering: .sequentiallyConsistent)
    }
    // The second `fcntl` is the waiter's first try.
    while disk.trace.count(where: { $0.call == .fcntl }) < 2 { await Task.yield() }
    held.store(false, ordering: .sequentiallyConsistent)
    try disk.fileSystem.backend.close(descriptor)
    #expect(try await waited == false)
  }

  @Test func rangesOfOneDescriptionDoNotExcludeEachOther() throws {
    let disk = SimulatedDisk()
    let files = disk.fileSystem.backend
    let first = try open(disk, "a")
    let second = try open(disk, "a")
    let copy = try files.duplicate(first.descriptor)
    try files.lockRange(first.descriptor, 0..<10, .exclusive, waits: false)
    try files.lockRange(copy, 5..<20, .exclusive, waits: false)
    #expect(try files.isRangeLocked(second.descriptor, 15..<16, against: .shared))
    try files.lockRange(first.descriptor, 4..<8, .unlock, waits: false)
    try files.lockRange(second.descriptor, 4..<8, .exclusive, waits: false)
    #expect(throws: ErrorNumber.wouldBlock) {
      try files.lockRange(second.descriptor, 3..<5, .shared, waits: false)
    }
    try files.close(copy)
  }

  // MARK: Traces and clocks

  @Test func theTraceTellsEveryCall() throws {
    let disk = SimulatedDisk()
    do {
      let file = try open(disk, "a")
      try file.writeAll(bytes("text").span, at: 0)
      disk.fail(.fsync, with: .inputOutput)
      _ = try? file.sync(.full)
    }
    disk.acknowledge("saved")
    #expect(
      disk.traceText == """
            1  open(O_CREAT) a
            2  write a, 4 bytes at 0
            3  fsync a = EIO
            4  close a
            4  -- acknowledged: saved
        """)
    #expect(disk.callCount == 4)
    disk.clearTrace()
    #expect(disk.trace.isEmpty)
  }

  @Test func theClockGivesFilesTheirTimes() throws {
    let disk = SimulatedDisk()
    let file = try open(disk, "a")
    let before = try file.status().modified
    disk.advanceClock(by: .seconds(600))
    try file.writeAll(bytes("text").span, at: 0)
    let after = try file.status().modified
    #expect(after - before >= 600_000_000_000)
    #expect(after <= disk.now.nanosecondsSince1970)
    try disk.fileSystem.backend.touch(file.descriptor)
    #expect(try file.status().modified > after)
    disk.advanceClock(by: .seconds(Int64.max))
    #expect(disk.now.nanosecondsSince1970 == .max)
  }

  @Test func aConfigurationFromOutsideIsChecked() {
    var configuration = SimulatedDisk.Configuration()
    configuration.sectorSize = 0
    #expect(throws: ConfigurationError.self) { try configuration.validate() }
    var options = ExplorationOptions()
    options.samples = 0
    #expect(throws: ConfigurationError.self) { try options.validate() }
  }
}
