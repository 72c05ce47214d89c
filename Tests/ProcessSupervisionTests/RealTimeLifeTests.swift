import ProcessSupervision
import ReliabilityTestSupport
import ReliabilityTesting
import Synchronization
import Testing

extension RealTimeProcessTests {
  /// Bodies, cancellation, deadlines and many children.
  @Suite struct Life {
    @Test func linesComeAsTheyAreWrittenFromBothOutputs() async throws {
      let lines = try await withProcess(
        "/bin/sh", ["-c", "printf 'a\\nb\\r50%%\\r100%%\\r\\nc\\n\\nlast'; echo error >&2"]
      ) { process in
        var lines: [ProcessLine] = []
        for try await line in process.lines { lines.append(line) }
        return lines
      }
      #expect(
        lines.filter { $0.source == .output }.map(\.text) == [
          "a", "b", "50%", "100%", "c", "", "last",
        ])
      #expect(lines.filter { $0.source == .error }.map(\.text) == ["error"])
    }

    @Test func slowReaderHoldsTheProcessUpAndLosesNothing() async throws {
      var configuration = ProcessConfiguration()
      configuration.lineBufferBytes = 4096
      configuration.limits.stall = .seconds(120)
      let directory = ScratchDirectory()
      configuration.workingDirectory = directory.path
      let count = try await withProcess(
        "/bin/sh", ["-c", "while [ ! -e go ]; do sleep 0.01; done; seq 60000"],
        configuration: configuration
      ) { process in
        // Nothing is written before somebody reads.
        let lines = process.lines
        var iterator = lines.makeAsyncIterator()
        try directory.write("", to: "go")
        var next = 1
        while let line = try await iterator.next() {
          #expect(line.text == "\(next)")
          next += 1
          if next % 5000 == 0 { await Task.yield() }
        }
        #expect(process.droppedLineBytes == 0)
        return next - 1
      }
      #expect(count == 60000)
    }

    @Test func outputThatNobodyReadsDoesNotHoldTheProcessUp() async throws {
      var configuration = ProcessConfiguration()
      configuration.lineBufferBytes = 4096
      try await withProcess("seq", ["200000"], configuration: configuration) { process in
        let report = try await process.waitUntilExit()
        #expect(report.outputTail.hasSuffix("200000\n"))
        #expect(process.droppedLineBytes > 0)
      }
    }

    @Test func valueOfABodyThatReturnsEarlyIsKeptAndTheProcessEnded() async throws {
      let (first, pid) = try await withProcess("yes") { process in
        for try await line in process.lines { return (line.text, process.processID) }
        return ("", 0)
      }
      #expect(first == "y")
      #expect(!Shell.isAlive(pid))
    }

