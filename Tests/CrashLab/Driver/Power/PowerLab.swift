#if os(Linux)
  /// Real power cuts: after every changing call of a workload, and again while what is left is being repaired.
  ///
  /// `--type`, `--folder`, `--device` say where; `--workload` what; `--stride` tries each so many-th call only;
  /// `--second` also cuts the repair; `--milliseconds` bounds the time, and `--seed` says where strides begin.
  struct PowerLab {
    private let image: LoopImage
    private let arguments: Arguments
    private let workload: String
    private let evidence: String
    private var verdict: Verdict
    private var cuts = 0
    private var secondCuts = 0

    init(_ arguments: Arguments) {
      self.arguments = arguments
      workload = arguments["workload"]
      image = LoopImage(
        type: arguments["type"], folder: arguments["folder"], device: arguments["device"])
      evidence = arguments["folder"] + "/evidence"
      verdict = Verdict("power/\(workload)/\(arguments["type"])")
    }

    mutating func run() -> Int32 {
      let stride = arguments.int("stride", default: 1)
      let watch = Stopwatch(arguments.duration)
      let total = changesOfWholeRun()
      var (points, missed) = (0, 0)
      for mode in System.CutMode.allCases {
        let first = Int((arguments.seed &+ UInt64(mode.rawValue)) % UInt64(stride))
        for cut in Swift.stride(from: first, through: total, by: stride) {
          points += 1
          if watch.isOver { missed += 1 } else { tryCut(cut, mode) }
        }
      }
      verdict.figure("changing calls", total)
      verdict.figure("cuts", cuts)
      if secondCuts > 0 { verdict.figure("second cuts", secondCuts) }
      if missed > 0 { verdict.figure("not reached in time", "\(missed) of \(points)") }
      verdict.figure("violations", verdict.violations.count)
      verdict.require(cuts > 0, "no cut was made")
      return verdict.print()
    }

    /// One cut; then each cut of the repair; then the repair itself, which must find everything as promised.
    private mutating func tryCut(_ cut: Int, _ mode: System.CutMode) {
      prepare()
      guard hit("work", cut: cut, mode) else {
        finish(cut, mode, nil)
        return
      }
      cuts += 1
      let repairs = finish(cut, mode, nil)
      guard arguments[optional: "second"] != nil, repairs > 0 else { return }
      for second in 0...repairs {
        prepare()
        _ = hit("work", cut: cut, mode)
        image.mount()
        let wasCut = lab("check", cut: second, mode).end == .exited(System.cutStatus)
        image.unmount()
        if wasCut { secondCuts += 1 }
        finish(cut, mode, second)
      }
    }

    private func prepare() {
      image.reset()
      Files.remove(evidence)
    }

    /// Runs the workload once; says whether its power was cut.
    private mutating func hit(_ command: String, cut: Int, _ mode: System.CutMode) -> Bool {
      image.mount()
      let result = lab(command, cut: cut, mode)
      image.unmount()
      if result.end == .exited(System.cutStatus) { return true }
      verdict.require(
        result.end == .exited(0), "\(command) \(cut) \(mode): \(result.end) \(result.output)")
      return false
    }

    /// Lets a new process repair and judge.
    ///
    /// - Returns: How many changing calls the repair made.
    @discardableResult
    private mutating func finish(_ cut: Int, _ mode: System.CutMode, _ second: Int?) -> Int {
      image.mount()
      let result = lab("check", cut: -1, mode)
      image.unmount()
      let point =
        "cut after call \(cut)\(second.map { ", in the repair after \($0)" } ?? ""), \(mode)"
      let lines = result.output.split(separator: "\n")
      verdict.add(
        lines.filter { $0.hasPrefix("violation ") }.map { "\(point): \($0.dropFirst(10))" })
      verdict.require(
        result.end == .exited(0) || result.end == .exited(1), "\(point): checker \(result.end)")
      return changes(lines)
    }

    private mutating func changesOfWholeRun() -> Int {
      prepare()
      image.mount()
      verdict.require(
        Files.names(in: image.mountPoint).allSatisfy { $0 == "lost+found" },
        "the image is not new")
      let result = lab("work", cut: -1, .losesAll)
      image.unmount()
      verdict.require(result.end == .exited(0), "the workload fails by itself: \(result.output)")
      finish(-1, .losesAll, nil)
      return changes(result.output.split(separator: "\n"))
    }

    private func changes(_ lines: [Substring]) -> Int {
      lines.lazy.filter { $0.hasPrefix("changes ") }.compactMap { Int($0.dropFirst(8)) }.last ?? 0
    }

    private func lab(
      _ command: String, cut: Int, _ mode: System.CutMode
    ) -> (end: Child.End, output: String) {
      var words = [
        command, "--workload", workload, "--directory", image.mountPoint, "--evidence", evidence,
        "--fault", Fault.powerCut.rawValue, "--cut", "\(cut)", "--cut-mode", "\(mode.rawValue)",
      ]
      if command == "work", let bug = arguments.bug { words += ["--bug", bug.rawValue] }
      return Child(lab: words, capturesOutput: true).finish()
    }
  }
#endif
