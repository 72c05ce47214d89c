import ReliabilityIO

/// Each file call of a workload fails in turn, with each error it can give, and the process is killed at each.
///
/// The tracer does it from outside, so what is tested is the program as it is. `--directory`, `--workload`, `--seed`
/// and `--milliseconds`: when the time is short, the points are a sample that the seed chooses.
struct InjectionLab {
  private let folder: String
  private let directory: String
  private let evidence: String
  private let workload: String
  private var verdict: Verdict
  private var hits = 0

  private init(_ arguments: Arguments) {
    workload = arguments["workload"]
    folder = Files.fresh(arguments["directory"] + "/injection-\(workload)")
    directory = folder + "/files"
    evidence = folder + "/evidence"
    verdict = Verdict("inject/\(workload)")
  }

  static func run(_ arguments: Arguments) -> Int32 {
    var lab = InjectionLab(arguments)
    return lab.run(arguments)
  }

  private mutating func run(_ arguments: Arguments) -> Int32 {
    let watch = Stopwatch(arguments.duration)
    let calls = Trace.calls.joined(separator: ",")
    let trace = Trace(traced(["-y", "-e", "trace=\(calls)"]), about: directory)
    verdict.require(trace.points.count > 5, "the tracer saw only \(trace.points.count) calls")
    var faults: [(TracedCall, String)] = []
    for call in trace.points {
      faults += call.errors.map { (call, "error=\($0)") }
      faults.append((call, "signal=KILL"))
    }
    var random = SeededGenerator(seed: arguments.seed)
    faults.shuffle(using: &random)
    var tried = 0
    for (call, fault) in faults where !watch.isOver {
      tried += 1
      inject(fault, into: call)
    }
    verdict.figure("file calls", trace.points.count)
    verdict.figure("faults", tried == faults.count ? "\(tried)" : "\(tried) of \(faults.count)")
    verdict.figure("met", hits)
    verdict.figure("violations", verdict.violations.count)
    verdict.require(hits * 2 > tried, "most faults were not met")
    return verdict.print()
  }

  private mutating func inject(_ fault: String, into call: TracedCall) {
    let trace = traced([
      "-e", "trace=\(call.name)", "-e", "inject=\(call.name):\(fault):when=\(call.number)",
    ])
    let isKill = fault.hasPrefix("signal")
    let wasHit = trace.contains("(INJECTED)") || isKill && trace.contains("killed by SIGKILL")
    if wasHit { hits += 1 }
    let point = "\(call.name) no. \(call.number) with \(fault)"
    let check = Child(
      lab: [
        "check", "--workload", workload, "--directory", directory, "--evidence", evidence,
        "--fault", (isKill ? Fault.killed : Fault.failedCall).rawValue,
      ], capturesOutput: true
    ).finish()
    for line in check.output.split(separator: "\n") where line.hasPrefix("violation ") {
      verdict.require(false, "\(point): \(line.dropFirst(10))")
    }
    verdict.require(
      check.end == .exited(0) || check.end == .exited(1), "\(point): checker \(check.end)")
    guard !isKill else { return }
    let error = fault.dropFirst("error=".count)
    for refusal in History(evidence).refusals {
      verdict.require(
        error != "EINTR" && refusal.contains(error) && refusal.contains(directory),
        "\(point) was reported as: \(refusal)")
    }
  }

  /// Runs the workload once in an empty directory, under the tracer; returns what that wrote.
  private func traced(_ options: [String]) -> String {
    _ = Files.fresh(directory)
    Files.remove(evidence)
    let output = folder + "/trace"
    let words =
      ["strace", "-f", "-o", output] + options + [
        CommandLine.arguments[0], "work", "--workload", workload, "--directory", directory,
        "--evidence", evidence,
      ]
    _ = Child(words, capturesOutput: true).finish()
    return Files.text(output) ?? ""
  }
}
