import Reliability

/// All of it, and the mix for as long as it is told to.
enum Soak {
  static func run(_ arguments: Arguments, _ findings: Findings) async throws {
    try await Writers.run(arguments, findings)
    try await FailedSaves.run(arguments, findings)
    try await FullDisk.run(arguments, findings)
    try await Cycles.run(arguments, findings)
    try await MemoryCheck.run(arguments, findings)
    try DayCheck.run(arguments, findings)
    try await Thresholds.run(arguments, findings)
    try await MixCheck.run(arguments, findings)
  }
}
