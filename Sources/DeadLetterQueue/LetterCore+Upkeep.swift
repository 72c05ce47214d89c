/// Goes off when the oldest letter may be past its retention.
final class RetentionAlarm: Alarm, @unchecked Sendable {
  private weak let core: LetterCore?

  init(_ core: LetterCore) {
    self.core = core
    super.init()
  }

  override func fire() { core?.startUpkeep(from: self) }
}

extension LetterCore {
  // MARK: Copies

  /// The archive, opened once.
  nonisolated(nonsending) func openArchive(_ path: String) async throws -> AppendLog {
    let (fileSystem, log) = (self.fileSystem, self.log)
    let task = archive.withLock { archive in
      if let archive { return archive }
      let task = Task.detached { try await Self.openCopy(path, of: log, fileSystem) }
      archive = task
      return task
    }
    do {
      return try await task.value
    } catch {
      archive.withLock { if $0 == task { $0 = nil } }
      throw error
    }
  }

  /// Opens a file to copy letters to, which must not be the queue's own: there the copies would come back as letters.
  static nonisolated(nonsending) func openCopy(
    _ path: String, of log: AppendLog?, _ fileSystem: FileSystem
  ) async throws -> AppendLog {
    var options = AppendLog.Options()
    options.content = content
    let copy = try await AppendLog(path, options: options, fileSystem: fileSystem)
    if let log, try await copy.isSameFile(as: log) {
      throw ConfigurationError(field: "path", rule: "must not be the queue's own file")
    }
    return copy
  }

  /// Appends the records of letters to another log, durably and whatever becomes of the task.
  ///
  /// - Returns: How many.
  @discardableResult
  nonisolated(nonsending) func copy(
    _ ids: [UInt64], to copy: AppendLog
  ) async throws -> Int {
    var count = 0
    var rest = ids[...]
    while !rest.isEmpty {
      let found = try await records(of: rest)
      rest = rest.dropFirst(found.count)
      let records = found.compactMap { $0?.record }
      if records.isEmpty { continue }
      _ = try await Self.append(records, to: copy, durability: .full)
      count += records.count
    }
    return count
  }

  // MARK: Retention

  /// Removes what is past its retention.
  nonisolated(nonsending) func sweep() async throws -> Int {
    let retention = configuration.retention
    let now = now
    let ids = state.withLock { state in
      state.machine.expired(
        maximumAge: retention.maximumAge?.clamped.nanoseconds,
        maximumCount: retention.maximumCount, now: now)
    }
    return try await remove(ids, as: "expired", .expired)
  }

  private func isUpkeepDue(_ state: State) -> Bool {
    if let ledger = state.ledger {
      let size = ledger.end
      if size > state.leastToCompact, size > 2 * Int64(state.machine.bytes) + Self.slack {
        return true
      }
    }
    if let most = configuration.retention.maximumCount, state.machine.count > most { return true }
    return configuration.retention.maximumAge != nil && state.alarm == nil
      && state.machine.count > 0
  }

  func startUpkeepIfDue() {
    let isDue = state.withLock { state in
      state.upkeep == nil && !state.isClosed && isUpkeepDue(state)
    }
    if isDue { startUpkeep() }
  }

  /// Removes what is past its retention and compacts the log, beside everything else.
  func startUpkeep(from alarm: RetentionAlarm? = nil) {
    state.withLock { state in
      if let alarm, state.alarm === alarm { state.alarm = nil }
      guard state.upkeep == nil, !state.isClosed, state.readOnlyReason == nil else { return }
      // Without the limits of whoever happened to come: it is nobody's work.
      state.upkeep = Task.detached { await self.keepUp() }
    }
  }

  private nonisolated(nonsending) func keepUp() async {
    do { _ = try await sweep() } catch { tellUpkeepFailed(error) }
    // Also when nothing could be written: it may free the room that is missing.
    do {
      let isDue = state.withLock { state in
        guard let ledger = state.ledger else { return false }
        return ledger.end > state.leastToCompact
          && ledger.end > 2 * Int64(state.machine.bytes) + Self.slack
      }
      if isDue { _ = try await compact() }
    } catch {
      tellUpkeepFailed(error)
    }
    state.withLock { $0.upkeep = nil }
    scheduleAlarm()
  }

  private func tellUpkeepFailed(_ error: any Error) {
    if !state.withLock({ $0.isClosed }) { tell(.upkeepFailed(error)) }
  }

  /// Sets the alarm for the oldest letter, not too often.
  private func scheduleAlarm() {
    guard let age = configuration.retention.maximumAge else { return }
    let now = now
    let alarm = RetentionAlarm(self)
    let due: Int64? = state.withLock { state in
      guard state.alarm == nil, !state.isClosed, let oldest = state.machine.oldestArrival else {
        return nil
      }
      state.alarm = alarm
      return oldest.addingClamped(age.clamped.nanoseconds)
    }
    guard let due else { return }
    let pause = max(
      .nanoseconds(LetterMachine.age(now, due)), max(.seconds(60), age.clamped / 100))
    configuration.clock.schedule(
      alarm, at: configuration.clock.now.saturatingAdvanced(by: pause))
  }
}

extension Int64 {
  func addingClamped(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }
}
