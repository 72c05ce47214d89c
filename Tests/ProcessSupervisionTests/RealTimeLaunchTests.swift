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

    @Test func closedStandardDescriptorsOfTheCallerDoNoHarm() async {
      // In a process of its own: the whole program would be without them meanwhile.
      await #expect(processExitsWith: .success) {
        close(0)
        let report = try await Shell.run("cat; echo out; echo error >&2")
        #expect(report.outputTail == "out\n")
        #expect(report.errorTail == "error\n")
      }
    }

    @Test func exhaustedDescriptorsFailTheLaunchAndLeakNothing() async {
      await #expect(processExitsWith: .success) {
        _ = try await Shell.run(":")
        let before = Shell.descriptors
        var limit = rlimit()
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var failures = 0
        // One more free descriptor each time: every step of the launch fails once.
        for room in 0..<12 {
          var fillers: [Int32] = []
          while case let filler = dup(0), filler >= 0, filler < 256 { fillers.append(filler) }
          let last = fillers.last ?? 0
          for filler in fillers.suffix(room) { close(filler) }
          var lowered = limit
          lowered.rlim_cur = rlim_t(last + 1)
          unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &lowered)
          let error = await failure { try await Shell.run(":") }
          unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
          for descriptor in (3 as Int32)...last where fillers.contains(descriptor) {
            close(descriptor)
          }
          close(last + 1)
          guard let error else { continue }
          failures += 1
          let launch = (error as? ProcessError)?.launchFailure
          #expect(launch?.number == .tooManyOpenFiles, "\(room): \(error)")
          #expect((error as? ProcessError)?.retryability.isRetryable == true)
        }
        #expect((4...8).contains(failures), "\(failures)")
        #expect(Shell.descriptors == before)
        #expect(Shell.children.isEmpty)
      }
    }

    @Test func callerThatIgnoresSigchldIsNotHungAndSaysThatItDoesNotKnow() async {
      await #expect(processExitsWith: .success) {
        signal(SIGCHLD, SIG_IGN)
        let error = try await Shell.failure("exit 3")
        #expect(error.code == .exitUnknown)
        #expect(error.report.exit == .unknown)
      }
    }
  }
}
