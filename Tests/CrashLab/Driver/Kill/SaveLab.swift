import ReliabilityIO

/// Processes that save while sweepers look for orphans and a killer is about: no live temporary file may go, no dead
/// one may stay, and every file is whole at every instant.
struct SaveLab {
  private static let sweepers = 2

  static func run(_ arguments: Arguments) async -> Int32 {
    var verdict = Verdict("kill/save")
    let folder = Files.fresh(arguments["directory"] + "/save")
    let files = Files.fresh(folder + "/files")
    let evidence = folder + "/evidence"
    let reader = Child(
      lab: ["read-saves", "--directory", files, "--evidence", folder + "/reader"])
    let killer = Killer(
      count: arguments.int("processes", default: 8), seed: arguments.seed,
      start: { serial, place in
        let command = place < sweepers ? "sweep" : "save"
        return Child(
          lab: [command, "--directory", files, "--evidence", evidence, "--serial", "\(serial)"])
      })
    killer.run(for: arguments.duration, every: 3...9)
    reader.kill()
    verdict.add(killer.endedByThemselves)
    let history = History(evidence)
    let read = History(folder + "/reader")
    verdict.add((history.entries + read.entries).filter { $0.event == .violation }.map(\.text))
    verdict.add(history.refusals.map { "a save failed: \($0)" })
    verdict.require(!history.steps(.done).isEmpty, "nothing was saved")
    let left = Files.temporaries(in: files).count
    let place = Place(directory: files, fileSystem: .real)
    verdict.add(await Orphans.remaining(in: place, after: .powerCut).map { "left behind: \($0)" })
    verdict.figure("kills", killer.kills)
    verdict.figure("saves", history.steps(.done).count)
    let sweeps = history.entries.filter { $0.event == .published }
    verdict.figure("sweeps", sweeps.count)
    verdict.figure("orphans removed", sweeps.reduce(0) { $0 + $1.step })
    verdict.figure("whole reads", read.steps(.done).count)
    verdict.figure("orphans for the last sweep", left)
    return verdict.print()
  }
}