    @Test func errorOfABodyIsThrownAndTheProcessEnded() async throws {
      struct Mine: Error {}
      let pid = Mutex<Int32>(0)
      await #expect(throws: Mine.self) {
        try await withProcess("sleep", ["600"]) { process in
          pid.withLock { $0 = process.processID }
          throw Mine()
        }
      }
      #expect(!Shell.isAlive(pid.withLock { $0 }))
    }

    @Test func errorOfABodyAfterTheProcessFailedIsTheCause() async throws {
      struct Mine: Error {}
      let error = await failure {
        try await withProcess("false") { process in
          _ = try await process.waitUntilExit()
          throw Mine()
        }
      }
      let found = try #require(error as? ProcessError)
      #expect(found.code == .exitCode)
      #expect(found.bodyError is Mine)
    }

    @Test func terminateEndsTheProcessWithoutAFailure() async throws {
      let report = try await withProcess("sleep", ["600"]) { process in
        process.terminate()
        process.terminate()
        return try await process.waitUntilExit()
      }
      #expect(report.stopReason == .requested)
      #expect(report.exit == .signal(15))
    }

    @Test @MainActor func bodyRunsWhereTheCallerRuns() async throws {
      final class NotSendable { var lines = 0 }
      let box = NotSendable()
      try await withProcess("seq", ["3"]) { process in
        MainActor.assertIsolated()
        for try await _ in process.lines {
          MainActor.assertIsolated()
          box.lines += 1
        }
      }
      #expect(box.lines == 3)
    }

    @Test func cancellationAtEveryStageEndsTheProcessAndIsACancellation() async {
      await #expect(processExitsWith: .success) {
        _ = try await Shell.run(":")
        let before = Shell.descriptors
        for delay in 0..<60 {
          let task = Task {
            try await withProcess("/bin/sh", ["-c", "echo a; sleep 0.01; echo b; exec sleep 600"]) {
              process in
              for try await _ in process.lines {}
            }
          }
          if delay > 0 {
            try await ContinuousClock().wait(for: .microseconds(delay * delay * 20))
          }
          task.cancel()
          await #expect(throws: CancellationError.self) { try await task.value }
        }
        #expect(Shell.children.isEmpty)
        #expect(Shell.descriptors == before)
      }
    }

    @Test func cancelledBodyThatReturnsAnywayIsACancellation() async throws {
      let task = Task {
        try await withProcess("sleep", ["600"]) { process in
          do { for try await _ in process.lines {} } catch {}
          return 1
        }
      }
      try await ContinuousClock().wait(for: .milliseconds(20))
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func cancelledCallerStartsNothing() async throws {
      let task = Task {
        unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
        return try await Shell.run("sleep 600")
      }
      await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func waitInAChildTaskCanBeCancelledAlone() async throws {
      try await withProcess("sleep", ["600"]) { process in
        let waiter = Task { try await process.waitUntilExit() }
        waiter.cancel()
        await #expect(throws: CancellationError.self) { try await waiter.value }
        #expect(process.report == nil)
      }
    }

    @Test func passedDeadlineStartsNothing() async throws {
      let scope = DeadlineScope(until: .now - .seconds(1))
      let error = await Deadline.$scope.withValue(scope) {
        await failure { try await Shell.run("echo no") }
      }
      let found = try #require(error as? ProcessError)
      #expect(found.code == .timedOut)
      #expect(found.report.stopReason == .deadline)
      #expect(found.report.processID == 0)
    }

    @Test func limitsGoByTheSupervisorsClock() async throws {
      let clock = ManualClock()
      let supervisor = ProcessSupervisor(name: "manual", clock: clock)
      var configuration = ProcessConfiguration()
      configuration.limits.total = .seconds(3600)
      configuration.samplingInterval = .seconds(86_400)
      configuration.grace = .seconds(60)
      configuration.alerts.time = 2
      let run = Task { [configuration] in
        try await supervisor.run(
          "/bin/sh", ["-c", "trap '' TERM; echo; while :; do sleep 1; done"],
          configuration: configuration)
      }
      await clock.nextScheduled()
      clock.advance(by: .seconds(3600))
      // The grace time is over only when the clock says so.
      await clock.nextScheduled()
      clock.advance(by: .seconds(60))
      // What is left is over as soon as the kernel is done; looks at it are the clock's too.
      let pump = Task {
        while !Task.isCancelled {
          clock.advance(by: .milliseconds(1))
          try await ContinuousClock().wait(for: .milliseconds(1))
        }
      }
      let error = await failure { try await run.value }
      pump.cancel()
      let report = try #require(error as? ProcessError).report
      #expect(report.stopReason == .totalLimit)
      #expect(report.duration >= .seconds(3600))
    }

    @Test func deadlineEndsTheProcess() async throws {
      let scope = DeadlineScope(until: .now + .milliseconds(300))
      let error = await Deadline.$scope.withValue(scope) {
        await failure { try await Shell.run("sleep 600") }
      }
      #expect((error as? ProcessError)?.report.stopReason == .deadline)
    }

    @Test func aHundredChildrenAtOnceAllEnd() async {
      await #expect(processExitsWith: .success) {
        _ = try await Shell.run(":")
        let before = Shell.descriptors
        try await withThrowingTaskGroup(of: Bool.self) { group in
          for number in 0..<100 {
            group.addTask {
              let report = try await Shell.run("echo \(number); sleep 0.1; echo \(number) >&2")
              return report.outputTail == "\(number)\n" && report.errorTail == "\(number)\n"
            }
          }
          for try await isRight in group { #expect(isRight) }
        }
        #expect(Shell.descriptors == before)
        #expect(Shell.children.isEmpty)
      }
    }

    @Test func aThousandRunsLeaveNothingBehind() async {
      await #expect(processExitsWith: .success) {
        _ = try await Shell.run(":")
        let before = Shell.descriptors
        for number in 0..<1000 {
          switch number % 4 {
          case 0: _ = await failure { try await runProcess("/nonexistent") }
          case 1: _ = await failure { try await runProcess("false") }
          case 2: try await withProcess("true") { _ in }
          default: try await runProcess("true")
          }
        }
        #expect(Shell.descriptors == before)
        #expect(Shell.children.isEmpty)
      }
    }

    @Test func othersChildrenAreNotAwaited() async throws {
      let mine = try OtherChild()
      _ = try await Shell.run("sleep 0.05")
      #expect(mine.exitCode() == 7)
    }

    @Test func capturedOutputIsTheBeginning() async throws {
      var configuration = ProcessConfiguration()
      configuration.capturedBytes = 5
      configuration.tailCharacters = 3
      let report = try await runProcess("printf", ["héllo wörld"], configuration: configuration)
      #expect(String(decoding: report.output, as: UTF8.self) == "héll")
      #expect(report.outputTail == "rld")
      #expect(report.outputBytes == 13)
    }

    @Test func observerHearsEverythingInOrderBeforeTheCallReturns() async throws {
      let events = Log<String>()
      let supervisor = ProcessSupervisor(name: "test") { event in
        switch event.kind {
        case .started: events.append("started")
        case .firstOutput: events.append("firstOutput")
        case .sampled: break
        case .alert: break
        case .stopping(let reason): events.append("stopping \(reason.rawValue)")
        case .terminated: events.append("TERM")
        case .killed: events.append("KILL")
        case .ended(let report): events.append("ended \(report.exit)")
        }
      }
      var configuration = ProcessConfiguration()
      configuration.limits.total = .milliseconds(200)
      configuration.grace = .zero
      _ = await failure {
        try await supervisor.run(
          // One process: of several, one that has not quite ended is killed once more.
          "/bin/sh", ["-c", "trap '' TERM; echo; exec sleep 600"], configuration: configuration)
      }
      #expect(
        events.all == [
          "started", "firstOutput", "stopping total", "TERM", "KILL", "ended signal(9)",
        ])
      let samples = supervisor.samples()
      func value(_ name: String, _ label: String? = nil) -> Double? {
        samples.first { sample in
          sample.name == name && (label == nil || sample.labels.contains { $0.value == label })
        }?.value
      }
      #expect(value("process_running") == 0)
      #expect(value("process_started_total") == 1)
      #expect(value("process_kills_total") == 1)
      #expect(value("process_stops_total", "total") == 1)
      #expect(value("process_failures_total", "process_timeout") == 1)
      #expect(value("process_ended_total", "signalled") == 1)
    }

    @Test func observerMayUseTheSupervisor() async throws {
      let supervisor = Mutex<ProcessSupervisor?>(nil)
      final class Box: Sendable { let supervisor = Mutex<ProcessSupervisor?>(nil) }
      let box = Box()
      let made = ProcessSupervisor(name: "inner") { _ in
        _ = box.supervisor.withLock { $0 }?.samples()
      }
      box.supervisor.withLock { $0 = made }
      supervisor.withLock { $0 = made }
      try await made.run("true")
      box.supervisor.withLock { $0 = nil }
    }

    @Test func samplesShowTheWholeTree() async throws {
      var configuration = ProcessConfiguration()
      configuration.samplingInterval = .milliseconds(50)
      try await withProcess(
        "/bin/sh", ["-c", "sleep 600 & sleep 600 & wait"], configuration: configuration
      ) { process in
        while await process.samples().count < 3 {
          try await ContinuousClock().wait(for: .milliseconds(10))
        }
        let sample = try #require(await process.samples().last)
        #expect(sample.memoryMegabytes ?? 0 > 0.5)
        #expect(sample.cpuPercent ?? -1 >= 0)
        #expect(sample.memoryPercent ?? -1 >= 0)
        #expect(sample.diskBytesRead != nil)
        #expect(sample.diskBytesWritten != nil)
        process.reportProgress("45 %")
        process.terminate()
        let report = try await process.waitUntilExit()
        #expect(report.timeline.contains { $0.event == .progress && $0.detail == "45 %" })
      }
    }
  }
}
