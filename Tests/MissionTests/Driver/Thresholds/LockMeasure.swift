import Reliability

/// The lock while twenty want it: how long they wait, and what waiting costs.
enum LockMeasure {
  static func run(
    _ scratch: Scratch, _ milliseconds: Int, _ findings: Findings
  ) async throws {
    let lock = BackoffLock(scratch.file("contended.lock"))
    let end = ContinuousClock.now + .milliseconds(milliseconds)
    try await withThrowingTaskGroup { group in
      for _ in 0..<16 { group.addTask { try await hold(lock, until: end) } }
      for _ in 0..<4 {
        group.addTask {
          try await Process.run([
            "contend", "--path", lock.path, "--milliseconds", "\(milliseconds)",
          ])
        }
      }
      try await group.waitForAll()
    }
    findings.add(.time("lock wait, 16 tasks and 4 processes", below: 100, lock.statistics.wait))
    findings.expect(lock.statistics.timeouts == 0, "\(lock.statistics.timeouts) lock timeouts")
    findings.add(
      .load("processor time of 20 that wait for the lock", below: 10, "%", try await waiting(lock)))
  }

  /// One of the contenders that are processes.
  static func contend(_ arguments: Arguments) async throws {
    try await hold(
      BackoffLock(arguments["path"] ?? ""), until: ContinuousClock.now + arguments.duration)
  }

  /// Holds the lock for a tenth of a millisecond, again and again.
  private static func hold(_ lock: BackoffLock, until end: ContinuousClock.Instant) async throws {
    // Once at least, however late it comes to begin.
    repeat {
      try await lock.withLock { _ in
        try await ContinuousClock().wait(for: .microseconds(100))
      }
    } while ContinuousClock.now < end
  }

  /// Processor time of this process, in percent of the time, while a holder does nothing and twenty wait.
  private static func waiting(_ lock: BackoffLock) async throws -> Double {
    try await withThrowingTaskGroup { group in
      let share = try await lock.withLock { _ in
        for _ in 0..<20 { group.addTask { try await lock.withLock { _ in } } }
        _ = await Process.settles { lock.statistics.waiting == 20 }
        let start = (ContinuousClock.now, Process.processorTime)
        try await ContinuousClock().wait(for: .milliseconds(500))
        return 100 * ((Process.processorTime - start.1) / (ContinuousClock.now - start.0))
      }
      try await group.waitForAll()
      return share
    }
  }
}
