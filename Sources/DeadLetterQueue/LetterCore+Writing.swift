extension LetterCore {
  /// Appends records, whatever becomes of the task: what has happened must not be lost to a cancellation.
  static nonisolated(nonsending) func append(
    _ records: [[UInt8]], to log: AppendLog, durability: Durability
  ) async throws -> AppendLog.Receipt {
    do {
      return try await log.append(contentsOf: records, durability: durability)
    } catch is CancellationError {
      // Nothing was written.
      return try await Task.detached {
        try await log.append(contentsOf: records, durability: durability)
      }
      .value
    }
  }

  /// Writes records and then applies what they say, in one step with the bookkeeping.
  ///
  /// - Parameters:
  ///   - records: The records; the place of the first one is handed to `apply`.
  ///   - apply: Changes the state when they are written.
  nonisolated(nonsending) func write<Result: Sendable>(
    _ records: [[UInt8]], durability: Durability,
    _ apply: @Sendable (inout State, LetterPlace) -> Result
  ) async throws -> Result {
    let write = state.withLock { $0.ledger?.begin() }
    var receipt: AppendLog.Receipt?
    do {
      if let log { receipt = try await Self.append(records, to: log, durability: durability) }
    } catch {
      state.withLock { state in if let write { state.ledger?.finish(write, nil) } }
      throw error
    }
    let first = records[0]
    let written = receipt
    let result = state.withLock { state in
      var place = LetterPlace.memory(first)
      if let written, let start = state.ledger?.translate(written.start) {
        place = .log(
          AppendLog.Place(offset: start.offset, length: AppendLog.lineLength(of: first)),
          generation: start.generation)
      }
      if let write { state.ledger?.finish(write, written) }
      return apply(&state, place)
    }
    startUpkeepIfDue()
    return result
  }

  /// Takes a letter.
  package nonisolated(nonsending) func add(
    _ draft: DeadLetter.Draft, payload: [UInt8]
  ) async throws -> DeadLetter.ID {
    try requireWritable()
    let kind = LetterText.kind(draft.kind)
    if payload.count > configuration.maximumPayloadBytes {
      let error = DeadLetterError(
        .payloadTooLarge, queue: configuration.name, limit: configuration.maximumPayloadBytes)
      throw refuse(error, kind)
    }
    let content = self.content(of: draft, kind: kind, payload: payload)
    let bytes = content.encoded()
    let now = now
    let admission = state.withLock { state in
      state.machine.admit(content.head, size: bytes.count + 48, arrived: now)
    }
    guard case .admitted(let id, let leaving) = admission else {
      let error = DeadLetterError(
        .full, queue: configuration.name,
        limit: bytes.count + 48 > configuration.maximumBytes
          ? configuration.maximumBytes : configuration.capacity)
      throw refuse(error, kind)
    }
    let warnings: [LetterMachine.Warning]
    let lost: [UInt64]
    do {
      var records = [LetterContent.record(id, bytes)]
      if !leaving.isEmpty {
        if case .spill(let path) = configuration.overflow {
          try await copy(leaving, to: try await openArchive(path))
        }
        records.append(
          LetterLine.goneRecord(
            leaving, configuration.overflow == .dropOldest ? "dropped" : "spilled", why: nil,
            at: content.head.arrived.wall))
      }
      let spills = configuration.overflow != .dropOldest
      (warnings, lost) = try await write(records, durability: configuration.durability) {
        state, place in
        let lost = state.machine.depart(leaving)
        state.counts.added += 1
        state.counts.damaged += lost.count
        if spills {
          state.counts.spilled += leaving.count - lost.count
        } else {
          state.counts.dropped += leaving.count - lost.count
        }
        return (state.machine.arrive(id, at: place, now: now), lost)
      }
    } catch {
      state.withLock { $0.machine.giveUpArrival(id) }
      stay(leaving)
      throw error
    }
    tellOfDamage(lost)
    tellOfArrival(id, content.head, leaving.filter { !lost.contains($0) }, warnings)
    return DeadLetter.ID(rawValue: id)
  }

  /// The departure of letters was not written: they stay.
  private func stay(_ leaving: [UInt64]) {
    let lost = state.withLock { state in
      let lost = state.machine.giveUpDeparture(leaving)
      state.counts.damaged += lost.count
      return lost
    }
    tellOfDamage(lost)
  }

  private func refuse(_ error: DeadLetterError, _ kind: String) -> DeadLetterError {
    state.withLock { $0.counts.refused += 1 }
    tell(.refused(error, kind: kind))
    return error
  }

  private func content(
    of draft: DeadLetter.Draft, kind: String, payload: [UInt8]
  ) -> LetterContent {
    let report = draft.report
    let attempts = draft.attempts.isEmpty ? report.attempts : draft.attempts
    let only = AttemptRecord(
      number: 1, error: "\(report.errorType): \(report.errorMessage)", category: report.category,
      at: report.occurredAt, elapsed: nil)
    let last = attempts.last?.at ?? report.occurredAt
    let first = draft.firstFailure ?? attempts.first?.at ?? last
    let head = LetterHead(
      arrived: moment, kind: kind, category: report.category.rawValue,
      fingerprint: LetterText.cut(report.fingerprint, to: 32),
      firstFailure: first.nanosecondsSince1970, lastFailure: last.nanosecondsSince1970,
      redrives: max(0, draft.redriveCount),
      source: draft.source.map { LetterText.cut($0, to: 256) },
      previous: draft.previous?.rawValue,
      reason: LetterText.cut(draft.reason ?? report.errorMessage, to: 1024))
    var content = LetterContent(
      head: head, payloadMember: LetterContent.payloadMember(payload), attempts: [],
      report: report.json(limit: configuration.maximumReportBytes))
    if draft.attempts.isEmpty { content.attemptsDropped = report.attemptsDropped }
    content.add(attempts.isEmpty ? [only] : attempts)
    return content
  }

  private func tellOfArrival(
    _ id: UInt64, _ head: LetterHead, _ leaving: [UInt64], _ warnings: [LetterMachine.Warning]
  ) {
    guard configuration.observer != nil else { return }
    tell(
      .added(
        DeadLetter.ID(rawValue: id), kind: head.kind,
        category: ErrorCategory(rawValue: head.category), fingerprint: head.fingerprint))
    if !leaving.isEmpty {
      tell(
        .departed(
          leaving.map { DeadLetter.ID(rawValue: $0) },
          configuration.overflow == .dropOldest ? .dropped : .spilled))
    }
    for warning in warnings {
      switch warning {
      case .piledUp(let count):
        tell(.piledUp(count: count, limit: configuration.alert.count ?? 0))
      case .arrivingFast(let arrivals):
        tell(.arrivingFast(arrivals: arrivals, window: configuration.alert.window))
      }
    }
  }

  /// Lets letters go for good; those that a redrive has stay.
  ///
  /// - Returns: How many went.
  nonisolated(nonsending) func remove(
    _ ids: some Sequence<UInt64>, as word: String, _ departure: DeadLetterEvent.Departure
  ) async throws -> Int {
    try requireWritable()
    let leaving = state.withLock { $0.machine.beginDeparture(ids) }
    if leaving.isEmpty { return 0 }
    var why: String?
    if case .discarded(let reason) = departure { why = LetterText.cut(reason, to: 1024) }
    let at = moment.wall
    let records = stride(from: 0, to: leaving.count, by: 1000).map { start in
      LetterLine.goneRecord(
        leaving[start..<min(start + 1000, leaving.count)], word, why: why, at: at)
    }
    do {
      try await write(records, durability: configuration.durability) { state, _ in
        state.machine.depart(leaving)
        if case .discarded = departure {
          state.counts.discarded += leaving.count
        } else {
          state.counts.expired += leaving.count
        }
      }
    } catch {
      stay(leaving)
      throw error
    }
    tell(.departed(leaving.map { DeadLetter.ID(rawValue: $0) }, departure))
    return leaving.count
  }
}
