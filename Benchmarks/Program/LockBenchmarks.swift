import BackoffLock

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What a lock costs alone, and how it shares between twenty processes.
enum LockBenchmarks {
  static let all: [Benchmark] = [
    uncontended("plain", .plain),
    uncontended("queue", .queue),
    Benchmark(name: "lock/20-processes") {
      try await crowd("lock/20-processes", rounds: 100, isDurable: false)
    },
    Benchmark(name: "lock/20-processes-durable") {
      try await crowd("lock/20-processes-durable", rounds: 100, isDurable: true)
    },
  ]

  private static func uncontended(_ name: String, _ strategy: BackoffLock.Strategy) -> Benchmark {
    .timed("lock/uncontended-\(name)") {
      let directory = try ScratchDirectory()
      var configuration = BackoffLock.Configuration()
      configuration.strategy = strategy
      let lock = BackoffLock(directory.path + "/lock", configuration: configuration)
      let raw = unsafe open(directory.path + "/raw", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      return Comparison(
        subject: { iterations in
          for _ in 0..<iterations { try await lock.withLock { keep($0.turn) } }
        },
        yardstick: (
          "flock-pair",
          { iterations in
            for _ in 0..<iterations {
              _ = flock(raw, LOCK_EX)
              _ = flock(raw, LOCK_UN)
            }
          }
        ),
        cleanUp: {
          close(raw)
          directory.remove()
        })
    }
  }

  private static let processes = 20

  /// Twenty processes with a fixed number of rounds each, which all begin at one instant.
  private static func crowd(_ name: String, rounds: Int, isDurable: Bool) async throws -> Result {
    let directory = try ScratchDirectory()
    defer { directory.remove() }
    // So that the workers meet a settled lock file, as in the second run of a program.
    try await BackoffLock(directory.path + "/lock").withLock { _ in }
    let start = LockWorker.now() + 700_000_000
    var children: [pid_t] = []
    for index in 0..<processes {
      children.append(
        try LockWorker.spawn([
          directory.path, "\(index)", "\(start)", "\(rounds)", isDurable ? "durable" : "sleep",
          "locked",
        ]))
    }
    try children.forEach(LockWorker.wait)
    let reports = try (0..<processes).map {
      try LockWorker.Report(directory.path + "/report-\($0)")
    }
    var result = summary(name, reports, start: start)
    // The same work by one process without the lock: what is above it is the lock's.
    try LockWorker.wait(
      LockWorker.spawn([
        directory.path, "alone", "0", "\(processes * rounds)", isDurable ? "durable" : "sleep",
        "unlocked",
      ]))
    let work = try Double(LockWorker.Report(directory.path + "/report-alone").cpu)
    let used = reports.map { Double($0.cpu) }.reduce(0, +)
    let time = Double((reports.compactMap { $0.rounds.last?.end }.max() ?? start) - start)
    result.figures += [
      ("cpu_percent", used / time * 100), ("work_cpu_percent", work / time * 100),
      ("cpu_above_work_percent", (used - work) / time * 100),
    ]
    return result
  }

  private static func summary(
    _ name: String, _ reports: [LockWorker.Report], start: Int64
  ) -> Result {
    let waits = reports.flatMap { $0.rounds.map { Double($0.wait) } }
    let holds = reports.flatMap { $0.rounds.map { Double($0.hold) } }
    let ends = reports.map { Double(($0.rounds.last?.end ?? start) - start) }
    let total = ends.max() ?? 1
    let half = start + Int64(total / 2)
    let shares = reports.map { report in Double(report.rounds.count { $0.end <= half }) }
    let sorted = Summary(waits)
    var result = Result(name: name, unit: .nanoseconds, summary: sorted)
    let hold = Summary(holds)
    result.figures = [
      ("p50_ms", sorted.median / 1e6), ("p99_ms", sorted.p99 / 1e6),
      ("max_ms", (waits.max() ?? 0) / 1e6), ("hold_p50_ms", hold.median / 1e6),
      ("hold_max_ms", (holds.max() ?? 0) / 1e6), ("seconds", total / 1e9),
      ("spread_percent", (total - (ends.min() ?? 0)) / total * 100),
      ("half_time_share_min", shares.min() ?? 0), ("half_time_share_max", shares.max() ?? 0),
    ]
    return result
  }
}

/// One of the processes that contend for a lock: this program again, by an argument that `--help` doesn't show.
struct LockWorker {
  static let argument = "--lock-worker"

