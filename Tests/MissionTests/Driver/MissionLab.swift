/// The program behind `Tests/MissionTests`: each command is one line of the mission's checklist.
///
/// Alone in its process, so that descriptors, threads and memory can be counted: in the process of the tests a hundred
/// other tests open and close things meanwhile.
@main struct MissionLab {
  static func main() async {
    let arguments = Arguments(CommandLine.arguments.dropFirst(2))
    let findings = Findings()
    do {
      switch CommandLine.arguments.dropFirst().first {
      case "writers": try await Writers.run(arguments, findings)
      case "write": try await Writers.write(arguments)
      case "failed-saves": try await FailedSaves.run(arguments, findings)
      case "full-disk": try await FullDisk.run(arguments, findings)
      case "cycles": try await Cycles.run(arguments, findings)
      case "memory": try await MemoryCheck.run(arguments, findings)
      case "day": try DayCheck.run(arguments, findings)
      case "mix": try await MixCheck.run(arguments, findings)
      case "save": try await MixWork.save(arguments)
      case "thresholds": try await Thresholds.run(arguments, findings)
      case "contend": try await LockMeasure.contend(arguments)
      case "soak": try await Soak.run(arguments, findings)
      default: findings.violation("Tests/MissionTests/soak starts this program")
      }
    } catch {
      findings.violation("ended with an error: \(error)")
    }
    Process.end(findings.report() ? 0 : 1)
  }
}
