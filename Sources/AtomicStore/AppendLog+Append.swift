internal import FoundationEssentials
internal import ReliabilityIO
internal import Synchronization

extension AppendLog {
  /// The most bytes of one round, unless a single append has more.
  static let roundLimit = 8 << 20
  /// How long a process goes on with new rounds before it lets others have the lock.
  static let longestTurn = Duration.milliseconds(5)

  /// Appends one record.
  ///
  /// - Parameters:
  ///   - record: One JSON object from brace to brace, without newline or NUL; in a plain file any such line. The
  ///     member name `_crc` is the log's own.
  ///   - durability: With ``Durability/full`` the call returns when a power cut can't undo it. With
  ///     ``Durability/ordered`` it is synced, but not the name of a file that is new. With ``Durability/none`` it
  ///     returns once it is written: readers see it, a crash of the program leaves it, a power cut may take it or,
  ///     with other unsynced ones, leave holes.
  /// - Returns: Where it is.
  /// - Throws: ``StoreError``: with ``StoreError/Code/appendUncertain`` it may be there or not, with any other
  ///   code it is not. `LockTimeoutError` or `LockError` when another process keeps the lock. `CancellationError` when the task
  ///   was cancelled before its turn came: then nothing was written. Once its turn has come, it completes.
  @discardableResult
  public nonisolated(nonsending) func append(
    _ record: [UInt8], durability: Durability = .full
  ) async throws -> Receipt {
    try await append(contentsOf: CollectionOfOne(record), durability: durability)
  }

  /// Appends records in one write.
  ///
  /// Not all or none: a power cut before the call returns may leave the first ones. ``FileTransaction`` is for that.
  ///
  /// - Parameters:
  ///   - records: The records, as for ``append(_:durability:)``. None at all is like ``sync()``.
  ///   - durability: What must be true of them after a power cut.
  /// - Returns: Where they are.
  /// - Throws: As ``append(_:durability:)``; a record that can't be one refuses them all.
  /// - Complexity: O(bytes).
  @discardableResult
  public nonisolated(nonsending) func append(
    contentsOf records: some Sequence<[UInt8]>, durability: Durability = .full
  ) async throws -> Receipt {
    try requireWritable()
    let entry = PendingAppend(durability)
    for record in records {
      if record.count > options.maximumRecordSize { throw StoreError(.recordTooLarge, path: path) }
      if LogLine.flaw(in: record, format: options.format) != nil {
        throw StoreError(.invalidRecord, path: path)
      }
      entry.add(record, format: options.format)
    }
    return try await commit(entry)
  }

  /// Encodes a value as JSON and appends it.
  ///
  /// - Parameters:
  ///   - value: A value whose JSON is an object.
  ///   - durability: As for ``append(_:durability:)``.
  /// - Returns: Where it is.
  /// - Throws: What the encoder throws, and as ``append(_:durability:)``.
  @discardableResult
  public nonisolated(nonsending) func append(
    encoding value: some Encodable, durability: Durability = .full
  ) async throws -> Receipt {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return try await append(Array(encoder.encode(value)), durability: durability)
  }

  /// Makes everything in the log durable, also what others have written.
  ///
  /// - Throws: As ``append(_:durability:)``.
  public nonisolated(nonsending) func sync() async throws {
    try requireWritable()
    _ = try await commit(PendingAppend(.full))
  }

  /// Writes and syncs what waits, and closes the file; later appends throw ``StoreError/Code/closed``.
  ///
  /// Closing twice does nothing. Not needed for safety: whoever forgets it loses nothing that was acknowledged.
  ///
  /// - Throws: As ``append(_:durability:)``.
  public nonisolated(nonsending) func close() async throws {
    if shared.withLock({ $0.queue.isClosed }) || options.access == .readOnly { return }
    let entry = PendingAppend(.full)
    entry.isLast = true
    _ = try await commit(entry)
  }

  /// Puts an entry into the queue and waits; leads when its turn comes.
  private nonisolated(nonsending) func commit(_ entry: PendingAppend) async throws -> Receipt {
    if Task.isCancelled { throw CancellationError() }
    defer { deliverEvents() }
    entry.arrived = ContinuousClock.now.sinceOrigin
    var turn = await withTaskCancellationHandler {
      await wait(entry, isNew: true)
    } onCancel: {
      cancel(entry)
    }
    while turn == .lead {
      do {
        let waited = ContinuousClock.now.sinceOrigin - entry.arrived
        let hold = try await lock.acquire(
          .exclusive, timeout: max(.zero, options.lockTimeout - waited))
        DiskExecutor.shared.start { self.serve(hold) }
      } catch {
        // Only this one has waited its time. The others lead in their turn.
        let isOut = shared.withLock { shared in
          let isOut = shared.queue.withdraw(entry)
          if isOut && entry.isLast { shared.queue.reopen() }
          return isOut
        }
        passOn()
        if isOut { throw error }
      }
      turn = await withTaskCancellationHandler {
        await wait(entry, isNew: false)
      } onCancel: {
        cancel(entry)
      }
    }
    return try entry.result()
  }