  /// What one process saw, in nanoseconds.
  struct Report {
    var cpu: Int64
    var rounds: [(wait: Int64, hold: Int64, end: Int64)]
  }

  private let directory: String
  private let index: String
  private let start: Int64
  private let rounds: Int
  private let isDurable: Bool
  private let isLocked: Bool

  init(_ arguments: [String]) throws {
    guard arguments.count == 6, let start = Int64(arguments[2]), let rounds = Int(arguments[3])
    else { throw UsageError("\(LockWorker.argument) is for this program itself") }
    (directory, index, self.start) = (arguments[0], arguments[1], start)
    (self.rounds, isDurable) = (rounds, arguments[4] == "durable")
    isLocked = arguments[5] == "locked"
  }

  /// Takes the lock again and again, and writes down what happened.
  func run() async throws {
    let lock = BackoffLock(directory + "/lock")
    let log = Self.openFile(directory + "/log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC)
    let line = [UInt8](repeating: 0x61, count: 199) + [0x0A]
    var numbers: [Int64] = []
    let delay = start - Self.now()
    if delay > 0 { usleep(UInt32(delay / 1000)) }
    let cpu = Self.processorTime()
    let work = {
      let taken = Self.now()
      if isDurable {
        _ = unsafe line.withUnsafeBytes { unsafe write(log, $0.baseAddress, $0.count) }
        _ = fdatasync(log)
      } else {
        usleep(1000)
      }
      return (taken, Self.now())
    }
    for _ in 0..<rounds {
      let asked = Self.now()
      let (taken, done) = isLocked ? try await lock.withLock { _ in work() } : work()
      numbers += [taken - asked, done - taken, done]
    }
    numbers.append(Self.processorTime() - cpu)
    let report = Self.openFile(directory + "/report-\(index)", O_WRONLY | O_CREAT | O_CLOEXEC)
    let written = unsafe numbers.withUnsafeBytes {
      unsafe write(report, $0.baseAddress, $0.count)
    }
    guard written == numbers.count * 8 else { throw WorkerFailure(status: errno) }
  }

  /// Starts a worker.
  static func spawn(_ arguments: [String]) throws -> pid_t {
    #if os(Linux)
      let program = "/proc/self/exe"
    #else
      let program = CommandLine.arguments[0]
    #endif
    var texts: [UnsafeMutablePointer<CChar>?] = unsafe ([program, argument] + arguments).map {
      unsafe strdup($0)
    }
    unsafe texts.append(nil)
    defer { unsafe texts.forEach { text in unsafe free(text) } }
    var child: pid_t = 0
    let result = unsafe posix_spawn(&child, program, nil, nil, texts, environ)
    guard result == 0 else { throw WorkerFailure(status: result) }
    return child
  }

  /// Waits for the end of a worker.
  static func wait(_ child: pid_t) throws {
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) == -1 && errno == EINTR {}
    guard status == 0 else { throw WorkerFailure(status: status) }
  }

  /// By a clock that all processes share.
  static func now() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  private static func processorTime() -> Int64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  fileprivate static func openFile(_ path: String, _ flags: Int32) -> Int32 {
    unsafe open(path, flags, 0o644)
  }
}

extension LockWorker.Report {
  init(_ path: String) throws {
    let file = LockWorker.openFile(path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    var numbers = [Int64](repeating: 0, count: 100_000)
    let count = unsafe numbers.withUnsafeMutableBytes {
      unsafe read(file, $0.baseAddress, $0.count) / 8
    }
    guard count > 0, count % 3 == 1 else { throw WorkerFailure(status: errno) }
    rounds = stride(from: 0, to: count - 1, by: 3).map {
      (wait: numbers[$0], hold: numbers[$0 + 1], end: numbers[$0 + 2])
    }
    cpu = numbers[count - 1]
  }
}

/// A worker that could not be started, or did not finish.
struct WorkerFailure: Error {
  var status: Int32
}
