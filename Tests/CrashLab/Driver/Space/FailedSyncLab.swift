#if os(Linux)
  /// A disk that takes every write and loses it: the kernel says so at a sync, once, and then reports success.
  ///
  /// A file system on a loop device whose own disk is full does that for real. What was said to be done must be there
  /// when the page cache is gone.
  struct FailedSyncLab {
    static func run(_ arguments: Arguments) -> Int32 {
      var verdict = Verdict("failed-sync/\(arguments["workload"])")
      let image = LoopImage(
        type: arguments["type"], folder: arguments["folder"], device: arguments["device"])
      let evidence = arguments["records"] + "/evidence"
      Files.remove(evidence)
      // The file system's own blocks are safe; only what is new has no place.
      image.reset(keepsZeros: true)
      let words = [
        "--workload", arguments["workload"], "--directory", image.mountPoint,
        "--evidence", evidence, "--fault", Fault.powerCut.rawValue,
      ]
      image.mount()
      let first = Child(lab: ["work"] + words, capturesOutput: true).finish()
      verdict.require(first.end == .exited(0), "on a sound disk: \(first.output)")
      verdict.require(History(evidence).refusals.isEmpty, "a sound disk was refused")
      let ballast = Ballast(arguments["folder"] + "/ballast", leaving: 0)
      let bug = arguments.bug.map { ["--bug", $0.rawValue] } ?? []
      _ = Child(lab: ["work"] + words + bug, capturesOutput: true).finish()
      image.unmount()
      ballast.remove()
      image.mount()
      let check = Child(lab: ["check"] + words, capturesOutput: true).finish()
      image.unmount()
      for line in check.output.split(separator: "\n") where line.hasPrefix("violation ") {
        verdict.require(false, String(line.dropFirst(10)))
      }
      let history = History(evidence)
      let syncs = history.refusals.filter { $0.contains("fsync") }.count
      verdict.require(syncs > 0 || arguments.bug != nil, "no sync failed")
      verdict.figure("done", history.steps(.done).count)
      verdict.figure("refusals", history.refusals.count)
      verdict.figure("of them failed syncs", syncs)
      verdict.figure("violations", verdict.violations.count)
      return verdict.print()
    }
  }
#endif
