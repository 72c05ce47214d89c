import ReliabilityIO

/// A disk that is full after so many pages, and a limit on the size of files: at each step of the way a workload gets
/// through, or says what is missing, changes nothing and leaves nothing.
///
/// `--directory` is on a small disk of its own for `full-disk`, anywhere for `file-limit`.
struct SpaceLab {
  private let workload: String
  private let folder: String
  private let evidence: String
  private var verdict: Verdict
  private var refusals = 0

  private init(_ arguments: Arguments, _ name: String) {
    workload = arguments["workload"]
    folder = arguments["directory"] + "/files"
    evidence = arguments["records"] + "/evidence"
    verdict = Verdict("\(name)/\(workload)")
  }

  /// With so many free pages as the workload can use at most, and each number below.
  static func fullDisk(_ arguments: Arguments) -> Int32 {
    var lab = SpaceLab(arguments, "full-disk")
    let watch = Stopwatch(arguments.duration)
    var tries = 0
    for pages in 0..<64 where !watch.isOver {
      tries += 1
      _ = Files.fresh(lab.folder)
      let ballast = Ballast(arguments["directory"] + "/ballast", leaving: pages * 4096)
      lab.work([], error: "ENOSPC", "\(pages) free pages")
      ballast.remove()
      lab.check("\(pages) free pages")
    }
    return lab.finish(tries)
  }

  /// Sizes in bytes: inside the first line of a file, around a page, inside what the workloads write.
  private static let limits = [
    0, 1, 11, 100, 700, 1500, 4095, 4096, 4097, 6000, 9000, 12_000, 30_000, 70_000,
  ]

  /// With each limit up to the largest file.
  static func fileLimit(_ arguments: Arguments) -> Int32 {
    var lab = SpaceLab(arguments, "file-limit")
    let watch = Stopwatch(arguments.duration)
    var tries = 0
    for limit in limits where !watch.isOver {
      tries += 1
      _ = Files.fresh(lab.folder)
      lab.work(["--file-limit", "\(limit)"], error: "EFBIG", "limit \(limit)")
      lab.check("limit \(limit)")
    }
    return lab.finish(tries)
  }

  private mutating func work(_ more: [String], error: String, _ point: String) {
    Files.remove(evidence)
    // Through a pipe: the limit is for all files of the process.
    let result = Child(
      lab: ["work", "--workload", workload, "--directory", folder, "--evidence", "-"] + more,
      capturesOutput: true
    ).finish()
    verdict.require(
      result.end == .exited(0), "\(point): \(result.end) \(result.output.suffix(200))")
    try? Files.write(Array(result.output.utf8), to: evidence)
    for refusal in History(evidence).refusals {
      refusals += 1
      verdict.require(
        refusal.contains(error) && refusal.contains(folder), "\(point) was reported as: \(refusal)")
    }
  }

  private mutating func check(_ point: String) {
    let check = Child(
      lab: [
        "check", "--workload", workload, "--directory", folder, "--evidence", evidence,
        "--fault", Fault.failedCall.rawValue,
      ], capturesOutput: true
    ).finish()
    for line in check.output.split(separator: "\n") where line.hasPrefix("violation ") {
      verdict.require(false, "\(point): \(line.dropFirst(10))")
    }
  }

  private mutating func finish(_ tries: Int) -> Int32 {
    verdict.figure("tries", tries)
    verdict.figure("refusals", refusals)
    verdict.figure("violations", verdict.violations.count)
    verdict.require(refusals > 0, "nothing was ever missing")
    return verdict.print()
  }
}

/// A file that fills its disk but for some bytes.
struct Ballast {
  private let path: String

  init(_ path: String, leaving free: Int) {
    self.path = path
    do {
      let file = try OpenFile(path, [.write, .create], fileSystem: .real)
      let block = [UInt8](repeating: 1, count: 4096)
      var size: Int64 = 0
      do {
        while true {
          try file.writeAll(block.span, at: size)
          size += Int64(block.count)
        }
      } catch {
        try file.truncate(to: max(0, size - Int64(free)))
      }
    } catch {
      System.fail("no ballast: \(error)")
    }
  }

  func remove() { Files.remove(path) }
}
