extension SimulatedDisk {
  /// Crashes a run at every point, in every way the crash model knows, and checks what each crash leaves.
  ///
  ///     let report = try await SimulatedDisk.explore(
  ///       prepare: { disk in try disk.write("a.json", "old") },
  ///       run: { disk in
  ///         try await AtomicFile.replace("a.json", with: new, fileSystem: disk.fileSystem)
  ///         disk.acknowledge("saved")
  ///       },
  ///       check: { disk, acknowledged in
  ///         let text = disk.text("a.json")
  ///         guard text == "new" || (text == "old" && acknowledged.isEmpty) else { throw Lost() }
  ///       })
  ///     print(report)
  ///
  /// The run is made once and recorded. Then a crash is imagined before its first call and after every call that
  /// changed something, and a fresh disk is made of every state in which that crash may leave the medium. A
  /// recovery's own crashes are explored the same way.
  ///
  /// Checks run on two tasks at once. The first crash point with violations is explored to its end; later ones
  /// are not. A cancelled task's exploration ends with `CancellationError`.
  ///
  /// - Parameters:
  ///   - options: Seed, sizes, and when states are drawn rather than enumerated.
  ///   - prepare: Makes what is there before the run; it is durable and is not crashed.
  ///   - run: The code under test. It says with ``acknowledge(_:)`` what a user was told.
  ///   - recover: What the code under test does when it starts again. When it is given, a second crash is explored at
  ///     each of its calls, too, and it runs again before the check.
  ///   - check: Looks at a disk after a crash, with the notes that were made before it, and throws when
  ///     something is wrong.
  /// - Returns: What was explored.
  /// - Throws: ``CrashViolation`` with the smallest failing trace; an error of `prepare` or `run` as it is.
  @discardableResult
  public nonisolated(nonsending) static func explore(
    options: ExplorationOptions = ExplorationOptions(),
    prepare: @Sendable (SimulatedDisk) async throws -> Void = { _ in },
    run: @Sendable (SimulatedDisk) async throws -> Void,
    recover: (@Sendable (SimulatedDisk) async throws -> Void)? = nil,
    check: @escaping @Sendable (SimulatedDisk, [String]) async throws -> Void
  ) async throws -> ExplorationReport {
    let disk = SimulatedDiskExploration.disk(options)
    try await prepare(disk)
    SimulatedDiskExploration.record(disk)
    try await run(disk)
    let exploration = SimulatedDiskExploration(
      disk, options: options, hasRecovery: recover != nil)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask { try await exploration.work(recover: recover, check: check) }
      }
      try await group.waitForAll()
    }
    return try exploration.finish()
  }

  /// Crashes a run at every point, in every way the crash model knows, and checks what each crash leaves, all on the
  /// calling thread.
  ///
  /// The closures may call what blocks; see the asynchronous form for everything else.
  ///
  /// - Parameters:
  ///   - options: Seed, sizes, and when states are drawn rather than enumerated.
  ///   - prepare: Makes what is there before the run; it is durable and is not crashed.
  ///   - run: The code under test. It says with ``acknowledge(_:)`` what a user was told.
  ///   - recover: What the code under test does when it starts again; crashed a second time when it is given.
  ///   - check: Looks at a disk after a crash, with the notes that were made before it, and throws when
  ///     something is wrong.
  /// - Returns: What was explored.
  /// - Throws: ``CrashViolation`` with the smallest failing trace; an error of `prepare` or `run` as it is.
  @available(*, noasync, message: "This blocks its thread; await the asynchronous form.")
  @discardableResult
  public static func explore(
    options: ExplorationOptions = ExplorationOptions(),
    prepare: (SimulatedDisk) throws -> Void = { _ in },
    run: (SimulatedDisk) throws -> Void,
    recover: ((SimulatedDisk) throws -> Void)? = nil,
    check: (SimulatedDisk, [String]) throws -> Void
  ) throws -> ExplorationReport {
    let disk = SimulatedDiskExploration.disk(options)
    try prepare(disk)
    SimulatedDiskExploration.record(disk)
    try run(disk)
    let exploration = SimulatedDiskExploration(
      disk, options: options, hasRecovery: recover != nil)
    exploration.work(recover: recover, check: check)
    return try exploration.finish()
  }
}

extension SimulatedDiskExploration {
  fileprivate func work(
    recover: (@Sendable (SimulatedDisk) async throws -> Void)?,
    check: @Sendable (SimulatedDisk, [String]) async throws -> Void
  ) async throws {
    while let first = next() {
      var crashes: SecondCrashes?
      var step = first
      while true {
        try Task.checkCancellation()
        do {
          try await recover?(step.disk)
          if crashes == nil { crashes = secondCrashes(in: step) }
          try await check(step.disk, step.acknowledged)
        } catch {
          try Task.checkCancellation()
          note(error, step)
        }
        guard crashes != nil, let second = next(&crashes!) else { break }
        step = second
      }
    }
  }

  fileprivate func work(
    recover: ((SimulatedDisk) throws -> Void)?,
    check: (SimulatedDisk, [String]) throws -> Void
  ) {
    while let first = next() {
      var crashes: SecondCrashes?
      var step = first
      while true {
        do {
          try recover?(step.disk)
          if crashes == nil { crashes = secondCrashes(in: step) }
          try check(step.disk, step.acknowledged)
        } catch {
          note(error, step)
        }
        guard crashes != nil, let second = next(&crashes!) else { break }
        step = second
      }
    }
  }
}