  private nonisolated(nonsending) func wait(
    _ entry: PendingAppend, isNew: Bool
  ) async -> PendingAppend.Turn {
    unsafe await withUnsafeContinuation { continuation in
      let waiter = unsafe Waiter(continuation)
      let turn: PendingAppend.Turn? = shared.withLock { shared in
        if isNew && entry.outcome == nil {
          let admission =
            entry.isLast ? shared.queue.close(with: entry) : shared.queue.add(entry)
          switch admission {
          case .lead: return .lead
          case .refused: entry.outcome = .failure(StoreError(.closed, path: path))
          case .wait: break
          }
        }
        if entry.outcome != nil { return .finished }
        entry.waiter = waiter
        return nil
      }
      if let turn { waiter.resume(turn) }
    }
  }

  /// Takes an entry back whose task was cancelled, unless a round has it.
  private func cancel(_ entry: PendingAppend) {
    let waiter: Waiter? = shared.withLock { shared in
      guard !entry.isTaken, entry.outcome == nil else { return nil }
      // A leader's wait for the lock ends by itself, and it passes its turn on.
      if shared.queue.waiting.first === entry && entry.waiter == nil { return nil }
      let wasIn = shared.queue.withdraw(entry)
      if wasIn && entry.isLast { shared.queue.reopen() }
      entry.outcome = .failure(CancellationError())
      return entry.waiter.take()
    }
    waiter?.resume(.finished)
  }

  /// Writes and syncs what waits, in rounds, on a disk thread.
  private func serve(_ hold: LockHold) {
    let start = ContinuousClock.now
    var last: FinishedRound?
    repeat {
      let round = shared.withLock { shared in
        let round = shared.queue.takeRound(limit: AppendLog.roundLimit) { $0.byteCount }
        for entry in round { entry.isTaken = true }
        return round
      }
      if round.isEmpty { break }
      if let last { finish(last) }
      last = perform(round)
    } while ContinuousClock.now - start < AppendLog.longestTurn
    // Before those of the last round are woken: who appends again then leads at once, instead of waiting for this.
    lock.release(hold)
    passOn()
    if let last { finish(last) }
  }

  /// Ends the turn of this leader and wakes the next one.
  private func passOn() {
    let waiter = shared.withLock { shared in shared.queue.endTurn()?.waiter.take() }
    waiter?.resume(.lead)
  }

  /// A round that was written, or not, and whose callers don't know yet.
  private struct FinishedRound {
    var round: [PendingAppend]
    /// Where the lines of each entry end, from the start of the round.
    var ends: [Int]
    var result: Result<Written, StoreError>
    /// Whether entries that needn't be synced are there although the sync failed.
    var hasWritten: Bool
  }

  /// Where a round is.
  private struct Written {
    var start: Int64
    var generation: UInt64
    var isDurable = false
  }

  /// One write and at most one sync for all of a round.
  private func perform(_ round: [PendingAppend]) -> FinishedRound {
    var lines: [UInt8] = []
    lines.reserveCapacity(round.reduce(0) { $0 + $1.byteCount })
    var ends: [Int] = []
    ends.reserveCapacity(round.count)
    for entry in round {
      entry.appendLines(to: &lines, format: options.format)
      ends.append(lines.count)
    }
    var durability = Durability.none
    for entry in round {
      if entry.durability == .full { durability = .full }
      if entry.durability == .ordered && durability == .none { durability = .ordered }
    }
    let count = round.reduce(0) { $0 + $1.count }
    var hasWritten = false
    do throws(StoreError) {
      let written = try onFile { (file) throws(StoreError) -> Written in
        try file.prepare()
        let start = lines.isEmpty ? file.end : try file.write(lines.span)
        file.news.counts.records += count
        var written = Written(start: start, generation: file.generation)
        hasWritten = true
        if durability != .none {
          finish(round, ends, written) { $0.durability == .none }
          written.isDurable = try file.sync(durability, rewriting: lines, at: start)
        }
        if round.last?.isLast == true { file.close() }
        return written
      }
      return FinishedRound(round: round, ends: ends, result: .success(written), hasWritten: true)
    } catch {
      return FinishedRound(
        round: round, ends: ends, result: .failure(error), hasWritten: hasWritten)
    }
  }

  /// Wakes all of a round that wait still.
  private func finish(_ finished: FinishedRound) {
    switch finished.result {
    case .success(let written): finish(finished.round, finished.ends, written) { _ in true }
    case .failure(let error):
      finish(finished.round, with: error) { !finished.hasWritten || $0.durability != .none }
    }
  }

  private func finish(
    _ round: [PendingAppend], _ ends: [Int], _ written: Written,
    where chosen: (PendingAppend) -> Bool
  ) {
    let waiters = shared.withLock { _ in
      var waiters: [Waiter] = []
      waiters.reserveCapacity(round.count)
      var from = written.start
      for (entry, end) in zip(round, ends) {
        let to = written.start + Int64(end)
        if entry.outcome == nil && chosen(entry) {
          entry.outcome = .success(
            Receipt(
              start: Position(generation: written.generation, offset: from),
              end: Position(generation: written.generation, offset: to),
              isDurable: written.isDurable && entry.durability == .full))
          if let waiter = entry.waiter.take() { waiters.append(waiter) }
        }
        from = to
      }
      return waiters
    }
    for waiter in waiters { waiter.resume(.finished) }
  }

  private func finish(
    _ round: [PendingAppend], with error: StoreError, where chosen: (PendingAppend) -> Bool
  ) {
    for entry in round where chosen(entry) {
      let waiter = shared.withLock { _ in
        entry.outcome = .failure(error)
        return entry.waiter.take()
      }
      waiter?.resume(.finished)
    }
  }
}
