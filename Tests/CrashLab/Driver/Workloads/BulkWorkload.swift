import AtomicStore
import ReliabilityIO

/// More than the disk below can take: files and records of which the kernel says only at the sync that they are lost.
///
/// The first run is on a sound disk, the second one on a failing one.
struct BulkWorkload: Workload {
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
      await Self.append(step * 1000..<(step * 1000 + 8), place, evidence)
    }
  }

  /// With the last record on the same handle: after a failed sync it must not say that all is well again.
  private static func append(_ steps: Range<Int>, _ place: Place, _ evidence: Evidence) async {
    do {
      let log = try await AppendLog(place.file("log"), fileSystem: place.fileSystem)
      for step in steps {
        evidence.begin(step)
        do {
          let text = String(repeating: "x", count: 600_000)
          try await log.append(Array(#"{"step":\#(step),"text":"\#(text)"}"#.utf8))
          evidence.done(step)
        } catch {
          evidence.unsure(step, error)
        }
      }
    } catch {
      evidence.unsure(0, error)
    }
  }

  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String] {
    var wrong: [String] = []
    let allowed = history.allowedStates(
      afterPowerCut: true, where: { $0 < Self.secondRun + 100 })
    let document = Files.read(place.file("document"))
    if !allowed.contains(where: { $0 > 0 && document == Self.content($0) }) {
      wrong.append("the document (\(document?.count ?? -1) bytes) is none of \(allowed.sorted())")
    }
    let log = try await AppendLog(place.file("log"), fileSystem: place.fileSystem)
    var found: Set<Int> = []
    for try await record in log.records() {
      let digits = record.payload.dropFirst(8).prefix { $0 != UInt8(ascii: ",") }
      found.insert(Int(String(decoding: digits, as: UTF8.self)) ?? -1)
    }
    let lost = history.steps(.done).filter { $0 > 999 && !found.contains($0) }
    wrong += lost.sorted().map { "record \($0) is lost" }
    return wrong
  }

  func expects(_ name: String) -> Bool { name == "document" || name.hasPrefix("log") }
}
