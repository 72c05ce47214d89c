#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// `benchmarks [--filter REGEX] [--json] [--list]`: how fast the package is, as ratios to yardsticks of the same run.
@main
struct Program {
  static let benchmarks: [Benchmark] = [
    YardstickBenchmarks.all,
    TimeoutBenchmarks.all,
    ProgressBenchmarks.all,
    RetryBenchmarks.all,
    HedgeBenchmarks.all,
    BreakerBenchmarks.all,
    LimiterBenchmarks.all,
    ConcurrencyBenchmarks.all,
    PoolBenchmarks.all,
    CacheBenchmarks.all,
    HealthBenchmarks.all,
    ErrorReportBenchmarks.all,
    StoreBenchmarks.all,
    LogBenchmarks.all,
    TransactionBenchmarks.all,
    LockBenchmarks.all,
    DeadLetterBenchmarks.all,
    JobBenchmarks.all,
    ProcessBenchmarks.all,
    DurableJobBenchmarks.all,
    MetricsBenchmarks.all,
  ].flatMap(\.self)

  static func main() async {
    // Off the main actor: every hop to it and back would cost a microsecond.
    let status = await Task.detached {
      await run(arguments: Array(CommandLine.arguments.dropFirst()))
    }
    .value
    exit(status)
  }

  private static func run(arguments: [String]) async -> Int32 {
    do {
      if arguments.first == LockWorker.argument {
        try await LockWorker(Array(arguments.dropFirst())).run()
        return 0
      }
      let options = try Options(arguments)
      SelfCheck.run()
      if options.showsHelp {
        print(Options.help)
        return 0
      }
      let chosen = try benchmarks.filter { try options.includes($0.name) }
      if chosen.isEmpty {
        throw UsageError("no benchmark matches --filter; --list shows their names")
      }
      if options.lists {
        for benchmark in chosen { print(benchmark.name) }
        return 0
      }
      if isDebugBuild {
        throw UsageError("this is a debug build; use swift run -c release benchmarks")
      }
      try await measure(chosen, asJSON: options.printsJSON)
      return 0
    } catch let error as UsageError {
      complain(error.message)
      return 2
    } catch {
      complain("\(error)")
      return 1
    }
  }

  /// Runs the yardsticks, which every run needs to scale its figures, then what was chosen.
  private static func measure(_ chosen: [Benchmark], asJSON: Bool) async throws {
    var mutexPair: Double?
    let others = chosen.filter { benchmark in
      !YardstickBenchmarks.all.contains { $0.name == benchmark.name }
    }
    if !asJSON { print(Report.tableHeader) }
    for benchmark in YardstickBenchmarks.all + others {
      var result: Result
      do {
        result = try await benchmark.measure()
      } catch {
        throw BenchmarkFailure(name: benchmark.name, error: error)
      }
      if benchmark.name == YardstickBenchmarks.mutexPair { mutexPair = result.summary.min }
      if let mutexPair { result.scale(toMutexPair: mutexPair) }
      print(asJSON ? Report.json(result) : Report.tableRow(result))
      fflush(nil)
    }
  }

  /// Assertions are compiled into debug builds only.
  private static var isDebugBuild: Bool {
    var result = false
    assert(
      {
        result = true
        return true
      }())
    return result
  }

  private static func complain(_ message: String) {
    var line = "benchmarks: \(message)\n"
    line.withUTF8 { bytes in _ = unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count) }
  }
}

/// A benchmark that threw instead of measuring.
struct BenchmarkFailure: Error, CustomStringConvertible {
  var name: String
  var error: any Error
  var description: String { "\(name) failed: \(error)" }
}
