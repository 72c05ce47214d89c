import ReliabilityIO

#if os(Linux)
  /// Real power cuts: after every changing call of a workload, and again while what is left is being repaired.
  ///
  /// `--type`, `--folder`, `--device` say where; `--workload` what; `--stride` tries each so many-th call only, and
  /// `--milliseconds` bounds the time. With `--second` every call is cut, however long that takes; then the repairs are
  /// cut, too, in an order drawn by `--seed`, for as long as `--milliseconds` says.
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

    private struct Point {
      let cut: Int
      let mode: System.CutMode
    }

    mutating func run() -> Int32 {
      let stride = arguments.int("stride", default: 1)
      let isWhole = arguments[optional: "second"] != nil
      let watch = Stopwatch(arguments.duration)
      let total = changesOfWholeRun()
      var points: [Point] = []
      for mode in System.CutMode.allCases {
        let first = Int((arguments.seed &+ UInt64(mode.rawValue)) % UInt64(stride))
        points += Swift.stride(from: first, through: total, by: stride).map {
          Point(cut: $0, mode: mode)
        }
      }
      var repairs: [(point: Point, changes: Int)] = []
      for point in points where isWhole || !watch.isOver {
        repairs.append((point, tryCut(point)))
      }
      verdict.figure("changing calls", total)
      verdict.figure("cuts", cuts == points.count ? "\(cuts), all" : "\(cuts) of \(points.count)")
      if isWhole { cutRepairs(repairs.filter { $0.changes > 0 }) }
      verdict.figure("violations", verdict.violations.count)
      verdict.require(cuts > 0, "no cut was made")
      return verdict.print()
    }

    /// Second cuts, for as long as there is time; with the next seed others come first.
    private mutating func cutRepairs(_ repairs: [(point: Point, changes: Int)]) {
      let watch = Stopwatch(arguments.duration)
      var seconds = repairs.flatMap { repair in
        (0...repair.changes).map { (point: repair.point, second: $0) }
      }
      var random = SeededGenerator(seed: arguments.seed)
      seconds.shuffle(using: &random)
      var tried = 0
      for (point, second) in seconds where !watch.isOver {
        tried += 1
        tryCut(point, andItsRepairAfter: second)
      }
      verdict.figure("cuts of repairs", "\(secondCuts) of \(seconds.count)")
      verdict.require(tried == 0 || secondCuts > 0, "no repair was cut")
    }

    /// One cut; then the repair, which must find everything as promised.
    ///
    /// - Returns: How many changing calls the repair made.
    private mutating func tryCut(_ point: Point) -> Int {
      prepare()
      if hit("work", cut: point.cut, point.mode) { cuts += 1 }
      return finish(point.cut, point.mode, nil)
    }

    private mutating func tryCut(_ point: Point, andItsRepairAfter second: Int) {
      prepare()
      _ = hit("work", cut: point.cut, point.mode)
      image.mount()
      let wasCut = lab("check", cut: second, point.mode).end == .exited(System.cutStatus)
      image.unmount()
      if wasCut { secondCuts += 1 }
      finish(point.cut, point.mode, second)
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
