#if os(Linux)
  import BackoffLock
  import Glibc
  import ReliabilityCore
  import ReliabilityIO
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

  /// Work for a child: until its parent ends, at most ten seconds.
  private func work(_ body: () async throws -> Void) async throws {
    let parent = getppid()
    let end = ContinuousClock.now + .seconds(10)
    while getppid() == parent, ContinuousClock.now < end { try await body() }
  }

  /// Kills children at random instants, and starts others in their place.
  ///
  /// - Returns: How many were killed.
  private func killAgainAndAgain(
    _ count: Int, running test: String, in directory: String, for duration: Duration
  ) async throws -> Int {
    var children = try (0..<count).map { _ in try Child(running: test, in: directory) }
    let end = ContinuousClock.now + duration
    var killed = 0
    // Often enough, however slow the machine is.
    while ContinuousClock.now < end || killed < 12 {
      try await Task.sleep(for: .milliseconds(30))
      let victim = children.removeFirst()
      await victim.kill()
      killed += 1
      children.append(try Child(running: test, in: directory))
    }
    for child in children { await child.kill() }
    return killed
  }

  @Suite(.serialized, .timeLimit(.minutes(10))) struct RealTimeKilledProcessTests {
    @Test(.enabled(if: Child.directory == nil))
    func killedSaversLeaveNoOrphanAndNoLiveTemporaryFileIsSwept() async throws {
      let scratch = ScratchDirectory(inMemory: true)
      let ends = Counter()
      let killed: Int
      var removed = 0
      (killed, removed) = try await withThrowingTaskGroup(of: (Int, Int).self) { group in
        group.addTask {
          let killed = try await killAgainAndAgain(
            4, running: "aChildThatSavesUntilItIsKilled", in: scratch.path, for: .seconds(2))
          _ = ends.next()
          return (killed, 0)
        }
        group.addTask {
          var removed = 0
          while ends.count == 0 {
            removed += try await OrphanSweeper.sweep(
              scratch.path, options: .init(minimumAge: .zero)
            ).removed.count
          }
          return (0, removed)
        }
        return try await group.reduce((0, 0)) { ($0.0 + $1.0, $0.1 + $1.1) }
      }
      removed += try await OrphanSweeper.sweep(
        scratch.path, options: .init(minimumAge: .zero)
      ).removed.count
      #expect(killed > 10 && removed > 0)
      #expect(scratch.names.filter { $0.hasPrefix("failure") } == [])
      #expect(scratch.names.filter { $0.hasSuffix(".rtmp") } == [])
      #expect(scratch.names.contains { $0.hasPrefix("saved") })
    }

    @Test(.enabled(if: Child.directory != nil))
    func aChildThatSavesUntilItIsKilled() async throws {
      let directory = try #require(Child.directory)
      let content = [UInt8](repeating: 7, count: 200_000)
      try await work {
        do {
          try await AtomicFile.replace(
            "\(directory)/saved-\(getpid() % 4)", with: content, options: .init(durability: .none))
        } catch {
          try await AtomicFile.replace(
            "\(directory)/failure-\(getpid())", with: bytes("\(error)"))
        }
      }
    }

    @Test(.enabled(if: Child.directory == nil))
    func killedHoldersOfALeaseAreFollowedByOneAtATime() async throws {
      let scratch = ScratchDirectory(inMemory: true)
      let start = ContinuousClock.now
      let killed = try await killAgainAndAgain(
        4, running: "aChildThatHoldsALeaseUntilItIsKilled", in: scratch.path, for: .seconds(2))
      let lease = NetworkLease(scratch.file("lease"))
      let token = try await lease.withLease { $0.token }
      #expect(killed > 10)
      // Dead holders were noticed, not waited for: thirty seconds each. How many of the killed had come to hold the lease depends
      // on how busy the machine is.
      let turns = Int(token.turn >> 16)
      #expect(ContinuousClock.now - start < .seconds(30 * max(1, turns - 1)))
      #expect(scratch.names.filter { $0.hasPrefix("failure") } == [])
    }

    @Test(.enabled(if: Child.directory != nil))
    func aChildThatHoldsALeaseUntilItIsKilled() async throws {
      let directory = try #require(Child.directory)
      let lease = NetworkLease("\(directory)/lease")
      try await work {
        do {
          try await lease.withLease { _ in
            // A lock of the kernel, which ends with the process, says whether two are in.
            let arena = try OpenFile(
              "\(directory)/arena", [.read, .write, .create], fileSystem: .real)
            try arena.lock(.exclusive)
            try await Task.sleep(for: .milliseconds(1))
            try arena.lock(.unlock)
          }
        } catch {
          try await AtomicFile.replace(
            "\(directory)/failure-\(getpid())", with: bytes("\(error)"))
        }
      }
    }
  }
#endif
