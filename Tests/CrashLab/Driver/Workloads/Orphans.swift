import AtomicStore
import ReliabilityIO

/// Temporary files that nobody owns any more.
enum Orphans {
  /// Those that are left: at once when the program had the chance to clean up, else after a sweep.
  static func remaining(in place: Place, after fault: Fault) async -> [String] {
    if fault == .failedCall { return Files.temporaries(in: place.directory) }
    // Nobody else is at work, so even what has a second name (a backup in the making) has no writer.
    let report = await sweep(place, minimumAgeWithoutProof: .zero)
    var wrong = report.failures.map { "the sweep failed: \($0)" }
    wrong += Files.temporaries(in: place.directory)
    return wrong
  }

  /// Removes what no process holds, whatever its age.
  @discardableResult
  static func sweep(
    _ place: Place, minimumAgeWithoutProof: Duration = .seconds(86_400)
  ) async -> SweepReport {
    do {
      return try await OrphanSweeper.sweep(
        place.directory,
        options: OrphanSweeper.Options(
          minimumAge: .zero, minimumAgeWithoutProof: minimumAgeWithoutProof),
        fileSystem: place.fileSystem)
    } catch {
      System.fail("the sweep failed: \(error)")
    }
  }
}
