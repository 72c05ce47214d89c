#if os(Linux)
  import BackoffLock
  import Glibc
  import ReliabilityCore
  import ReliabilityIO
  import ReliabilityTestSupport
  import Testing

  @testable import AtomicStore

  /// This test program started again, to run one test in a process that can be killed.
  private struct Child: Sendable {
    private static let variable = "RELIABILITY_TEST_CHILD"

    /// The directory to work in, in a child; `nil` in the parent.
    static var directory: String? {
      guard let value = unsafe getenv(variable) else { return nil }
      return unsafe String(cString: value)
    }

    /// Tells the parent something, by a file's name.
    static func announce(_ name: String, in directory: String) throws {
      _ = try OpenFile("\(directory)/\(name)", [.write, .create], fileSystem: .real)
    }

    let process: pid_t

    init(running test: String, in directory: String) throws {
      let program = try RealFileSystem().readLink("/proc/self/exe", in: nil)
      var actions = unsafe posix_spawn_file_actions_t()
      unsafe posix_spawn_file_actions_init(&actions)
      defer { unsafe posix_spawn_file_actions_destroy(&actions) }
      for descriptor in Int32(0)...2 {
        unsafe posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
      }
      let arguments = [program, "--testing-library", "swift-testing", "--filter", test]
      var words = unsafe arguments.map { unsafe strdup($0) } + [nil]
      var variables = unsafe [strdup("\(Child.variable)=\(directory)"), nil]
      defer {
        unsafe words.forEach { unsafe free($0) }
        unsafe variables.forEach { unsafe free($0) }
      }
      var process: pid_t = 0
      let result = unsafe posix_spawn(&process, program, &actions, nil, &words, &variables)
      try #require(result == 0)
      self.process = process
    }

    /// Kills the process and waits until it is gone.
    func kill() async {
      let process = process
      await DiskExecutor.shared.run {
        var status: Int32 = 0
        _ = Glibc.kill(process, SIGKILL)
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
      }
    }
  }

  /// Work for a child, until its parent ends.
  private func work(_ body: () async throws -> Void) async throws {
    let parent = getppid()
    while getppid() == parent { try await body() }
  }

  /// Runs children and kills them one by one, each replaced by another.
  ///
  /// - Parameters:
  ///   - next: Waits until the time has come for a kill, and says for whom: the number of a process; `nil` ends it all.
  private func killAgainAndAgain(
    _ count: Int, running test: String, in directory: String, next: () async throws -> pid_t?
  ) async throws {
    var children = try (0..<count).map { _ in try Child(running: test, in: directory) }
    do {
      while let victim = try await next() {
        // One that was told of is gone when it was killed before.
        guard let index = children.firstIndex(where: { $0.process == victim }) else { continue }
        await children[index].kill()
        children[index] = try Child(running: test, in: directory)
      }
    } catch {
      for child in children { await child.kill() }
      throw error
    }
    for child in children { await child.kill() }
  }

  /// Limits of time only guard against hangs: how much happens between two kills depends on the machine, so what is to
  /// happen is counted.
  @Suite(.realTime, .serialized, .timeLimit(.minutes(10))) struct RealTimeKilledProcessTests {
    @Test(.enabled(if: Child.directory == nil))
    func killedSaversLeaveNoOrphanAndNoLiveTemporaryFileIsSwept() async throws {
      let scratch = ScratchDirectory(inMemory: true)
      var random = SeededGenerator(seed: 5)
      var killed = 0
      var removed = 0
      let everything = OrphanSweeper.Options(minimumAge: .zero)
      try await killAgainAndAgain(
        4, running: "aChildThatSavesUntilItIsKilled", in: scratch.path
      ) {
        while killed < 12 || removed < 3 {
          removed += try await OrphanSweeper.sweep(scratch.path, options: everything).removed.count
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...10, using: &random)))
          // Only those that are at work: a process takes its time to start.
          let atWork = scratch.names.filter { $0.hasPrefix("started-") }
          guard let name = atWork.randomElement(using: &random) else { continue }
          try RealFileSystem().unlink(scratch.file(name), in: nil)
          killed += 1
          return pid_t(name.dropFirst("started-".count))
        }
        return nil
      }
      removed += try await OrphanSweeper.sweep(scratch.path, options: everything).removed.count
      #expect(killed >= 12 && removed >= 3)
      #expect(scratch.names.filter { $0.hasPrefix("failure") } == [])
      #expect(scratch.names.filter { $0.hasSuffix(".rtmp") } == [])
      #expect(scratch.names.contains { $0.hasPrefix("saved") })
    }

    @Test(.enabled(if: Child.directory != nil))
    func aChildThatSavesUntilItIsKilled() async throws {
      let directory = try #require(Child.directory)
      let content = [UInt8](repeating: 7, count: 200_000)
      var hasStarted = false
      try await work {
        do {
          try await AtomicFile.replace(
            "\(directory)/saved-\(getpid() % 4)", with: content, options: .init(durability: .none))
          if !hasStarted {
            hasStarted = true
            try Child.announce("started-\(getpid())", in: directory)
          }
        } catch {
          try await AtomicFile.replace(
            "\(directory)/failure-\(getpid())", with: bytes("\(error)"))
        }
      }
    }

    @Test(.enabled(if: Child.directory == nil))
    func eachHolderOfALeaseThatIsKilledIsFollowedByAnother() async throws {
      let scratch = ScratchDirectory(inMemory: true)
      var turns: [UInt64] = []
      try await killAgainAndAgain(
        3, running: "aChildThatHoldsALeaseUntilItIsKilled", in: scratch.path
      ) {
        while turns.count < 6 {
          try await Task.sleep(for: .milliseconds(2))
          // Who has the lease keeps it until it is killed.
          for name in scratch.names where name.hasPrefix("holds-") {
            let words = name.split(separator: "-")
            try RealFileSystem().unlink(scratch.file(name), in: nil)
            turns.append(UInt64(words[2]) ?? 0)
            return pid_t(words[1])
          }
        }
        return nil
      }
      #expect(turns.count == 6)
      // Every one of these turns was ended by a kill alone, and the next one could be had: long before the lease would have run
      // out, which it does after an hour. That their numbers only grow says that no two were inside together.
      #expect(zip(turns, turns.dropFirst()).allSatisfy { $0 < $1 }, "\(turns)")
      #expect(scratch.names.filter { $0.hasPrefix("failure") } == [])
    }

    @Test(.enabled(if: Child.directory != nil))
    func aChildThatHoldsALeaseUntilItIsKilled() async throws {
      let directory = try #require(Child.directory)
      var configuration = NetworkLease.Configuration()
      configuration.duration = .seconds(3600)
      configuration.timeout = .seconds(600)
      let lease = NetworkLease("\(directory)/lease", configuration: configuration)
      try await work {
        do {
          try await lease.withLease { hold in
            // A lock of the kernel, which ends with the process, says whether two are in.
            let arena = try OpenFile(
              "\(directory)/arena", [.read, .write, .create], fileSystem: .real)
            try arena.lock(.exclusive)
            try Child.announce("holds-\(getpid())-\(hold.token.turn)", in: directory)
            try await work { try await Task.sleep(for: .milliseconds(5)) }
          }
        } catch {
          try await AtomicFile.replace(
            "\(directory)/failure-\(getpid())", with: bytes("\(error)"))
        }
      }
    }
  }
#endif
