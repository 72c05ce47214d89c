import AtomicStore
import ReliabilityIO
import ReliabilityTestSupport
import Testing

#if canImport(Glibc)
  import Glibc

  /// Failures of a real machine, each in a process of its own: full disks, limits, permissions, mounts, kill -9.
  ///
  /// What needs root, or a right that a container withholds, is left out there.
  @Suite struct MachineTests {
    @Test func aFullDiskLeavesTheOldFileAndNothingElse() async {
      await #expect(processExitsWith: .success) { try MachineTests.fullDisk() }
    }

    private static func fullDisk() throws {
      let scratch = ScratchDirectory()
      guard Machine.mountsAreOurs(),
        unsafe mount("none", scratch.path, "tmpfs", 0, "size=64k") == 0
      else { return }
      defer { unsafe umount2(scratch.path, Int32(MNT_DETACH)) }
      try scratch.write("old", to: "target")
      let big = [UInt8](repeating: 1, count: 200_000)
      for durability in Durability.allCases {
        let error = #expect(throws: StoreError.self) {
          try AtomicFile.replace(
            scratch.file("target"), with: big, options: .init(durability: durability))
        }
        #expect(error?.code == .outOfSpace)
        #expect(error?.cause?.number == .noSpace && error?.cause?.call == "write")
        #expect(scratch.read("target") == "old")
        #expect(scratch.names == ["target"])
      }
      // The space came back: nothing was left behind.
      try AtomicFile.replace(
        scratch.file("target"), with: [UInt8](repeating: 2, count: 40_000))
      #expect(scratch.readBytes("target")?.count == 40_000)

      // A download that met the full disk goes on once there is space.
      let file = try AtomicFile(replacing: scratch.file("second"))
      try file.append(bytes("begin "))
      #expect(throws: StoreError.self) { try file.append(big) }
      #expect(file.size == 6)
      try RealFileSystem().unlink(scratch.file("target"), in: nil)
      try file.append([UInt8](repeating: 3, count: 50_000))
      try file.publish()
      #expect(scratch.readBytes("second")?.count == 50_006)
      #expect(scratch.names == ["second"])
    }

    @Test func aMountedFileIsRefusedAndLeftAlone() async {
      await #expect(processExitsWith: .success) { try MachineTests.mountedFile() }
    }

    private static func mountedFile() throws {
      let scratch = ScratchDirectory()
      try scratch.write("inside", to: "source")
      try scratch.write("outside", to: "target")
      guard Machine.mountsAreOurs(),
        unsafe mount(
          scratch.file("source"), scratch.file("target"), nil, UInt(MS_BIND), nil) == 0
      else { return }
      defer { unsafe umount2(scratch.file("target"), Int32(MNT_DETACH)) }
      let error = #expect(throws: StoreError.self) {
        try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
      }
      #expect(error?.code == .targetIsMountPoint)
      #expect(error?.retryability == .notRetryable)
      #expect(error?.suggestedActions.first?.contains("directory") == true)
      #expect(scratch.read("target") == "inside")
      #expect(scratch.names == ["source", "target"])
    }

    @Test func aReadOnlyDiskIsSaid() async {
      await #expect(processExitsWith: .success) { try MachineTests.readOnlyDisk() }
    }

    private static func readOnlyDisk() throws {
      let scratch = ScratchDirectory()
      guard Machine.mountsAreOurs(),
        unsafe mount("none", scratch.path, "tmpfs", UInt(MS_RDONLY), nil) == 0
      else { return }
      defer { unsafe umount2(scratch.path, Int32(MNT_DETACH)) }
      let error = #expect(throws: StoreError.self) {
        try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
      }
      #expect(error?.code == .directoryNotWritable)
      #expect(error?.cause?.number == .readOnlyFileSystem)
      #expect(error?.userMessage?.contains("read-only") == true)
    }

    @Test func aFileSizeLimitIsAnErrorOnTheDiskThreads() async {
      await #expect(processExitsWith: .success) {
        // The signal would end the process on any other thread; disk threads block it.
        let scratch = ScratchDirectory()
        try scratch.write("old", to: "target")
        var limit = rlimit(rlim_cur: 4096, rlim_max: 4096)
        #expect(unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0)
        let error = await #expect(throws: StoreError.self) {
          try await AtomicFile.replace(
            scratch.file("target"), with: [UInt8](repeating: 1, count: 10_000))
        }
        #expect(error?.code == .fileTooLarge)
        #expect(error?.cause?.number == .fileTooLarge)
        #expect(scratch.read("target") == "old")
        #expect(scratch.names == ["target"])
        try await AtomicFile.replace(
          scratch.file("target"), with: [UInt8](repeating: 1, count: 4096))
      }
    }

    @Test(.enabled(if: geteuid() == 0, "needs another user to become"))
    func aUserWithoutRightsGetsTheRightError() async {
      await #expect(processExitsWith: .success) { try MachineTests.otherUser() }
    }

    private static func otherUser() throws {
      let scratch = ScratchDirectory()
      try scratch.write("old", to: "target", mode: 0o666)
      _ = unsafe chmod(scratch.path, 0o555)
      #expect(setegid(65534) == 0 && seteuid(65534) == 0)
      let error = #expect(throws: StoreError.self) {
        try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
      }
      #expect(error?.code == .directoryNotWritable)
      #expect(error?.cause?.number == .permissionDenied)

      // A directory that may be written but not read can't be synced, and that is said.
      #expect(unsafe seteuid(0) == 0 && chmod(scratch.path, 0o333) == 0 && seteuid(65534) == 0)
      let outcome = try AtomicFile.replace(scratch.file("target"), with: bytes("new"))
      guard case .publishedNotDurable(let reason) = outcome.status else {
        Issue.record("expected not durable")
        return
      }
      #expect(reason.code == .directorySyncUnsupported)
      // The old file was root's: it can't be given back, and the mode is kept.
      #expect(!outcome.ownerKept)
      #expect(seteuid(0) == 0)
      #expect(try scratch.status("target").mode == 0o666)
      #expect(scratch.read("target") == "new")
      #expect(scratch.names == ["target"])

      // A sticky directory protects the files of others.
      try scratch.write("root's", to: "protected", mode: 0o666)
      #expect(unsafe chmod(scratch.path, 0o1777) == 0 && seteuid(65534) == 0)
      let refused = #expect(throws: StoreError.self) {
        try AtomicFile.replace(scratch.file("protected"), with: bytes("new"))
      }
      #expect(refused?.code == .notPermitted)
      #expect(scratch.read("protected") == "root's")
      #expect(scratch.names == ["protected", "target"])
      #expect(seteuid(0) == 0)
    }

    @Test func noDescriptorIsLeakedOnAnyPath() async {
      await #expect(processExitsWith: .success) {
        let scratch = ScratchDirectory()
        try scratch.write("old", to: "target")
        try RealFileSystem().makeSymbolicLink(
          scratch.file("link"), in: nil, destination: "target")
        @Sendable func run() async {
          for path in [
            "target", "link", "new", "absent/x", ".", String(repeating: "n", count: 256),
          ] {
            _ = try? await AtomicFile.replace(scratch.file(path), with: bytes("x"))
            let file = try? await AtomicFile(replacing: scratch.file(path))
            try? await file?.append(bytes("y"))
          }
        }
        await run()
        let before = Machine.openDescriptors
        for _ in 0..<20 { await run() }
        #expect(Machine.openDescriptors == before)
      }
    }

    /// Kills the process before each call in turn.
    @Test(arguments: 1...16)
    func aKilledSaveLeavesTheOldOrTheNewFileWhole(call: Int) async throws {
      let scratch = ScratchDirectory()
      try scratch.write("old", to: "target")
      let path = scratch.path
      await #expect(processExitsWith: .signal(SIGKILL)) {
        [path = path as String, call = call as Int] in
        let calls = Tally()
        let disk = FaultyFileSystem(before: { _ in
          if calls.next() + 1 == call { raise(SIGKILL) }
        })
        try await AtomicFile.replace(
          path + "/target", with: bytes("new"), fileSystem: disk.fileSystem)
      }
      let isRenamed = call > 13
      #expect(scratch.read("target") == (isRenamed ? "new" : "old"))
      // At most one orphan, under a name a sweeper knows, with no lock on it any more.
      let orphans = scratch.names.filter { $0 != "target" }
      #expect(orphans.count == (call > 3 && !isRenamed ? 1 : 0))
      for orphan in orphans {
        #expect(orphan.wholeMatch(of: /\.target\.[0-9a-f]+\.[0-9a-f]{16}\.rtmp/) != nil)
        try OpenFile(scratch.file(orphan), [.read, .write], fileSystem: .real).lock(.exclusive)
      }
    }
  }

  enum Machine {
    /// Gives the calling thread mounts of its own, so that nothing outside the test sees them.
    ///
    /// - Returns: `false` without the right to do so.
    static func mountsAreOurs() -> Bool {
      typealias Unshare = @convention(c) (Int32) -> Int32
      guard let symbol = unsafe dlsym(nil, "unshare") else { return false }
      let unshare = unsafe unsafeBitCast(symbol, to: Unshare.self)
      let newNamespace: Int32 = 0x0002_0000
      guard unshare(newNamespace) == 0 else { return false }
      return unsafe mount(
        "none", "/", nil, UInt(MS_REC) | UInt(MS_PRIVATE), nil) == 0
    }

    static var openDescriptors: Int {
      (try? OpenDirectory("/proc/self/fd", fileSystem: .real).entries().count) ?? -1
    }
  }
#endif
