extension LetterCore {
  /// Takes a letter for a redrive and notes, for the next start, that one has begun.
  ///
  /// The note is written but not synced: it outlives the program, which is what a body may bring down.
  ///
  /// - Returns: Which redrive of it this is; `nil` when it has gone or somebody else has it.
  package nonisolated(nonsending) func beginRedrive(_ id: UInt64) async throws -> Int? {
    try requireWritable()
    guard let number = state.withLock({ $0.machine.beginRedrive(id) }) else { return nil }
    do {
      let mark = LetterLine.redriveRecord(id, count: number, at: moment.wall)
      try await write([mark], durability: .none) { _, _ in }
      return number
    } catch {
      giveUpRedrive(id, counts: false)
      throw error
    }
  }

  /// The redrive succeeded: the letter leaves.
  package nonisolated(nonsending) func finishRedrive(_ id: UInt64) async throws {
    do {
      let record = LetterLine.goneRecord([id], "redriven", why: nil, at: moment.wall)
      try await write([record], durability: configuration.durability) { state, _ in
        state.machine.finishRedrive(id)
        state.counts.redriven += 1
      }
    } catch {
      // It stays and will be redriven again: at least once.
      giveUpRedrive(id, counts: true)
      throw error
    }
    tell(.redriven(DeadLetter.ID(rawValue: id)))
  }

  /// The redrive failed: the letter stays, with the new failure.
  package nonisolated(nonsending) func failRedrive(
    _ record: LetterRecord, number: Int, report: ErrorReport, attempts: [AttemptRecord]
  ) async throws {
    var content = record.content
    let id = record.id
    let last = content.attempts.last?.number ?? 0
    content.add(
      attempts.enumerated().map { offset, attempt in
        AttemptRecord(
          number: last.addingReportingOverflow(offset + 1).partialValue, error: attempt.error,
          category: attempt.category, at: attempt.at, elapsed: attempt.elapsed,
          delay: attempt.delay, method: attempt.method)
      })
    content.redrives.append(
      DeadLetter.Redrive(
        number: number, at: report.occurredAt,
        error: LetterText.cut("\(report.errorType): \(report.errorMessage)", to: 512),
        category: report.category))
    if content.redrives.count > LetterContent.redrivesKept { content.redrives.removeFirst() }
    content.report = report.json(limit: configuration.maximumReportBytes)
    content.head.arrived = moment
    content.head.category = report.category.rawValue
    content.head.fingerprint = LetterText.cut(report.fingerprint, to: 32)
    content.head.lastFailure = report.occurredAt.nanosecondsSince1970
    content.head.redrives = number
    content.head.reason = LetterText.cut(report.errorMessage, to: 1024)
    let head = content.head
    let now = now
    let bytes = LetterContent.record(id, content.encoded())
    do {
      try await write([bytes], durability: configuration.durability) { state, place in
        state.machine.returnFromRedrive(
          id, head, size: AppendLog.lineLength(of: bytes), arrived: now, place: place)
        state.counts.failedAgain += 1
      }
    } catch {
      giveUpRedrive(id, counts: true)
      throw error
    }
    tell(
      .failedAgain(DeadLetter.ID(rawValue: id), redriveCount: number, reason: head.reason))
  }

  /// The redrive was cancelled, or turned away before it reached the other side: it counts as none.
  package nonisolated(nonsending) func cancelRedrive(_ id: UInt64) async {
    state.withLock { $0.counts.redrivesCancelled += 1 }
    guard let count = giveUpRedrive(id, counts: false) else { return }
    let mark = LetterLine.redriveRecord(id, count: count, at: moment.wall)
    // If this fails, a number is counted too high after a restart.
    try? await write([mark], durability: .none) { _, _ in }
  }

  /// A redrive came to nothing: the letter is as it was, unless its record went bad meanwhile.
  ///
  /// - Parameter counts: Whether it was one.
  /// - Returns: How many there were then; `nil` when the letter has gone.
  @discardableResult
  private func giveUpRedrive(_ id: UInt64, counts: Bool) -> Int? {
    let given = state.withLock { state in
      let given = state.machine.giveUpRedrive(id, counts: counts)
      if given?.isLost == true { state.counts.damaged += 1 }
      return given
    }
    guard let given else { return nil }
    if given.isLost { tellOfDamage([id]) }
    return given.isLost ? nil : given.redrives
  }
}
