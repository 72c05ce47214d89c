import AtomicStore
import FoundationEssentials
import ReliabilityIO

/// What the documents of the lab hold.
struct Tally: Codable, Sendable {
  /// The last step that changed it.
  var step = 0
  /// How often each process changed it.
  var counts: [String: Int] = [:]
  var text = ""
}

/// `AtomicDocument.update`: one document changed again and again, with its backups.
struct DocumentWorkload: Workload {
  func run(in place: Place, _ evidence: Evidence) async throws {
    let document = Self.document(in: place) { event in
      if case .cleanUpFailed = event.kind { evidence.violation("\(event)") }
    }
    for step in 1...6 {
      evidence.begin(step)
      do {
        try await document.update(default: Tally()) { tally in
          tally.step = step
          tally.text = Self.text(step)
        }
        evidence.done(step)
      } catch {
        evidence.refused(step, error)
      }
    }
  }

  private static func document(
    in place: Place, observer: (@Sendable (DocumentEvent) -> Void)? = nil
  ) -> AtomicDocument<Tally> {
    AtomicDocument(place.file("document"), fileSystem: place.fileSystem, observer: observer)
  }

  private static func text(_ step: Int) -> String {
    String(decoding: Content.bytes(step, count: step * 1500), as: UTF8.self)
  }

  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String] {
    var wrong: [String] = []
    let allowed = history.allowedStates(afterPowerCut: fault == .powerCut)
    // First as any other program finds it, then through a load, which would repair it.
    if let bytes = Files.read(place.file("document")) {
      let tally = try? JSONDecoder().decode(Tally.self, from: Data(bytes))
      if tally == nil { wrong.append("a reader finds \(bytes.count) bytes that are no JSON") }
    } else if !allowed.contains(0) {
      wrong.append("a reader finds no document, but one of \(allowed.sorted())")
    }
    let loaded = try await Self.document(in: place).load()
    let step = loaded.value?.step ?? 0
    if !allowed.contains(step) { wrong.append("step \(step) is none of \(allowed.sorted())") }
    if step > 0, loaded.value?.text != Self.text(step) { wrong.append("step \(step) is mixed") }
    wrong += loaded.quarantined.map { "moved aside: \($0)" }
    wrong += loaded.problems.map { "problem: \($0)" }
    if case .backup(let generation) = loaded.source {
      wrong.append("only backup \(generation) was sound")
    }
    return wrong
  }

  func expects(_ name: String) -> Bool {
    ["document", "document.bak", "document.lock"].contains(name)
  }
}
