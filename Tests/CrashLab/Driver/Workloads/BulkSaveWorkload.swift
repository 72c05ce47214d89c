import AtomicStore
import ReliabilityIO

/// Saves of more than the disk below can take: the kernel says only at the sync that they are lost.
///
/// The first run is on a sound disk, the second one on a failing one.
struct BulkSaveWorkload: Workload {
  private static let secondRun = 100

  private static func content(_ step: Int) -> [UInt8] {
    Content.bytes(step, count: step > secondRun ? 12 << 20 : 2 << 20)
  }

  func run(in place: Place, _ evidence: Evidence) async throws {
    let first = Files.read(place.file("document")) == nil ? 1 : Self.secondRun + 1
    for step in first..<(first + 4) {
      evidence.begin(step)
      do {
        let outcome = try await AtomicFile.replace(
          place.file("document"), with: Self.content(step), fileSystem: place.fileSystem)
        if outcome.isDurable { evidence.done(step) } else { evidence.published(step) }
      } catch {
        evidence.refused(step, error)
      }
    }
  }

  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String] {
    let allowed = history.allowedStates(afterPowerCut: true)
    let document = Files.read(place.file("document"))
    if allowed.contains(where: { $0 > 0 && document == Self.content($0) }) { return [] }
    return ["the document (\(document?.count ?? -1) bytes) is none of \(allowed.sorted())"]
  }

  func expects(_ name: String) -> Bool { name == "document" }
}
