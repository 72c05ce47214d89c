import CReliability
import ProcessSupervision
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

extension RealTimeProcessTests {
  /// How children are started, and what they find.
  @Suite struct Launching {
    private func launchFailure(
      _ command: String, _ arguments: [String] = [],
      _ configuration: ProcessConfiguration = ProcessConfiguration()
    ) async throws -> ProcessError {
      let error = await failure {
        try await runProcess(command, arguments, configuration: configuration)
      }
      let found = try #require(error as? ProcessError)
      #expect(found.code == .launchFailed)
      #expect(found.report.processID == 0)
      return found
    }

    @Test func missingProgramIsSaidWithItsErrno() async throws {
      for command in ["/nonexistent/tool", "no-such-tool-anywhere", ""] {
        let error = try await launchFailure(command)
        #expect(error.launchFailure?.number == .notFound)
        #expect(error.launchFailure?.call == "execve")
        #expect(error.failure == .fileSystemError)
        #expect(error.retryability == .notRetryable)
      }
    }

    @Test func fileThatMayNotBeExecutedIsSaid() async throws {
      let directory = ScratchDirectory()
      try directory.write("#!/bin/sh\n", to: "tool", mode: 0o644)
      let error = try await launchFailure(directory.file("tool"))
      #expect(error.launchFailure?.number == .permissionDenied)
      #expect(error.retryability == .notRetryable)
      #expect(try await launchFailure(directory.path).launchFailure?.number == .permissionDenied)
    }

    @Test func fileThatIsNoProgramIsSaid() async throws {
      let directory = ScratchDirectory()
      try directory.write("nothing", to: "tool", mode: 0o755)
      #expect(
        try await launchFailure(directory.file("tool")).launchFailure?.number.rawValue == ENOEXEC)
    }

    @Test func missingWorkingDirectoryIsSaid() async throws {
      var configuration = ProcessConfiguration()
      configuration.workingDirectory = "/nonexistent"
      let error = try await launchFailure("true", [], configuration)
      #expect(error.launchFailure?.call == "chdir")
      #expect(error.launchFailure?.path == "/nonexistent")
      #expect(error.launchFailure?.number == .notFound)
    }

    @Test func nulInAnArgumentIsRefused() async throws {
      #expect(
        try await launchFailure("echo", ["a\0b"]).launchFailure?.number == .illegalByteSequence)
    }

    @Test func argumentsBeyondTheKernelsLimitAreSaid() async throws {
      let error = try await launchFailure("true", [String(repeating: "x", count: 8 << 20)])
      #expect(error.launchFailure?.number.rawValue == E2BIG)
    }

    @Test func pathIsSearchedInTheChildsEnvironmentAndNeverInTheWorkingDirectory() async throws {
      let directory = ScratchDirectory()
      try directory.write("#!/bin/sh\necho mine\n", to: "own-tool", mode: 0o755)
      var configuration = ProcessConfiguration()
      configuration.workingDirectory = directory.path
      configuration.environment = .updating(["PATH": ":.:/usr/bin"])
      #expect(
        try await launchFailure("own-tool", [], configuration).launchFailure?.number == .notFound)
      configuration.environment = .exactly(["PATH": "/nonexistent:\(directory.path)"])
      #expect(
        try await runProcess("own-tool", configuration: configuration).outputTail == "mine\n")
      configuration.environment = .inherited
      #expect(
        try await runProcess("./own-tool", configuration: configuration).outputTail == "mine\n")
    }

    @Test func environmentIsAsConfigured() async throws {
      var configuration = ProcessConfiguration()
      configuration.environment = .exactly(["A": "1", "B": "x=y"])
      #expect(
        try await runProcess("/usr/bin/env", configuration: configuration).outputTail
          == "A=1\nB=x=y\n")
      configuration.environment = .updating(["A": "1", "PATH": nil])
      let text = try await runProcess("/usr/bin/env", configuration: configuration).outputTail
      #expect(text.contains("A=1\n"))
      #expect(!text.split(separator: "\n").contains { $0.hasPrefix("PATH=") })
    }

    @Test func childHasItsOwnSessionDefaultSignalsAndThreeDescriptors() async throws {
      let extra = unsafe open("/dev/null", O_RDONLY)
      defer { close(extra) }
      signal(SIGUSR2, SIG_IGN)
      defer { signal(SIGUSR2, SIG_DFL) }
      let report = try await runProcess("ls", ["/proc/self/fd"])
      // The fourth is the directory that is being listed.
      #expect(report.outputTail == "0\n1\n2\n3\n")
      let status = try await runProcess("grep", ["-E", "^Sig(Blk|Ign)", "/proc/self/status"])
      #expect(
        status.outputTail.split(separator: "\n").allSatisfy { $0.hasSuffix("0000000000000000") })
      let session = try await Shell.run("cut -d' ' -f1,5,6 /proc/$$/stat")
      let pid = session.processID
      #expect(session.outputTail == "\(pid) \(pid) \(pid)\n")
    }

    @Test func standardInputIsEmptyAndReadOnly() async throws {
      let report = try await Shell.run(
        "cat; readlink /proc/self/fd/0; grep flags /proc/self/fdinfo/0")
      #expect(report.outputTail.hasPrefix("/dev/null\n"))
      // The last octal digit says how it was opened: 0 is for reading.
      #expect(report.outputTail.hasSuffix("0\n"))
    }

    @Test func closedStandardDescriptorsOfTheCallerDoNoHarm() async throws {
      let saved = fcntl(0, F_DUPFD_CLOEXEC, 64)
      close(0)
      let report = try await Shell.run("cat; echo out; echo error >&2")
      if saved >= 0 {
        dup2(saved, 0)
        close(saved)
      }
      #expect(report.outputTail == "out\n")
      #expect(report.errorTail == "error\n")
    }

    @Test func exhaustedDescriptorsFailTheLaunchAndLeakNothing() async throws {
      _ = try await Shell.run(":")
      let before = Shell.descriptors
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      // One more free descriptor each time: every step of the launch fails once.
      let highest = (0..<1024).last { fcntl(Int32($0), F_GETFD) != -1 } ?? 0
      var succeeded = false
      for room in 0..<12 where !succeeded {
        var lowered = limit
        lowered.rlim_cur = rlim_t(highest + 1 + room)
        // Fill the gaps below, so that only the room is left.
        var fillers: [Int32] = []
        while case let filler = dup(2), filler >= 0 {
          if filler > highest {
            close(filler)
            break
          }
          fillers.append(filler)
        }
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &lowered)
        let error = await failure { try await Shell.run(":") }
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        for filler in fillers { close(filler) }
        if let error {
          let launch = (error as? ProcessError)?.launchFailure
          #expect(launch?.number == .tooManyOpenFiles, "\(room): \(error)")
          #expect((error as? ProcessError)?.retryability.isRetryable == true)
        } else {
          succeeded = true
        }
      }
      #expect(succeeded)
      #expect(Shell.descriptors == before)
      #expect(Shell.children.isEmpty)
    }
  }
}
