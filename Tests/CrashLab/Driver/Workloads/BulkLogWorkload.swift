import AtomicStore
import ReliabilityIO

/// Records of more than the disk below can take; after a failed sync the log must not say that all is well again.
///
/// The first run is on a sound disk, the second one on a failing one.
struct BulkLogWorkload: Workload {
  func run(in place: Place, _ evidence: Evidence) async throws {
    let isFirst = Files.read(place.file("log")) == nil
    for round in 0..<(isFirst ? 2 : 4) {
      let first = (isFirst ? 1 : 100) + round * 10
      await Self.append(first..<(first + 8), place, evidence)
    }
  }

  private static func append(_ steps: Range<Int>, _ place: Place, _ evidence: Evidence) async {
    do {
      let log = try await AppendLog(place.file("log"), fileSystem: place.fileSystem)
      for step in steps {
        evidence.begin(step)
        do {
          let text = String(repeating: "x", count: 600_000)
          let receipt = try await log.append(Array(#"{"step":\#(step),"text":"\#(text)"}"#.utf8))
          if receipt.isDurable { evidence.done(step) } else { evidence.published(step) }
        } catch {
          evidence.unsure(step, error)
        }
      }
    } catch {
      evidence.unsure(0, error)
    }
  }

  func check(_ place: Place, _ history: History, after fault: Fault) async throws -> [String] {
    let log = try await AppendLog(place.file("log"), fileSystem: place.fileSystem)
    var found: [Int] = []
    for try await record in log.records() {
      let digits = record.payload.dropFirst(#"{"step":"#.count).prefix { $0 != UInt8(ascii: ",") }
      found.append(Int(String(decoding: digits, as: UTF8.self)) ?? -1)
    }
    return Records.judge(found, history, after: .powerCut)
  }

  func expects(_ name: String) -> Bool { name.hasPrefix("log") }
}
