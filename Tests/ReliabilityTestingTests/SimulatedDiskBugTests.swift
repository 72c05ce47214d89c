import ReliabilityTestSupport
import ReliabilityTesting
import Testing

/// Six ways of saving a file that lose data, each found by the exploration, and one that does not.
@Suite(.offThePool) struct SimulatedDiskBugTests {
  /// Saves three times with a routine and looks for states in which an acknowledged save is missing or torn.
  private func explore(
    _ save: @Sendable (SimulatedDisk, [UInt8]) throws -> Void
  ) throws -> ExplorationReport {
    func content(_ n: Int) -> [UInt8] { bytes("\(n)" + String(repeating: "\(n)", count: 1200)) }
    return try SimulatedDisk.explore(
      prepare: { disk in try disk.write("data/a", content(0)) },
      run: { disk in
        for n in 1...3 {
          try save(disk, content(n))
          if disk.acknowledged.count < n { disk.acknowledge("\(n)") }
        }
      },
      check: { disk, acknowledged in
        guard let found = disk.read("data/a") else { throw Violated("gone") }
        guard let n = (0...3).first(where: { content($0) == found }) else {
          throw Violated("\(found.count) bytes that nobody wrote")
        }
        if n < acknowledged.count { throw Violated("save \(acknowledged.count) is lost") }
      })
  }

  private func violation(
    _ save: @Sendable (SimulatedDisk, [UInt8]) throws -> Void
  ) throws -> CrashViolation {
    try #require(throws: CrashViolation.self) { try explore(save) }
  }

  @Test func theFullSequenceSurvivesEveryCrash() throws {
    let report = try explore { disk, content in
      let files = disk.fileSystem
      try files.put("data/.new", content, sync: true)
      try files.backend.rename("data/.new", in: nil, to: "data/a", in: nil, .replace)
      try files.syncDirectory("data")
    }
    #expect(report.isExhaustive)
    #expect(report.violations == 0)
    #expect(report.distinctStates > 40)
  }

  @Test func aMissingDirectorySyncIsFound() throws {
    let found = try violation { disk, content in
      let files = disk.fileSystem
      try files.put("data/.new", content, sync: true)
      try files.backend.rename("data/.new", in: nil, to: "data/a", in: nil, .replace)
    }
    #expect(found.message == "save 1 is lost")
    #expect(found.trace.last?.description.contains("acknowledged: 1") == true)
    #expect(found.changes.contains { $0.contains("make the name a") && $0.hasSuffix(": lost") })
  }

  @Test func aRenameBeforeTheSyncIsFound() throws {
    let found = try violation { disk, content in
      let files = disk.fileSystem
      let file = try OpenFile("data/.new", [.write, .create], mode: 0o644, fileSystem: files)
      try file.writeAll(content.span, at: 0)
      try files.backend.rename("data/.new", in: nil, to: "data/a", in: nil, .replace)
      try file.sync(.full)
      try files.syncDirectory("data")
    }
    #expect(found.message.contains("that nobody wrote"))
    #expect(found.trace.last?.call == .rename)
  }

  @Test func aFailedSyncThatIsTriedAgainIsFound() throws {
    let found = try violation { disk, content in
      disk.clearFaults()
      disk.fail(.fsync, on: ".new", with: .inputOutput)
      let files = disk.fileSystem
      let file = try OpenFile("data/.new", [.write, .create], mode: 0o644, fileSystem: files)
      try file.truncate(to: 0)
      try file.writeAll(content.span, at: 0)
      #expect(throws: SystemCallError.self) { try file.sync(.full) }
      try file.sync(.full)
      try files.backend.rename("data/.new", in: nil, to: "data/a", in: nil, .replace)
      try files.syncDirectory("data")
    }
    #expect(found.message.contains("that nobody wrote"))
  }

  @Test func anAcknowledgementBeforeTheSyncIsFound() throws {
    let found = try violation { disk, content in
      let files = disk.fileSystem
      try files.put("data/.new", content, sync: true)
      try files.backend.rename("data/.new", in: nil, to: "data/a", in: nil, .replace)
      disk.acknowledge("early")
      try files.syncDirectory("data")
    }
    #expect(found.message == "save 1 is lost")
  }

