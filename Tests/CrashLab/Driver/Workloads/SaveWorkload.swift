import AtomicStore
import ReliabilityIO

/// `AtomicFile`: one file replaced again and again, with sizes from nothing to many pages, and files made beside it
/// that must not exist before.
struct SaveWorkload: Workload {
  private static let sizes = [10_240, 0, 100, 70_000, 4096, 12, 4097, 30_000]

  private static func content(_ step: Int) -> [UInt8] {
    Content.bytes(step, count: sizes[step % sizes.count])
  }

  private static func isCreation(_ step: Int) -> Bool { step % 4 == 3 }

  func run(in place: Place, _ evidence: Evidence) async throws {
    for step in 1...Self.sizes.count { Self.save(step, in: place, evidence) }
  }

  /// On the calling thread, so that a tracer counts each kind of call in one row.
  private static func save(_ step: Int, in place: Place, _ evidence: Evidence) {
    let creates = isCreation(step)
    evidence.begin(step)
    do throws(StoreError) {
      let outcome = try AtomicFile.replace(
        place.file(creates ? "new-\(step)" : "document"), with: content(step),
        options: AtomicFile.Options(createOnly: creates), fileSystem: place.fileSystem)
      if outcome.leftover != nil { evidence.violation("a name was left: \(outcome)") }
      if outcome.isDurable { evidence.done(step) } else { evidence.published(step) }
    } catch {
      evidence.refused(step, error)
      if error.cause == nil || error.path.isEmpty {
        evidence.violation("an error without path or cause: \(error)")
      }
    }
  }

  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String] {
    var wrong: [String] = []
    let allowed = history.allowedStates(
      afterPowerCut: fault == .powerCut, where: { !Self.isCreation($0) })
    let document = Files.read(place.file("document"))
    let isAllowed = allowed.contains { step in
      step == 0 ? document == nil : document == Self.content(step)
    }
    if !isAllowed {
      wrong.append(
        "the document has \(document?.count ?? -1) bytes and is none of the steps \(allowed.sorted())"
      )
    }
    for step in 1...Self.sizes.count where Self.isCreation(step) {
      let states = history.allowedStates(
        afterPowerCut: fault == .powerCut, where: { $0 == step })
      let found = Files.read(place.file("new-\(step)"))
      let holds = states.contains { $0 == 0 ? found == nil : found == Self.content(step) }
      if !holds { wrong.append("new-\(step) has \(found?.count ?? -1) bytes") }
    }
    return wrong
  }

  func expects(_ name: String) -> Bool { name == "document" || name.hasPrefix("new-") }
}
