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
  ]

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