  @Test func aWriteInPlaceIsFound() throws {
    let found = try violation { disk, content in
      let file = try OpenFile("data/a", [.write], fileSystem: disk.fileSystem)
      try file.writeAll(content.span, at: 0)
      try file.sync(.full)
    }
    #expect(found.message.contains("that nobody wrote"))
    #expect(found.changes.contains { $0.contains("torn") })
  }

  @Test func aTruncateBeforeTheWriteIsFound() throws {
    let found = try violation { disk, content in
      try disk.fileSystem.put("data/a", content, sync: true)
    }
    #expect(found.message.contains("0 bytes"))
    #expect(found.trace.last?.call == .truncate)
  }

  @Test func aViolationTellsTheWholeStory() throws {
    let found = try violation { disk, content in
      let file = try OpenFile("data/a", [.write], fileSystem: disk.fileSystem)
      try file.writeAll(content.span, at: 0)
      try file.sync(.full)
    }
    let text = "\(found)"
    #expect(text.contains("write data/a, 1201 bytes at 0"))
    #expect(text.contains("then the power failed"))
    #expect(text.contains("that nobody wrote"))
    #expect(text.contains("crash points"))
  }

  @Test func aRecoveryThatIsNotSafeToCrashIsFoundByTheSecondCrash() throws {
    // The recovery moves a journal into place by writing in place and removes the journal before the sync.
    let found = #expect(throws: CrashViolation.self) {
      try SimulatedDisk.explore(
        prepare: { disk in
          try disk.write("a", "old")
          try disk.write("journal", "new")
        },
        run: { disk in
          disk.acknowledge("committed")
        },
        recover: { disk in
          guard let journal = disk.read("journal") else { return }
          try disk.fileSystem.put("a", journal, sync: false)
          try disk.fileSystem.backend.unlink("journal", in: nil)
        },
        check: { disk, _ in
          if disk.text("a") != "new" { throw Violated("the commit is lost") }
        })
    }
    #expect(found?.recoveryTrace?.last?.call == .unlink)
    #expect("\(found as Any)".contains("the power failed again"))
  }

  @Test func aRecoveryThatSyncsFirstSurvivesTheSecondCrash() throws {
    let report = try SimulatedDisk.explore(
      prepare: { disk in
        try disk.write("a", "old")
        try disk.write("journal", "new")
      },
      run: { disk in disk.acknowledge("committed") },
      recover: { disk in
        guard let journal = disk.read("journal") else { return }
        try disk.fileSystem.put("a", journal, sync: true)
        try disk.fileSystem.backend.unlink("journal", in: nil)
      },
      check: { disk, _ in
        if disk.text("a") != "new" { throw Violated("the commit is lost") }
      })
    #expect(report.secondCrashStates > 5)
    #expect(report.runs > 1)
  }

  @Test func theSameSeedExploresTheSame() throws {
    func report(seed: UInt64) throws -> ExplorationReport {
      var options = ExplorationOptions()
      options.seed = seed
      options.exhaustiveOperations = 3
      options.samples = 100
      return try SimulatedDisk.explore(
        options: options,
        run: { disk in
          for n in 0..<6 { try disk.fileSystem.put("f\(n)", bytes("text"), sync: false) }
        },
        check: { _, _ in })
    }
    let first = try report(seed: 3)
    #expect(first.sampledCrashPoints > 0)
    #expect(!first.isExhaustive)
    #expect(try report(seed: 3) == first)
  }

  @Test func theAsynchronousFormFindsTheSame() async throws {
    let run: @Sendable (SimulatedDisk) async throws -> Void = { disk in
      try await DiskExecutor.shared.run { () throws in
        try disk.fileSystem.put("a", bytes("text"), sync: true)
      }
      disk.acknowledge("saved")
    }
    let found = await #expect(throws: CrashViolation.self) {
      try await SimulatedDisk.explore(run: run) { disk, acknowledged in
        if disk.text("a") != "text" && !acknowledged.isEmpty { throw Violated("lost") }
      }
    }
    #expect(found?.message == "lost")
    let report = try await SimulatedDisk.explore(run: run) { _, _ in }
    #expect(report.violations == 0)
    #expect(report.crashPoints == 6)
  }

  @Test func aCancelledExplorationEnds() async throws {
    let task = Task {
      try await SimulatedDisk.explore(
        run: { disk in disk.acknowledge("begun") },
        check: { _, _ in try await ContinuousClock().sleep(for: .seconds(3600)) })
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
