extension LetterCore {
  /// What a snapshot is to hold, taken together.
  private struct Plan: Sendable {
    let position: AppendLog.Position
    let nextID: UInt64
    let unknown: [AppendLog.Place]
    let letters: [Copied]
  }

  private struct Copied: Sendable {
    let id: UInt64
    let place: AppendLog.Place
    /// How many redrives there were, when its record does not say so.
    let redrives: Int?
  }

  /// What a snapshot holds, in this order.
  private struct Written: Sendable {
    /// The bytes before the unknown records.
    var head = 0
    var unknown: [AppendLog.Place] = []
    var letters: [(id: UInt64, from: Int64, length: Int)] = []
    /// The bytes behind the letters.
    var marks = 0
    var damaged: [UInt64] = []

    /// Where the first byte is, in the new generation.
    func start(_ compaction: AppendLog.Compaction) -> Int64 {
      let bytes =
        head + marks + unknown.reduce(0) { $0 + $1.length } + letters.reduce(0) { $0 + $1.length }
      return compaction.snapshotEnd.offset - Int64(bytes)
    }
  }

  /// Rewrites the log without what has gone; waits for a compaction that is under way.
  ///
  /// - Returns: `nil` when there is nothing to do: in memory, or while a write began before the last compaction.
  nonisolated(nonsending) func compact() async throws -> AppendLog.Compaction? {
    try requireWritable()
    guard log != nil else { return nil }
    let name = configuration.name
    let task = try state.withLock { state in
      if let task = state.compaction { return task }
      // Looked at together with the task: whoever closes sees every compaction, and waits for it.
      if state.isClosed { throw DeadLetterError(.closed, queue: name) }
      let task = Task.detached { try await self.compactAlone() }
      state.compaction = task
      return task
    }
    return try await task.value
  }

  private nonisolated(nonsending) func compactAlone() async throws -> AppendLog.Compaction? {
    guard let log, let plan = state.withLock({ Self.plan($0) }) else {
      state.withLock { $0.compaction = nil }
      return nil
    }
    do {
      var written = Written()
      let result = try await log.compact(upTo: plan.position) { snapshot in
        try await Self.write(plan, of: log, to: snapshot, &written)
      }
      let damaged = state.withLock { state in
        Self.adopt(result, written, plan, &state)
        state.compaction = nil
        state.leastToCompact = 0
        let damaged = written.damaged.filter { state.machine.loseRecord($0) }
        state.counts.damaged += damaged.count
        return damaged
      }
      tellOfDamage(damaged)
      tell(.compacted(result))
      return result
    } catch {
      state.withLock { state in
        state.compaction = nil
        // Not at every letter anew.
        state.leastToCompact = (state.ledger?.end ?? 0) + Self.slack
      }
      throw error
    }
  }

  private static func plan(_ state: State) -> Plan? {
    guard let position = state.ledger?.compactablePosition else { return nil }
    var letters: [Copied] = []
    letters.reserveCapacity(state.machine.count)
    for entry in state.machine.table.entries where entry.state != .gone {
      guard case .log(let place, let generation) = entry.place,
        generation == position.generation, place.offset < position.offset
      else { continue }
      letters.append(
        Copied(
          id: entry.id, place: place,
          redrives: entry.redrives > entry.recordedRedrives ? Int(entry.redrives) : nil))
    }
    return Plan(
      position: position, nextID: state.machine.nextID,
      unknown: state.unknown.filter { $0.offset < position.offset }, letters: letters)
  }

  private static nonisolated(nonsending) func write(
    _ plan: Plan, of log: AppendLog, to snapshot: AppendLog.Snapshot, _ written: inout Written
  ) async throws {
    let next = LetterLine.nextRecord(plan.nextID)
    try await snapshot.append(next)
    written.head = AppendLog.lineLength(of: next)
    let generation = plan.position.generation
    var index = 0
    let places = plan.unknown + plan.letters.map(\.place)
    while index < places.count {
      let first = index
      var bytes = 0
      while index < places.count, index == first || bytes + places[index].length <= 4 << 20 {
        bytes += places[index].length
        index += 1
      }
      let records = try await log.payloads(at: Array(places[first..<index]), generation: generation)
      for (number, record) in zip(first..<index, records) {
        guard let record else {
          // Bad meanwhile: the log puts what is left into the quarantine before it drops it.
          if number >= plan.unknown.count {
            written.damaged.append(plan.letters[number - plan.unknown.count].id)
          }
          continue
        }
        try await snapshot.append(record)
        let length = AppendLog.lineLength(of: record)
        if number < plan.unknown.count {
          written.unknown.append(AppendLog.Place(offset: 0, length: length))
        } else {
          let letter = plan.letters[number - plan.unknown.count]
          written.letters.append((letter.id, letter.place.offset, length))
        }
      }
    }
    for letter in plan.letters {
      guard let redrives = letter.redrives else { continue }
      let mark = LetterLine.redriveRecord(letter.id, count: redrives, at: 0)
      try await snapshot.append(mark)
      written.marks += AppendLog.lineLength(of: mark)
    }
  }

  /// Moves the index to the new generation.
  private static func adopt(
    _ result: AppendLog.Compaction, _ written: Written, _ plan: Plan, _ state: inout State
  ) {
    var offset = written.start(result) + Int64(written.head)
    var unknown: [AppendLog.Place] = []
    for place in written.unknown {
      unknown.append(AppendLog.Place(offset: offset, length: place.length))
      offset += Int64(place.length)
    }
    let old = result.replacedUpTo
    func translated(_ place: AppendLog.Place) -> AppendLog.Place? {
      let position = AppendLog.Position(generation: old.generation, offset: place.offset)
      return result.translate(position).map {
        AppendLog.Place(offset: $0.offset, length: place.length)
      }
    }
    // Those that were not read as unknown before the plan stay behind the snapshot.
    state.unknown = unknown + state.unknown.compactMap(translated)
    var moved: [UInt64: (from: Int64, to: AppendLog.Place)] = [:]
    moved.reserveCapacity(written.letters.count)
    for letter in written.letters {
      moved[letter.id] = (letter.from, AppendLog.Place(offset: offset, length: letter.length))
      offset += Int64(letter.length)
    }
    state.ledger?.adopt(result)
    state.machine.move { id, place in
      guard case .log(let place, let generation) = place, generation == old.generation else {
        return nil
      }
      if let new = moved[id], new.from == place.offset {
        return .log(new.to, generation: result.generation)
      }
      return translated(place).map { .log($0, generation: result.generation) }
    }
  }
}
