import BackoffLock
import ReliabilityIO
import ReliabilityTestSupport
import ReliabilityTesting
import Synchronization
import Testing

@testable import AtomicStore

/// Power cuts at every call and in every state that one may leave, also a second time during recovery.
@Suite(.offThePool) struct FileTransactionCrashTests {
  /// Tokens as a lock would give them out, which is not what is tested here: each start of the machine is an epoch.
  static let turns = Atomic<UInt64>(1)
  static let restarts = Atomic<UInt32>(1)

  static func token(epoch: UInt32 = 1) -> FencingToken {
    FencingToken(epoch: epoch, turn: turns.add(1, ordering: .relaxed).newValue << 16)
  }

  static func open(
    _ disk: SimulatedDisk, afterCrash: Bool = true, sideThreshold: Int = 1 << 20,
    fileSystem: FileSystem? = nil
  ) throws -> TransactionStoreCore {
    var options = TransactionStoreCore.Options.small
    options.journalRoom = 512
    options.sideThreshold = sideThreshold
    let epoch = afterCrash ? restarts.add(1, ordering: .relaxed).newValue : 1
    return try TransactionStoreCore.open(
      "store", token: token(epoch: epoch), options: options,
      fileSystem: fileSystem ?? disk.fileSystem)
  }

  /// One transaction of the run.
  static func commit(
    _ number: Int, _ core: inout TransactionStoreCore, _ disk: SimulatedDisk,
    withManifest: Bool = false
  ) throws {
    disk.acknowledge("begin \(number)")
    let change = try transaction { t throws(StoreError) in
      try t.append("a", "line \(number)")
      if number.isMultiple(of: 2) {
        try t.append("sub/b", "line \(number)")
        try t.remove("d")
      } else {
        try t.replace("sub/c", with: bytes("\(number)"))
        try t.append("d", "\(number)")
      }
      if withManifest { try t.manifest("manifest.json") }
    }
    guard try core.commit(change, token: token()).isApplied else { throw Violated("not applied") }
    disk.acknowledge("end \(number)")
  }

  /// What the files must hold after some transactions.
  static func expected(_ count: Int) -> [(path: String, content: String?)] {
    let isEven = count.isMultiple(of: 2)
    let even = stride(from: 2, through: count, by: 2).map { "line \($0)\n" }.joined()
    return [
      ("a", "old\n" + (0..<count).map { "line \($0 + 1)\n" }.joined()),
      ("sub/b", count < 2 ? nil : even),
      ("sub/c", count == 0 ? "0" : "\(count - (isEven ? 1 : 0))"),
      ("d", count == 0 ? "gone\n" : isEven ? nil : count == 1 ? "gone\n1\n" : "\(count)\n"),
    ]
  }

  static func check(_ disk: SimulatedDisk, _ acknowledged: [String]) throws {
    let core = try open(disk)
    if let problem = core.problem { throw Violated("not recovered: \(problem)") }
    let least = acknowledged.count { $0.hasPrefix("end") }
    let most = acknowledged.count { $0.hasPrefix("begin") }
    let last = Int(core.lastTransaction)
    guard last >= least, last <= most else {
      throw Violated("\(last) transactions, acknowledged \(least), begun \(most)")
    }
    for (path, content) in expected(last) where disk.text("store/" + path) != content {
      throw Violated(
        "after \(last): \(path) is \(disk.text("store/" + path) ?? "missing"), not \(content ?? "missing")"
      )
    }
    if let bytes = disk.read("store/manifest.json") {
      guard let manifest = ManifestText(bytes), manifest.transaction == UInt64(last),
        manifest.files["a"] == Int64(disk.text("store/a")?.utf8.count ?? 0)
      else { throw Violated("the manifest says something else") }
    }
    let names = disk.names(in: "store")
    if names.contains(where: { JournalName.isSide($0) }) { throw Violated("left: \(names)") }
  }

  static func prepare(_ disk: SimulatedDisk) throws {
    try disk.write("store/a", "old\n")
    try disk.write("store/sub/c", "0")
    try disk.write("store/d", "gone\n")
  }

  @Test func everyCrashLeavesAllOfATransactionOrNothing() throws {
    var options = ExplorationOptions()
    options.samples = 300
    options.exhaustiveStates = 300
    options.secondCrashStates = 7
    let report = try SimulatedDisk.explore(
      options: options, prepare: Self.prepare,
      run: { disk in
        var core = try Self.open(disk, afterCrash: false)
        for number in 1...2 { try Self.commit(number, &core, disk) }
        try core.checkpoint(Self.token())
        try Self.commit(3, &core, disk)
        core = try Self.open(disk, afterCrash: false)
        try Self.commit(4, &core, disk)
      },
      recover: { disk in _ = try Self.open(disk) },
      check: Self.check)
    print("FileTransaction: \(report)")
    #expect(report.distinctStates >= 10_000)
    #expect(report.secondCrashStates >= 5000)
  }

  @Test func everyCrashWithContentBesideTheJournalLeavesAllOrNothing() throws {
    var options = ExplorationOptions()
    options.samples = 10
    options.exhaustiveStates = 10
    options.secondCrashStates = 1
    let report = try SimulatedDisk.explore(
      options: options, prepare: Self.prepare,
      run: { disk in
        var core = try Self.open(disk, afterCrash: false, sideThreshold: 0)
        for number in 1...2 { try Self.commit(number, &core, disk, withManifest: true) }
        try core.checkpoint(Self.token())
        try Self.commit(3, &core, disk, withManifest: true)
      },
      recover: { disk in _ = try Self.open(disk, sideThreshold: 0) },
      check: Self.check)
    print("FileTransaction, content beside the journal: \(report)")
    #expect(report.distinctStates > 300)
  }

  /// An exploration that finds nothing proves little, unless it finds what is wrong for sure.
  @Test(arguments: SeededBugFileSystem.Bug.allCases)
  func aBugThatLosesOrTearsATransactionIsFound(bug: SeededBugFileSystem.Bug) {
    var options = ExplorationOptions()
    options.samples = 40
    options.exhaustiveStates = 40
    options.secondCrashStates = 4
    let violation = #expect(throws: CrashViolation.self) {
      try SimulatedDisk.explore(
        options: options,
        prepare: { disk in
          try Self.prepare(disk)
          _ = try Self.open(disk, afterCrash: false)
        },
        run: { disk in
          // One bug is in the recovery, the others are in what went before.
          let buggy = SeededBugFileSystem(bug, over: disk.fileSystem)
          let fileSystem = bug == .truncatesInsteadOfRedoing ? disk.fileSystem : buggy.fileSystem
          var core = try Self.open(disk, afterCrash: false, fileSystem: fileSystem)
          if bug == .repeatsAFailedSync {
            disk.fail(.fdatasync, on: JournalName.journal, at: 2, with: .inputOutput)
          }
          for number in 1...2 { try Self.commit(number, &core, disk) }
          try core.checkpoint(Self.token())
          try Self.commit(3, &core, disk)
        },
        recover: { disk in
          let buggy = SeededBugFileSystem(bug, over: disk.fileSystem)
          let fileSystem = bug == .truncatesInsteadOfRedoing ? buggy.fileSystem : disk.fileSystem
          _ = try Self.open(disk, fileSystem: fileSystem)
        },
        check: Self.check)
    }
    #expect(violation?.underlying is Violated, "\(violation?.description ?? "")")
  }
}
