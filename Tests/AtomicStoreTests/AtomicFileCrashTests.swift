import AtomicStore
import ReliabilityTesting
import Testing

/// `AtomicFile` under every crash of the simulated disk: the old content or the new one, and what was acknowledged.
@Suite struct AtomicFileCrashTests {
  /// What a check found.
  struct Broken: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
  }

  /// The content of save `n`: longer than a sector, and different in each.
  static func content(_ n: Int, size: Int = 700) -> [UInt8] {
    let head = bytes("{\"n\":\(n)}")
    return head + [UInt8](repeating: UInt8(ascii: "a") + UInt8(n), count: size - head.count)
  }

  /// The file holds one of the saves, whole, and none older than the last one that was acknowledged.
  static func check(_ disk: SimulatedDisk, _ acknowledged: [String], saves: Int) throws {
    guard let found = disk.read("data/a.json") else { throw Broken("the file is gone") }
    guard let n = (0...saves).first(where: { content($0) == found }) else {
      throw Broken("\(found.count) bytes that nobody wrote")
    }
    let last = acknowledged.last.flatMap(Int.init) ?? 0
    if n < last { throw Broken("save \(last) was acknowledged, but the file holds save \(n)") }
  }

  @Test func everyCrashOfSavesLeavesTheLastAcknowledgedOneOrALaterOne() throws {
    let saves = 12
    let report = try SimulatedDisk.explore(
      prepare: { disk in try disk.write("data/a.json", Self.content(0)) },
      run: { disk in
        for n in 1...saves {
          let outcome = try AtomicFile.replace(
            "data/a.json", with: Self.content(n), fileSystem: disk.fileSystem)
          if outcome.status == .durable { disk.acknowledge("\(n)") }
        }
      },
      check: { disk, acknowledged in try Self.check(disk, acknowledged, saves: saves) })
    print("AtomicFile.replace: \(report)")
    #expect(report.violations == 0)
  }
}
