import ProcessSupervision

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What supervision adds to running a program, and what a look at a tree of ten processes costs.
enum ProcessBenchmarks {
  static let all: [Benchmark] = [
    .timed("supervisor/spawn-reap") {
      Comparison(
        subject: { iterations in
          for _ in 0..<iterations { keep(try await runProcess("/bin/true").processID) }
        },
        yardstick: (
          "posix_spawn-wait4",
          { iterations in
            for _ in 0..<iterations { keep(spawnAndWait("/bin/true")) }
          }
        ), sampleLength: .milliseconds(50))
    },
    Benchmark(name: "supervisor/sample-10", measure: sampleTen),
    Benchmark(name: "supervisor/monitoring", measure: monitoring),
  ]

  /// What watching twenty trees of three processes at the default interval takes of this process: memory, and of one processor.
  ///
  /// Two samples of each, so eleven seconds.
  private static func monitoring() async throws -> Result {
    func used() -> Double {
      var usage = rusage()
      #if canImport(Glibc)
        let whom = __rusage_who_t(RUSAGE_SELF.rawValue)
      #else
        let whom = RUSAGE_SELF
      #endif
      _ = unsafe getrusage(whom, &usage)
      return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    }
    // What the first process of all brings with it is part of the price.
    let before = Memory.residentBytes
    let figures = try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask {
          try await withProcess("/bin/sh", ["-c", "sleep 600 & sleep 600 & wait"]) { process in
            _ = try await process.waitUntilExit()
          }
        }
      }
      try await ContinuousClock().wait(for: .milliseconds(500))
      let (start, cpu) = (ContinuousClock.now, used())
      try await ContinuousClock().wait(for: .milliseconds(10_500))
      let share = (used() - cpu) / ((ContinuousClock.now - start) / .seconds(1)) * 100
      let growth = Memory.residentBytes - before
      group.cancelAll()
      while let result = await group.nextResult() { _ = result }
      return (growth, share)
    }
    var result = Result(
      name: "supervisor/monitoring", unit: .bytes, summary: Summary([max(0, figures.0)]))
    result.figures.append(("cpu_percent_of_one_core", figures.1))
    return result
  }

  private static func spawnAndWait(_ path: String) -> pid_t {
    var pid = pid_t()
    let name = unsafe strdup(path)
    defer { unsafe free(name) }
    let arguments = unsafe [name, nil]
    guard unsafe posix_spawn(&pid, path, nil, nil, arguments, environ) == 0 else { return 0 }
    var status: Int32 = 0
    var usage = rusage()
    return unsafe wait4(pid, &status, 0, &usage)
  }

  /// A shell with nine children, looked at by the supervisor's own means.
  ///
  /// The figure beside it is the part of one processor's time that this takes at the default interval.
  private static func sampleTen() async throws -> Result {
    try await withProcess(
      "/bin/sh", ["-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 600 & done; echo; wait"]
    ) { process in
      for try await _ in process.lines { break }
      var times: [Double] = []
      for _ in 0..<200 {
        let look = await process.measure()
        times.append(Double(look.cost.components.attoseconds) / 1e9)
        precondition(look.processes == 10, "the tree has \(look.processes) processes")
      }
      process.terminate()
      var result = Result(
        name: "supervisor/sample-10", unit: .nanoseconds, summary: Summary(times))
      result.figures.append(("share_of_5_s_percent", result.summary.median / 5e9 * 100))
      return result
    }
  }
}
